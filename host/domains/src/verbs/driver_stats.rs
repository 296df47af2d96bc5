//! `driver stats`: what drivers did, how often, and how long it took.

use hostler_state::{DriverUsage, UsageTally};

use crate::driver_summary::{ActivityLine, DriverStats};
use crate::error::Error;
use crate::host::Host;

impl Host {
    /// What the drivers of this host did on behalf of its owners, by name; those that did nothing are left out.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`] when there is no driver of the name that is asked for; [`crate::Kind::Host`].
    pub fn driver_stats(&self, name: Option<&str>) -> Result<Vec<DriverStats>, Error> {
        let mut names: Vec<String> = match name {
            Some(name) => vec![self.drivers.candidate(name)?.name],
            None => self.drivers.candidates()?.into_iter().map(|candidate| candidate.name).collect(),
        };
        names.sort();
        names.dedup();
        let mut all = Vec::new();
        for driver in names {
            let usage = self.state().driver_usage(&driver)?;
            if usage.since_unix_ms != 0 {
                all.push(stats(driver, usage));
            }
        }
        Ok(all)
    }

    /// The same of all drivers, with what this very process has let them do until now.
    ///
    /// # Errors
    /// As [`Host::driver_stats`].
    pub fn driver_stats_now(&self) -> Result<Vec<DriverStats>, Error> {
        self.keep_usage();
        self.driver_stats(None)
    }
}

fn stats(driver: String, usage: DriverUsage) -> DriverStats {
    let line = |(name, tally): (String, UsageTally)| {
        let UsageTally { count, failed, time_us } = tally;
        ActivityLine { name, count, failed, time_us, mean_us: time_us.checked_div(count).unwrap_or(0) }
    };
    DriverStats {
        driver,
        since_unix_ms: usage.since_unix_ms,
        cpu_us: usage.cpu_us,
        operations: usage.operations.into_iter().map(line).collect(),
        host_calls: usage.host_calls.into_iter().map(line).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_of_nothing_is_nothing() {
        let usage = DriverUsage {
            since_unix_ms: 1,
            operations: [
                ("start".to_owned(), UsageTally { count: 2, failed: 0, time_us: 9 }),
                ("query".to_owned(), UsageTally::default()),
            ]
            .into(),
            ..DriverUsage::default()
        };
        let means: Vec<_> = stats("a".to_owned(), usage).operations.iter().map(|line| line.mean_us).collect();
        assert_eq!(means, [0, 4]);
    }
}
