//! Places for calls that may wait for a hypervisor, of all clients together. Who waits for its turn to change a domain gives its
//! place to others meanwhile: however many wait behind one that is stuck, they take one place.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Calls that are carried out at once.
const PLACES: usize = 128;

/// All places.
pub(crate) struct Places(Arc<Semaphore>);

/// The place of the call that this task carries out.
struct Own {
    places: Arc<Semaphore>,
    held: Mutex<Option<OwnedSemaphorePermit>>,
}

tokio::task_local! {
    static OWN: Own;
}

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PLACES)))
    }
}

impl Places {
    /// Does something in a place.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = T>) -> T {
        // They are never closed.
        let held = Mutex::new(Arc::clone(&self.0).acquire_owned().await.ok());
        OWN.scope(Own { places: Arc::clone(&self.0), held }, work).await
    }
}

/// Waits for something without a place, if this is a call that has one.
pub(crate) async fn beside<T>(wait: impl Future<Output = T>) -> T {
    let given = OWN.try_with(|own| own.held.lock().unwrap_or_else(PoisonError::into_inner).take());
    let Ok(Some(place)) = given else { return wait.await };
    drop(place);
    let waited = wait.await;
    let places = OWN.try_with(|own| Arc::clone(&own.places));
    if let Ok(places) = places {
        let place = places.acquire_owned().await.ok();
        OWN.try_with(|own| *own.held.lock().unwrap_or_else(PoisonError::into_inner) = place).ok();
    }
    waited
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Notify;

    #[tokio::test]
    async fn who_waits_for_its_turn_takes_no_place() {
        let places = Arc::new(Places::default());
        let go = Arc::new(Notify::new());
        let waiting: Vec<_> = (0..2 * PLACES)
            .map(|_| {
                let (places, go) = (Arc::clone(&places), Arc::clone(&go));
                tokio::spawn(async move { places.within(beside(go.notified())).await })
            })
            .collect();
        while places.0.available_permits() < PLACES {
            tokio::task::yield_now().await;
        }
        assert_eq!(places.within(async { places.0.available_permits() }).await, PLACES - 1);
        for task in waiting {
            while !task.is_finished() {
                go.notify_waiters();
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(places.0.available_permits(), PLACES);
    }

    #[tokio::test]
    async fn place_is_had_again_after_the_wait_and_waiting_outside_a_call_is_only_that() {
        let places = Places::default();
        places
            .within(async {
                beside(async {}).await;
                assert_eq!(places.0.available_permits(), PLACES - 1);
            })
            .await;
        assert_eq!(beside(async { 7 }).await, 7);
    }
}
