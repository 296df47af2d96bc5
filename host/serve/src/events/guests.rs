//! Guests that run: what their hypervisors say is passed on, and what waits for that is settled.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hostler_domains::{BlockJobState, BlockJobSummary, DomainRef, Event};
use uuid::Uuid;

use super::meaning::BLOCK_JOB_READY;
use crate::server::Server;

/// How long one wait for a hypervisor lasts; after it, whether it still runs is looked at.
const WAIT: Duration = Duration::from_secs(20);
/// How long a watch that failed rests.
const REST: Duration = Duration::from_secs(2);

/// The guests that are watched.
#[derive(Clone, Default)]
pub(super) struct Guests {
    watched: Arc<Mutex<HashSet<Uuid>>>,
    /// The jobs of which it was told that they are ready.
    ready: Arc<Mutex<HashSet<u64>>>,
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
        if let Some(job) = event.detail.get("job").and_then(|job| job.parse().ok()) {
            self.ready.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
        }
        match event.kind.as_str() {
            "stopped" => self.settle(server, event.domain),
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
                () = guests.follow(&server, domain) => {}
                () = server.stopping() => {}
            }
            guests.watched.lock().unwrap_or_else(PoisonError::into_inner).remove(&domain);
        });
    }

    /// Passes on what the hypervisor of a domain says, until it ends.
    async fn follow(&self, server: &Arc<Server>, domain: Uuid) {
        loop {
            match server.host.pass_on_events(domain, WAIT).await {
                Ok(true) => self.settle(server, domain),
                Ok(false) => return,
                Err(error) => {
                    tracing::debug!(%domain, %error, "what its hypervisor says cannot be passed on");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }

    /// Settles what of a domain waits for something that has happened, when nobody changes it.
    fn settle(&self, server: &Arc<Server>, domain: Uuid) {
        let (guests, own) = (self.clone(), Arc::clone(server));
        server.work(async move {
            let Ok(_job) = own.jobs.begin(domain).await else {
                return tracing::warn!(%domain, "it is being changed for so long that the next event has to settle it");
            };
            if let Err(error) = own.host.settle_domain(domain).await {
                tracing::warn!(%domain, %error, "what of it is unfinished cannot be settled now");
            }
            guests.tell_ready(&own, domain).await;
        });
    }

    /// Tells clients, once, of the jobs on disks that have come to be ready.
    async fn tell_ready(&self, server: &Server, domain: Uuid) {
        let jobs = match server.host.block_jobs(Some(&DomainRef::new(domain.to_string()))).await {
            Ok(jobs) => jobs,
            // It was transient, as a rule, and is gone.
            Err(error) => return tracing::debug!(%domain, %error, "whether its jobs are ready is not known"),
        };
        for job in jobs.iter().filter(|job| job.state == BlockJobState::Ready) {
            if self.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(job.id) {
                super::tell_clients(server, &ready(job), &mut HashSet::new()).await;
            }
        }
    }
}

/// That a job is ready: only one that commits the active layer comes to be.
fn ready(job: &BlockJobSummary) -> Event {
    let mut detail = BTreeMap::from([
        ("job".to_owned(), job.id.to_string()),
        ("kind".to_owned(), job.kind.word().to_owned()),
        ("disk".to_owned(), job.target.clone()),
    ]);
    if job.active {
        detail.insert("active".to_owned(), "yes".to_owned());
    }
    if let Some(image) = job.left_out.first() {
        detail.insert("image".to_owned(), image.display().to_string());
    }
    let (domain, name, kind) = (job.uuid, job.domain.clone(), BLOCK_JOB_READY.to_owned());
    Event { seq: 0, time_ms: 0, domain, name, kind, detail }
}
