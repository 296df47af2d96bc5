//! What clients may have of this process's memory, all together: frames that have half come, calls that are worked on,
//! pieces of streams that wait, answers and events that are not taken.
//!
//! Nobody waits for memory. Whoever takes the sum above the limit is served as long as another holds more: then that one is
//! let go. Users are compared first, so that many connections of one are no better than a few, and then the clients of
//! the user who holds most.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::outbox::Closing;

/// What all clients may have together, in bytes: eight of the largest frames.
const LIMIT_BYTES: usize = 256 << 20;

/// The memory of all clients.
pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
    accounts: Mutex<Vec<Weak<Account>>>,
}

/// What one client holds.
pub(crate) struct Account {
    /// Nothing for those who are no user of this machine: they are one.
    user: Option<u32>,
    held: AtomicUsize,
    /// It was let go, and what it holds is about to be given back.
    let_go: AtomicBool,
    closing: Arc<Closing>,
    budget: Arc<Budget>,
}

/// A part of the budget, given back when it is dropped.
pub(crate) struct Share {
    account: Arc<Account>,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self::of(LIMIT_BYTES)
    }
}

impl Budget {
    fn of(limit: usize) -> Self {
        Self { limit, used: AtomicUsize::new(0), accounts: Mutex::default() }
    }

    /// An account for a client of this user, which ends by this.
    pub(crate) fn open(self: &Arc<Self>, user: Option<u32>, closing: Arc<Closing>) -> Arc<Account> {
        let (held, let_go) = (AtomicUsize::new(0), AtomicBool::new(false));
        let account = Arc::new(Account { user, held, let_go, closing, budget: Arc::clone(self) });
        let mut accounts = self.lock();
        accounts.retain(|account| account.strong_count() > 0);
        accounts.push(Arc::downgrade(&account));
        account
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Account>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets clients go until what the others hold is within the limit.
    fn keep_within(&self) {
        let accounts: Vec<Arc<Account>> = self.lock().iter().filter_map(Weak::upgrade).collect();
        loop {
            let mut users: HashMap<Option<u32>, usize> = HashMap::new();
            let staying = || accounts.iter().filter(|account| !account.let_go.load(Ordering::Acquire));
            staying().for_each(|account| *users.entry(account.user).or_default() += account.held());
            if users.values().sum::<usize>() <= self.limit {
                return;
            }
            let of_all = users.iter().max_by_key(|(_, held)| **held).map(|(user, _)| *user);
            let largest = staying().filter(|account| Some(account.user) == of_all);
            let Some(largest) = largest.max_by_key(|account| account.held()) else { return };
            largest.let_go.store(true, Ordering::Release);
            tracing::warn!(
                uid = largest.user,
                bytes = largest.held(),
                "clients hold too much memory; the one that holds most is let go"
            );
            largest.closing.close();
        }
    }
}

impl Account {
    fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Takes so many bytes. It may be this client that is let go for it.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Share {
        let mut share = Share { account: Arc::clone(self), bytes: 0 };
        share.resize(bytes);
        share
    }
}

impl Share {
    /// Makes it so many bytes.
    pub(crate) fn resize(&mut self, bytes: usize) {
        let Account { held, budget, .. } = &*self.account;
        if bytes <= self.bytes {
            held.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            budget.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        } else {
            let more = bytes - self.bytes;
            held.fetch_add(more, Ordering::Relaxed);
            if budget.used.fetch_add(more, Ordering::Relaxed).saturating_add(more) > budget.limit {
                budget.keep_within();
            }
        }
        self.bytes = bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(budget: &Arc<Budget>, user: u32) -> Arc<Account> {
        budget.open(Some(user), Arc::default())
    }

    fn is_let_go(account: &Account) -> bool {
        account.closing.is_wanted()
    }

    #[test]
    fn nobody_is_let_go_within_the_limit_and_what_is_given_back_counts_no_more() {
        let budget = Arc::new(Budget::of(100));
        let (one, other) = (client(&budget, 1), client(&budget, 1));
        let mut share = one.take(60);
        let second = other.take(40);
        share.resize(10);
        drop(second);
        let _third = other.take(90);
        assert!(!is_let_go(&one) && !is_let_go(&other));
        assert_eq!(budget.used.load(Ordering::Relaxed), 100);
    }

    #[test]
    fn largest_client_is_let_go_and_the_one_that_came_last_is_served() {
        let budget = Arc::new(Budget::of(100));
        let (large, small) = (client(&budget, 1), client(&budget, 1));
        let held = large.take(90);
        let _more = small.take(20);
        assert!(is_let_go(&large) && !is_let_go(&small));
        // It has not given it back yet, and counts no more.
        let _again = small.take(70);
        assert!(!is_let_go(&small));
        drop(held);
        assert_eq!(budget.used.load(Ordering::Relaxed), 90);
    }

    #[test]
    fn many_clients_of_one_user_count_as_that_user() {
        let budget = Arc::new(Budget::of(100));
        let crowd: Vec<_> = (0..10).map(|_| client(&budget, 1)).collect();
        let _shares: Vec<_> = crowd.iter().map(|client| client.take(6)).collect();
        let single = client(&budget, 2);
        let _large = single.take(45);
        assert!(!is_let_go(&single));
        assert_eq!(crowd.iter().filter(|client| is_let_go(client)).count(), 1);
    }

    #[test]
    fn who_asks_for_more_than_all_others_have_is_let_go_itself() {
        let budget = Arc::new(Budget::of(100));
        let (one, other) = (client(&budget, 1), client(&budget, 2));
        let _little = one.take(10);
        let _all = other.take(200);
        assert!(is_let_go(&other) && !is_let_go(&one));
    }
}
