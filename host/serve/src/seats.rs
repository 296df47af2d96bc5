//! How many may be connected, so that nobody uses up what others need: each user has a share of the seats, and of those for
//! whoever has not opened anything yet a smaller one. Who owns the daemon always has a seat.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Clients at once. A management program has a few connections; this many cost little as long as they are silent.
const CLIENTS: usize = 1_000;
/// Clients of one user, or of one address, at once.
const CLIENTS_OF_ONE: usize = 250;
/// Clients of one user, or of one address, that have not opened anything yet.
const UNOPENED_OF_ONE: usize = 20;
/// Clients of all other machines together that have not opened anything yet: addresses cost nobody anything.
const UNOPENED_REMOTE: usize = 100;
/// How long one more waits for another to open something or to go.
const WAIT: Duration = Duration::from_secs(30);
/// How many shares are kept before those that nobody uses are forgotten.
const KEPT: usize = 1_024;

/// Where a client comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// Root or the daemon's own user, on this machine.
    Owner,
    /// A user of this machine.
    User(u32),
    /// Another machine.
    Address(IpAddr),
}

/// The seats of a daemon.
pub(crate) struct Seats {
    all: Arc<Semaphore>,
    owners: Arc<Semaphore>,
    unopened_remote: Arc<Semaphore>,
    shares: Mutex<HashMap<Origin, Arc<Share>>>,
}

/// What one origin has.
struct Share {
    all: Arc<Semaphore>,
    unopened: Arc<Semaphore>,
}

/// A seat, until it is dropped.
pub(crate) struct Seat {
    unopened: Mutex<Vec<OwnedSemaphorePermit>>,
    _share: Option<OwnedSemaphorePermit>,
    _all: OwnedSemaphorePermit,
}

impl Seat {
    /// Its client has opened something: others may come.
    pub(crate) fn opened(&self) {
        self.unopened.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Default for Seats {
    fn default() -> Self {
        let seats = |number| Arc::new(Semaphore::new(number));
        Self {
            all: seats(CLIENTS),
            owners: seats(CLIENTS),
            unopened_remote: seats(UNOPENED_REMOTE),
            shares: Mutex::default(),
        }
    }
}

impl Seats {
    /// A seat for a client; nothing when there is none, or the origin has its share.
    pub(crate) async fn take(&self, origin: Origin) -> Option<Seat> {
        if origin == Origin::Owner {
            let all = Arc::clone(&self.owners).try_acquire_owned().ok()?;
            return Some(Seat { unopened: Mutex::default(), _share: None, _all: all });
        }
        let mut unopened = Vec::new();
        if matches!(origin, Origin::Address(_)) {
            unopened.push(Arc::clone(&self.unopened_remote).try_acquire_owned().ok()?);
        }
        let share = self.share(origin);
        let own = Arc::clone(&share.all).try_acquire_owned().ok()?;
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let another = tokio::time::timeout(WAIT, Arc::clone(&share.unopened).acquire_owned());
        unopened.push(another.await.ok()?.ok()?);
        Some(Seat { unopened: Mutex::new(unopened), _share: Some(own), _all: all })
    }

    fn share(&self, origin: Origin) -> Arc<Share> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if shares.len() > KEPT {
            shares.retain(|_, share| share.all.available_permits() < CLIENTS_OF_ONE);
        }
        let new = || Share {
            all: Arc::new(Semaphore::new(CLIENTS_OF_ONE)),
            unopened: Arc::new(Semaphore::new(UNOPENED_OF_ONE)),
        };
        Arc::clone(shares.entry(origin).or_insert_with(|| Arc::new(new())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_user_has_its_share_and_the_others_have_theirs() {
        let seats = Seats::default();
        let mut taken = Vec::new();
        for _ in 0..UNOPENED_OF_ONE {
            taken.push(seats.take(Origin::User(1)).await.unwrap());
        }
        assert!(seats.take(Origin::User(1)).await.is_none());
        assert!(seats.take(Origin::User(2)).await.is_some());
        assert!(seats.take(Origin::Owner).await.is_some());
        taken[0].opened();
        while taken.len() < CLIENTS_OF_ONE {
            taken.push(seats.take(Origin::User(1)).await.unwrap());
            taken.last().unwrap().opened();
        }
        assert!(seats.take(Origin::User(1)).await.is_none());
        drop(taken);
        assert!(seats.take(Origin::User(1)).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn other_machines_that_say_nothing_leave_seats_to_users_of_this_one() {
        let seats = Seats::default();
        let address = |number| Origin::Address(IpAddr::from([10, 0, 0, number]));
        let mut silent = Vec::new();
        for number in 0..100 {
            silent.push(seats.take(address(number)).await.unwrap());
        }
        assert!(seats.take(address(200)).await.is_none());
        assert!(seats.take(Origin::User(1)).await.is_some());
        silent[0].opened();
        assert!(seats.take(address(200)).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn many_users_leave_a_place_to_the_owner() {
        let seats = Seats::default();
        let mut taken = Vec::new();
        for user in 0..u32::try_from(CLIENTS).unwrap() {
            taken.push(seats.take(Origin::User(user)).await.unwrap());
        }
        assert!(seats.take(Origin::User(u32::MAX)).await.is_none());
        assert!(seats.take(Origin::Owner).await.is_some());
        drop(taken);
        drop(seats.take(Origin::User(0)).await);
        assert!(seats.shares.lock().unwrap().len() <= KEPT);
    }
}
