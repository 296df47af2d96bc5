//! Guests that end when the connection of the client that started them does (`VIR_DOMAIN_START_AUTODESTROY`).

use std::sync::{Arc, Mutex, PoisonError};

use hostler_domains::{DomainIdentity, DomainRef};

use crate::client::{Client, reference};

/// The guests of one client that are to end with it.
#[derive(Default)]
pub(crate) struct Autodestroy {
    started: Mutex<Vec<DomainIdentity>>,
}

impl Autodestroy {
    /// Has a guest that was just started end with the client.
    pub(crate) fn add(&self, started: DomainIdentity) {
        self.started.lock().unwrap_or_else(PoisonError::into_inner).push(started);
    }

    fn take(&self) -> Vec<DomainIdentity> {
        std::mem::take(&mut *self.started.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Ends the guests of a client that has gone: each that is still the one that it started. The daemon does not end before.
pub(crate) fn end_all(client: &Arc<Client>) {
    let started = client.autodestroy.take();
    if started.is_empty() {
        return;
    }
    let client = Arc::clone(client);
    Arc::clone(&client.server).work(async move {
        for domain in started {
            end(&client, &domain).await;
        }
    });
}

async fn end(client: &Client, started: &DomainIdentity) {
    // Nobody is left who could be told, and what could not be ended is for the operator to see.
    let Ok(_job) = client.server.jobs.begin(started.uuid).await else {
        tracing::warn!(
            domain = started.name,
            "its client has gone, and another change keeps it from being ended"
        );
        return;
    };
    let wanted: DomainRef = reference(started);
    let ended = match client.host().identity_if_there(&wanted).await {
        Ok(Some(now)) if now.run_number == started.run_number => {
            client.host().destroy(&wanted).await.map(drop)
        }
        found => found.map(drop),
    };
    if let Err(error) = ended {
        tracing::warn!(domain = started.name, %error, "its client has gone, and it cannot be ended");
    }
}
