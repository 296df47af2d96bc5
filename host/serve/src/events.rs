//! What happens, told to the clients that asked for it; and what an owner that stays has to do about it.

mod callbacks;
mod guests;
mod machine;
pub(crate) mod meaning;
pub(crate) mod objects;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use hostler_domains::{DomainRef, Event};
use hostler_state::{Cancel, Follow, Followed};
use tokio::sync::{Semaphore, mpsc};
use uuid::Uuid;

pub(crate) use callbacks::Callbacks;
use guests::Guests;

use crate::access::object::Object;
use crate::client::{self, Client};
use crate::server::{ServeError, Server};

/// Events that are read ahead of those that are told.
const READ_AHEAD: usize = 256;
/// Hypervisors that are asked at once behind answers.
const VERIFIED_AT_ONCE: usize = 2;
/// What it takes to be told of a domain.
const SHOWN: &str = "domain.getattr";

/// The clients that may want to be told of something.
#[derive(Default)]
pub(crate) struct Hub {
    clients: Mutex<Vec<Weak<Client>>>,
}

impl Hub {
    /// A client that has come. One that has gone is forgotten by itself.
    pub(crate) fn watch(&self, client: &Arc<Client>) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|client| client.strong_count() > 0);
        clients.push(Arc::downgrade(client));
    }

    fn clients(&self) -> Vec<Arc<Client>> {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.iter().filter_map(Weak::upgrade).collect()
    }
}

/// The following of the event log; ends when told to.
pub(crate) struct Following {
    cancel: Cancel,
}

impl Following {
    /// Ends it.
    pub(crate) fn end(self) {
        if let Err(error) = self.cancel.cancel() {
            tracing::warn!(%error, "the events are followed to the end of the process");
        }
    }
}

/// Follows the event log from now on, and the guests that run.
///
/// # Errors
/// When the log cannot be followed.
pub(crate) fn follow(server: &Arc<Server>) -> Result<Following, ServeError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| ServeError::Events(error);
    let now = server.host.events(0).map_err(|error| failed(error.into()))?.next;
    let log = server.host.event_log();
    let follow = log.follow(now, None).map_err(|error| failed(error.into()))?;
    let cancel = follow.canceller();
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    std::thread::Builder::new()
        .name("events".to_owned())
        .spawn(move || pass_on(follow, &sender))
        .map_err(|error| failed(error.into()))?;
    tokio::spawn(tell(Arc::clone(server), receiver));
    tokio::spawn(verify(Arc::clone(server)));
    Ok(Following { cancel })
}

fn pass_on(follow: Follow, sender: &mpsc::Sender<Event>) {
    for followed in follow {
        match followed {
            Ok(Followed::Event(event)) => {
                if sender.blocking_send(event).is_err() {
                    return;
                }
            }
            Ok(Followed::Gap(gap)) => {
                tracing::warn!(after = gap.cursor, "events were lost before they were told")
            }
            Err(error) => return tracing::error!(%error, "events are told no more"),
        }
    }
}

/// Asks the hypervisors of those of which clients were told what is known, behind their answers.
async fn verify(server: Arc<Server>) {
    let places = Arc::new(Semaphore::new(VERIFIED_AT_ONCE));
    loop {
        let (place, domain) = tokio::select! {
            next = async { (Arc::clone(&places).acquire_owned().await, server.host.next_unverified().await) } => next,
            () = server.stopping() => return,
        };
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            if let Err(error) = server.host.verify(domain).await {
                tracing::debug!(%domain, %error, "what is known of it cannot be verified");
            }
            drop(place);
        });
    }
}

async fn tell(server: Arc<Server>, mut events: mpsc::Receiver<Event>) {
    let guests = Guests::default();
    let mut switched_off = HashSet::new();
    guests.watch_all(&server);
    while let Some(event) = events.recv().await {
        server.shared.metrics.happened(&event.kind);
        tell_clients(&server, &event, &mut switched_off).await;
        guests.see_to(&server, &event);
    }
}

async fn tell_clients(server: &Server, event: &Event, switched_off: &mut HashSet<Uuid>) {
    let (handle, driver) = handle_of(server, event).await;
    let told = meaning::of(event, &handle, switched_off);
    if !told.is_empty() {
        // Of what is gone, nobody knows any more which driver had it.
        let object =
            Object { driver: driver.as_deref().map(Some), ..Object::named(&event.name, Some(event.domain)) };
        for client in server.hub.clients().iter().filter(|client| client.sees(SHOWN, &object)) {
            client.callbacks.tell(client, event, &told);
        }
    }
}

/// Whom an event is about, as a client knows it, and its driver. Of what is gone, the event itself tells.
async fn handle_of(server: &Server, event: &Event) -> (hostler_rpc::wire::DomainHandle, Option<Arc<str>>) {
    let gone =
        hostler_rpc::wire::DomainHandle { name: event.name.clone(), uuid: *event.domain.as_bytes(), id: -1 };
    if matches!(event.kind.as_str(), "stopped" | "undefined") {
        return (gone, None);
    }
    match server.host.identity(&DomainRef::new(event.domain.to_string())).await {
        Ok(domain) => (client::handle(&domain), Some(domain.driver)),
        Err(_) => (gone, None),
    }
}
