//! Domains of which was told what is known, and whose hypervisors are still to be asked, behind the answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hostler_state::Uuid;
use tokio::sync::mpsc;

/// How often one is asked at most, however often it was told of.
const EVERY: Duration = Duration::from_secs(2);

/// A queue with one entry for a domain, and whoever empties it.
pub(crate) struct Unverified {
    /// When each was put into the queue last.
    queued: Mutex<HashMap<Uuid, Instant>>,
    sender: mpsc::UnboundedSender<Uuid>,
    receiver: tokio::sync::Mutex<mpsc::UnboundedReceiver<Uuid>>,
    /// Whether somebody has ever waited for an entry.
    tended: AtomicBool,
}

impl Default for Unverified {
    fn default() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self { queued: Mutex::default(), sender, receiver: receiver.into(), tended: AtomicBool::new(false) }
    }
}

impl Unverified {
    fn queued(&self) -> MutexGuard<'_, HashMap<Uuid, Instant>> {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that one was told of. Whether somebody asks its hypervisor sooner or later.
    pub(crate) fn told(&self, domain: Uuid) -> bool {
        if !self.tended.load(Ordering::Relaxed) {
            return false;
        }
        let (mut queued, now) = (self.queued(), Instant::now());
        if queued.get(&domain).is_some_and(|last| now.duration_since(*last) < EVERY) {
            return true;
        }
        queued.insert(domain, now);
        self.sender.send(domain).is_ok()
    }

    /// Forgets one that has gone.
    pub(crate) fn forget(&self, domain: Uuid) {
        self.queued().remove(&domain);
    }

    /// Waits for one. May be dropped at any time: nothing is lost.
    pub(crate) async fn next(&self) -> Uuid {
        self.tended.store(true, Ordering::Relaxed);
        match self.receiver.lock().await.recv().await {
            Some(domain) => domain,
            // The sender is ours, so that there is always one.
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_is_in_the_queue_once_in_a_while_and_only_for_somebody_who_waits() {
        let unverified = Unverified::default();
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert!(!unverified.told(first), "nobody waits");
        let now = tokio::time::timeout(Duration::ZERO, unverified.next()).await;
        assert!(now.is_err(), "what nobody waited for is not asked later");
        assert!(unverified.told(first) && unverified.told(first) && unverified.told(second));
        assert_eq!((unverified.next().await, unverified.next().await), (first, second));
        assert!(unverified.told(first), "it was asked just now");
        unverified.forget(first);
        assert!(unverified.told(first));
        assert_eq!(unverified.next().await, first);
    }
}
