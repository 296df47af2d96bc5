//! What drivers have used and done: counted while they run, added to what is known when the host is closed.

use std::collections::BTreeMap;
use std::time::Duration;

use hostler_runtime::{Activity, Driver, Tally};
use hostler_state::{DriverUsage, Owner, UsageTally, unix_ms};

use crate::error::Error;
use crate::host::{Held, Host};

impl Host {
    /// Writes down what the drivers did. Only an owner does; what a reader's drivers do is not counted, and costs
    /// nobody anything.
    pub(crate) fn keep_usage(&self) {
        let Held::Owner(owner) = self.held() else { return };
        for driver in self.drivers.loaded() {
            if let Err(error) = keep(owner, &driver) {
                tracing::warn!(driver = driver.manifest().name, %error, "what the driver has done is not kept");
            }
        }
    }
}

fn keep(owner: &Owner, driver: &Driver) -> Result<(), Error> {
    let name = &driver.manifest().name;
    let done = driver.take_activity();
    if done.is_empty() {
        return Ok(());
    }
    let mut usage = owner.driver_usage(name)?;
    add(&mut usage, done, unix_ms());
    Ok(owner.put_driver_usage(name, &usage)?)
}

fn add(usage: &mut DriverUsage, done: Activity, now_unix_ms: u64) {
    if usage.since_unix_ms == 0 {
        usage.since_unix_ms = now_unix_ms;
    }
    for grant in done.grants_used {
        usage.grants.entry(grant).or_insert(now_unix_ms);
    }
    add_all(&mut usage.operations, done.operations);
    add_all(&mut usage.host_calls, done.host_calls);
    usage.cpu_us = usage.cpu_us.saturating_add(micros(done.cpu));
}

fn add_all(sum: &mut BTreeMap<String, UsageTally>, more: BTreeMap<String, Tally>) {
    for (name, tally) in more {
        let tally = UsageTally { count: tally.count, failed: tally.failed, time_us: micros(tally.time) };
        sum.entry(name).or_default().add(tally);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_add_up_and_the_first_use_of_a_grant_stays() {
        let mut usage = DriverUsage::default();
        for (now, failed) in [(5, 0), (9, 1)] {
            let tally = Tally { count: 1, failed, time: Duration::from_micros(30) };
            let done = Activity {
                operations: [("start".to_owned(), tally)].into(),
                host_calls: [("domain.launch".to_owned(), tally)].into(),
                cpu: Duration::from_micros(7),
                grants_used: ["qmp".to_owned()].into(),
            };
            add(&mut usage, done, now);
        }
        let twice = UsageTally { count: 2, failed: 1, time_us: 60 };
        assert_eq!((usage.operations["start"], usage.host_calls["domain.launch"]), (twice, twice));
        assert_eq!((usage.since_unix_ms, usage.grants["qmp"], usage.cpu_us), (5, 5, 14));
    }
}
