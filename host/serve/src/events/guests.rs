//! Guests that run: what their hypervisors say is passed on, and what waits for that is settled.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hostler_domains::Event;
use uuid::Uuid;

use crate::server::Server;

/// How long one wait for a hypervisor lasts; after it, whether it still runs is looked at.
const WAIT: Duration = Duration::from_secs(20);
/// How long a watch that failed rests.
const REST: Duration = Duration::from_secs(2);

/// The guests that are watched.
#[derive(Clone, Default)]
pub(super) struct Guests {
    watched: Arc<Mutex<HashSet<Uuid>>>,
}

impl Guests {
    /// Watches all that run.
    pub(super) fn watch_all(&self, server: &Arc<Server>) {
        match server.host.running() {
            Ok(running) => running.into_iter().for_each(|domain| self.watch(server, domain)),
            Err(error) => tracing::error!(%error, "the guests that run cannot be watched"),
        }
    }

    /// Does what follows from an event: a guest that has begun is watched, one that has ended is put in order.
    pub(super) fn see_to(&self, server: &Arc<Server>, event: &Event) {
        match event.kind.as_str() {
            "stopped" => settle(server, event.domain),
            "undefined" | "defined" | "redefined" => {}
            _ => self.watch(server, event.domain),
        }
    }

    fn watch(&self, server: &Arc<Server>, domain: Uuid) {
        if !self.watched.lock().unwrap_or_else(PoisonError::into_inner).insert(domain) {
            return;
        }
        let (guests, server) = (self.clone(), Arc::clone(server));
        tokio::spawn(async move {
            tokio::select! {
                () = watch(&server, domain) => {}
                () = server.stopping() => {}
            }
            guests.watched.lock().unwrap_or_else(PoisonError::into_inner).remove(&domain);
        });
    }
}

/// Passes on what the hypervisor of a domain says, until it ends.
async fn watch(server: &Arc<Server>, domain: Uuid) {
    loop {
        match server.host.pass_on_events(domain, WAIT).await {
            Ok(true) => settle(server, domain),
            Ok(false) => return,
            Err(error) => {
                tracing::debug!(%domain, %error, "what its hypervisor says cannot be passed on");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Settles what of a domain waits for something that has happened, when nobody changes it.
fn settle(server: &Arc<Server>, domain: Uuid) {
    let own = Arc::clone(server);
    server.work(async move {
        let Ok(_job) = own.jobs.begin(domain).await else {
            return tracing::warn!(%domain, "it is being changed for so long that the next event has to settle it");
        };
        if let Err(error) = own.host.settle_domain(domain).await {
            tracing::warn!(%domain, %error, "what of it is unfinished cannot be settled now");
        }
    });
}
