//! `log`: lines for the operator, escaped, cut, and limited in rate for each driver.

use std::fmt::Write as _;
use std::sync::PoisonError;
use std::time::Instant;

use crate::bindings::wit::log::{Fact, Host, Level};
use crate::bucket::Bucket;
use crate::call::CallState;
use crate::limits::{self, Limits};
use crate::text;

/// What a driver may still write: refilled as time goes by.
pub(crate) struct LogBudget {
    bytes: Bucket,
    lost: u64,
}

impl LogBudget {
    /// Nothing written yet.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { bytes: Bucket::new(limits.log_burst_bytes, limits.log_bytes_per_second), lost: 0 }
    }

    /// Takes `length` bytes if there are as many; the number of lines lost before, or none if this one is lost.
    fn take(&mut self, length: u64, now: Instant) -> Option<u64> {
        if self.bytes.take(length, now) {
            return Some(std::mem::take(&mut self.lost));
        }
        self.lost = self.lost.saturating_add(1);
        None
    }
}

impl Host for CallState {
    async fn write(&mut self, level: Level, message: String, facts: Vec<Fact>) -> wasmtime::Result<()> {
        self.enter("log.write")?;
        let line = line(&message, &facts);
        let taken = {
            let mut budget = self.driver.log.lock().unwrap_or_else(PoisonError::into_inner);
            budget.take(line.len() as u64, Instant::now())
        };
        match taken {
            Some(0) => {}
            Some(lost) => tracing::warn!(lost, "the driver wrote more than it may, and lines were lost"),
            None => return Ok(()),
        }
        // Driver, version, operation and domain are in the call's span.
        match level {
            Level::Trace => tracing::trace!(target: "hostler::driver", "{line}"),
            Level::Debug => tracing::debug!(target: "hostler::driver", "{line}"),
            Level::Info => tracing::info!(target: "hostler::driver", "{line}"),
            Level::Warn => tracing::warn!(target: "hostler::driver", "{line}"),
            Level::Error => tracing::error!(target: "hostler::driver", "{line}"),
        }
        Ok(())
    }
}

/// One line of at most [`limits::TEXT_BYTES`] and a mark: the message, then its facts.
fn line(message: &str, facts: &[Fact]) -> String {
    let mut line = text::escape(message, limits::TEXT_BYTES);
    for fact in facts.iter().take(limits::FACTS) {
        let left = limits::TEXT_BYTES.saturating_sub(line.len());
        let shown = text::escape(&format!(" {}={:?}", fact.key, fact.value), left);
        // Writing to a string cannot fail.
        line.write_str(&shown).ok();
        if line.len() >= limits::TEXT_BYTES {
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn flood_is_cut_and_what_is_lost_is_counted() {
        let mut budget = LogBudget::new(&Limits::default());
        let start = Instant::now();
        let kept = (0..1_000).filter(|_| budget.take(4 << 10, start).is_some()).count();
        assert_eq!(kept as u64, limits::LOG_BURST_BYTES / (4 << 10));
        assert_eq!(budget.take(4 << 10, start + Duration::from_secs(1)), Some(1_000 - kept as u64));
        let after =
            (0..1_000).filter(|_| budget.take(4 << 10, start + Duration::from_secs(1)).is_some()).count();
        assert_eq!(after as u64, limits::LOG_BYTES_PER_SECOND / (4 << 10) - 1);
    }

    #[test]
    fn line_is_escaped_and_short() {
        let fact = Fact { key: "k".into(), value: "a\nb".into() };
        assert_eq!(line("one\ntwo", std::slice::from_ref(&fact)), r#"one\u{a}two k="a\nb""#);
        let long = Fact { key: "k".repeat(3_000), value: "v".repeat(3_000) };
        assert!(line("m", &vec![long; 40]).len() < limits::TEXT_BYTES + 16);
    }
}
