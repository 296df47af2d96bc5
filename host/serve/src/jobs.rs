//! One change of a domain at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use uuid::Uuid;

use crate::places;

/// How long a change waits for the one before it. Clients know this time from libvirt.
pub(crate) const WAIT: Duration = Duration::from_secs(30);
/// How many turns are kept before those that nobody has are forgotten.
const KEPT: usize = 1_024;

/// Whose turn it is to change which domain.
#[derive(Default)]
pub(crate) struct Jobs {
    turns: Mutex<HashMap<Uuid, Arc<Turn<()>>>>,
}

/// The right to change a domain, until it is dropped.
pub(crate) type Job = OwnedMutexGuard<()>;

impl Jobs {
    /// Waits for the turn to change a domain.
    ///
    /// # Errors
    /// That another change takes too long; clients know the number.
    pub(crate) async fn begin(&self, domain: Uuid) -> Result<Job, RpcError> {
        self.begin_within(domain, WAIT).await.ok_or_else(|| {
            let detail = "cannot acquire state change lock: another change of this domain goes on";
            RpcError::new(codes::ERR_OPERATION_TIMEOUT, codes::FROM_QEMU, detail)
        })
    }

    /// The same with a time of one's own; nothing when it is over.
    pub(crate) async fn begin_within(&self, domain: Uuid, wait: Duration) -> Option<Job> {
        let turn = self.turn(domain);
        if let Ok(free) = Arc::clone(&turn).try_lock_owned() {
            return Some(free);
        }
        places::beside(tokio::time::timeout(wait, turn.lock_owned())).await.ok()
    }

    fn turn(&self, domain: Uuid) -> Arc<Turn<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() > KEPT {
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        Arc::clone(turns.entry(domain).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn changes_of_one_domain_take_turns_and_those_of_two_do_not() {
        let jobs = Jobs::default();
        let first = jobs.begin(Uuid::from_u128(1)).await.unwrap();
        assert!(jobs.begin_within(Uuid::from_u128(1), Duration::ZERO).await.is_none());
        assert!(jobs.begin_within(Uuid::from_u128(2), Duration::ZERO).await.is_some());
        drop(first);
        assert!(jobs.begin_within(Uuid::from_u128(1), Duration::ZERO).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn change_that_waits_in_vain_is_a_time_out() {
        let jobs = Jobs::default();
        let _first = jobs.begin(Uuid::from_u128(1)).await.unwrap();
        assert_eq!(jobs.begin(Uuid::from_u128(1)).await.unwrap_err().code, codes::ERR_OPERATION_TIMEOUT);
    }

    #[tokio::test]
    async fn turns_that_nobody_has_are_forgotten() {
        let jobs = Jobs::default();
        for number in 0..=KEPT as u128 + 1 {
            drop(jobs.begin(Uuid::from_u128(number)).await.unwrap());
        }
        assert!(jobs.turns.lock().unwrap().len() < KEPT);
    }
}
