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
    kind: i32,
    domain: Option<Uuid>,
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
        let mut wanted = self.lock();
        if wanted.len() >= CALLBACKS {
            let detail = format!("more than {CALLBACKS} events are wanted");
            return Err(RpcError::new(codes::ERR_RESOURCE_BUSY, codes::FROM_EVENT, detail));
        }
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        wanted.insert(number, Wanted { kind, domain });
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
        let wanted: Vec<_> = self.lock().iter().map(|(number, wanted)| (*number, *wanted)).collect();
        for told in told {
            for (number, _) in wanted.iter().filter(|(_, wanted)| {
                wanted.kind == told.kind && wanted.domain.is_none_or(|domain| domain == event.domain)
            }) {
                match frame(told, *number) {
                    Some(bytes) => client.outbox.tell(bytes),
                    None => tracing::error!(kind = event.kind, "an event does not fit into a message"),
                }
            }
        }
    }
}

fn frame(told: &Told, number: i32) -> Option<Vec<u8>> {
    let header = Header {
        program: program::REMOTE,
        version: program::VERSION,
        procedure: told.procedure,
        kind: FrameKind::Event,
        serial: SERIAL,
        status: Status::Good,
    };
    // The number that it is wanted under comes before all else.
    let payload = number.to_be_bytes().into_iter().chain(told.content.iter().copied()).collect();
    Frame { header, payload }.to_bytes().ok()
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
