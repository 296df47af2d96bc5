//! What drivers did: operations, host calls and their time, grants used. Counted for each call, added up for each driver.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often something was done, and how long it took in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often.
    pub count: u64,
    /// How many of these failed.
    pub failed: u64,
    /// Wall time, in all.
    pub time: Duration,
}

impl Tally {
    /// Done once, in this time.
    pub(crate) fn once(failed: bool, time: Duration) -> Self {
        Self { count: 1, failed: failed.into(), time }
    }

    fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.failed = self.failed.saturating_add(other.failed);
        self.time = self.time.saturating_add(other.time);
    }
}

/// What one driver did since a moment of the caller's choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// By the contract's name of the operation (`start`).
    pub operations: BTreeMap<String, Tally>,
    /// By the contract's name of the host call (`domain.launch`). Time is counted of those that wait for
    /// something, such as a disk or a hypervisor; the others answer within a microsecond.
    pub host_calls: BTreeMap<String, Tally>,
    /// Processor time of guest code.
    pub cpu: Duration,
    /// Grants that were used, as a manifest writes them (`process:qemu-system-x86_64`).
    pub grants_used: BTreeSet<String>,
}

impl Activity {
    /// Whether nothing was done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Adds what was done at another time.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in
            [(&mut self.operations, &other.operations), (&mut self.host_calls, &other.host_calls)]
        {
            for (name, tally) in more {
                sum.entry(name.clone()).or_default().add(*tally);
            }
        }
        self.cpu = self.cpu.saturating_add(other.cpu);
        self.grants_used.extend(other.grants_used.iter().cloned());
    }
}

/// The host calls of one call of a driver.
#[derive(Debug, Default)]
pub(crate) struct CallActivity {
    host_calls: BTreeMap<&'static str, Tally>,
    grants_used: BTreeSet<String>,
}

impl CallActivity {
    /// One more host call of this name.
    pub(crate) fn count(&mut self, call: &'static str) {
        let tally = self.host_calls.entry(call).or_default();
        tally.count = tally.count.saturating_add(1);
    }

    /// How long a host call waited.
    pub(crate) fn waited(&mut self, call: &'static str, time: Duration, failed: bool) {
        self.host_calls.entry(call).or_default().add(Tally { count: 0, failed: failed.into(), time });
    }

    /// A grant that was needed and is there.
    pub(crate) fn used(&mut self, grant: String) {
        self.grants_used.insert(grant);
    }

    /// How many host calls there were.
    pub(crate) fn host_calls(&self) -> u64 {
        self.host_calls.values().fold(0, |sum, tally| sum.saturating_add(tally.count))
    }

    /// How long they waited, all together.
    pub(crate) fn host_time(&self) -> Duration {
        self.host_calls.values().fold(Duration::ZERO, |sum, tally| sum.saturating_add(tally.time))
    }

    /// Adds this call to what its driver did.
    pub(crate) fn add_to(self, sum: &mut Activity, operation: &str, done: Tally, cpu: Duration) {
        sum.operations.entry(operation.to_owned()).or_default().add(done);
        for (name, tally) in self.host_calls {
            sum.host_calls.entry(name.to_owned()).or_default().add(tally);
        }
        sum.cpu = sum.cpu.saturating_add(cpu);
        sum.grants_used.extend(self.grants_used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_add_up_for_their_driver() {
        let mut sum = Activity::default();
        for failed in [0, 1] {
            let mut call = CallActivity::default();
            call.count("domain.config");
            call.count("domain.launch");
            call.waited("domain.launch", Duration::from_millis(5), failed == 1);
            call.used("qmp".to_owned());
            assert_eq!((call.host_calls(), call.host_time()), (2, Duration::from_millis(5)));
            let done = Tally { count: 1, failed, time: Duration::from_millis(7) };
            call.add_to(&mut sum, "start", done, Duration::from_millis(1));
        }
        let launches = Tally { count: 2, failed: 1, time: Duration::from_millis(10) };
        assert_eq!(sum.host_calls["domain.launch"], launches);
        assert_eq!(sum.operations["start"], Tally { count: 2, failed: 1, time: Duration::from_millis(14) });
        let mut twice = sum.clone();
        twice.add(&sum);
        assert_eq!((twice.host_calls["domain.config"].count, twice.cpu), (4, Duration::from_millis(4)));
        assert_eq!(twice.grants_used.len(), 1);
    }
}
