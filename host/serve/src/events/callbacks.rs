//! What a client wants to be told, each under a number of ours.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hostler_domains::Event;
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::frame::{Frame, FrameKind, Header, Status};
use hostler_rpc::procedure::program;
use uuid::Uuid;

use super::meaning::Told;
use super::objects::{Happening, Topic};
use crate::client::Client;

/// Things that a client can want to be told at once.
const CALLBACKS: usize = 1_024;
/// The serial of an event: clients look at none.
const SERIAL: u32 = 1;

/// What a client wants to be told.
#[derive(Default)]
pub(crate) struct Callbacks {
    wanted: Mutex<BTreeMap<i32, Wanted>>,
    last: AtomicI32,
}

/// One thing that is wanted.
#[derive(Clone, Copy)]
struct Wanted {
    topic: Topic,
    /// Of this one alone.
    about: Option<Uuid>,
}

impl Callbacks {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, Wanted>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that events of this kind are wanted, of all domains or of one; the number that they come under.
    ///
    /// # Errors
    /// That the client wants too much.
    pub(crate) fn add(&self, kind: i32, domain: Option<Uuid>) -> Result<i32, RpcError> {
        self.add_topic(Topic::Domain(kind), domain)
    }

    /// The same for events of any kind of thing.
    ///
    /// # Errors
    /// That the client wants too much.
    pub(crate) fn add_topic(&self, topic: Topic, about: Option<Uuid>) -> Result<i32, RpcError> {
        let mut wanted = self.lock();
        if wanted.len() >= CALLBACKS {
            let detail = format!("more than {CALLBACKS} events are wanted");
            return Err(RpcError::new(codes::ERR_RESOURCE_BUSY, codes::FROM_EVENT, detail));
        }
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        wanted.insert(number, Wanted { topic, about });
        Ok(number)
    }

    /// Forgets it.
    ///
    /// # Errors
    /// That nothing is wanted under this number.
    pub(crate) fn remove(&self, number: i32) -> Result<(), RpcError> {
        let removed = self.lock().remove(&number);
        removed.map(drop).ok_or_else(|| {
            let detail = format!("domain event callback {number} not registered");
            RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_EVENT, detail)
        })
    }

    /// Whether anything is wanted.
    pub(crate) fn are_wanted(&self) -> bool {
        !self.lock().is_empty()
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&self) {
        self.lock().clear();
    }

    /// Tells the client what it wants to know of this.
    pub(super) fn tell(&self, client: &Client, event: &Event, told: &[Told]) {
        for told in told {
            self.send(client, (Topic::Domain(told.kind), event.domain), told.procedure, &told.content);
        }
    }

    /// The same of what is no domain.
    pub(super) fn tell_of(&self, client: &Client, happening: &Happening) {
        let what = (happening.topic, happening.about);
        self.send(client, what, happening.procedure, &happening.content);
    }

    fn send(&self, client: &Client, (topic, about): (Topic, Uuid), procedure: i32, content: &[u8]) {
        let wants = |wanted: &Wanted| wanted.topic == topic && wanted.about.is_none_or(|one| one == about);
        let numbers: Vec<i32> =
            self.lock().iter().filter(|(_, wanted)| wants(wanted)).map(|(number, _)| *number).collect();
        for number in numbers {
            match frame(procedure, content, number) {
                Some(bytes) => client.outbox.tell(bytes),
                None => tracing::error!(procedure, "an event does not fit into a message"),
            }
        }
    }
}

fn frame(procedure: i32, content: &[u8], number: i32) -> Option<Vec<u8>> {
    let header = Header {
        program: program::REMOTE,
        version: program::VERSION,
        procedure,
        kind: FrameKind::Event,
        serial: SERIAL,
        status: Status::Good,
    };
    // The number that it is wanted under comes before all else.
    let payload = number.to_be_bytes().into_iter().chain(content.iter().copied()).collect();
    Frame::new(header, payload).to_bytes().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_given_once_and_forgotten_once() {
        let callbacks = Callbacks::default();
        let (first, second) = (callbacks.add(0, None).unwrap(), callbacks.add(0, None).unwrap());
        assert_ne!(first, second);
        callbacks.remove(first).unwrap();
        assert_eq!(callbacks.remove(first).unwrap_err().code, codes::ERR_INVALID_ARG);
        callbacks.remove(second).unwrap();
    }
}
