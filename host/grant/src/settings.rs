//! What the operator's policy says about limits: for each call of a driver, and for what the drivers of a tenant use together.

use serde::Deserialize;

use crate::error::{GrantError, Kind};

/// Limits of each call of a driver; what is not said stays as it is built in.
///
/// ```json
/// { "memory-mib": 32, "cpu-ms": 200, "start-ms": 120000 }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CallSettings {
    /// Linear memory of one instance, in MiB, 2 to 64.
    pub memory_mib: Option<u64>,
    /// Tables of one instance, 1 to 16.
    pub tables: Option<u64>,
    /// Elements of one table, 100 to 10,000.
    pub table_elements: Option<u64>,
    /// Core instances of one component, 1 to 64.
    pub core_instances: Option<u64>,
    /// Host objects and handles that are alive at once in one call, 16 to 1,024.
    pub handles: Option<u64>,
    /// What one call to the host may carry, in KiB, 64 to 4,096.
    pub message_kib: Option<u64>,
    /// Processor time of one call, in milliseconds, 10 to 60,000.
    pub cpu_ms: Option<u64>,
    /// What one driver may write to the log at once, in bytes, 0 to 16 MiB.
    pub log_burst_bytes: Option<u64>,
    /// What one driver may write to the log in the long run, in bytes a second, 0 to 16 MiB.
    pub log_bytes_per_second: Option<u64>,
    /// Wall time of a call that only computes, in milliseconds, 100 to 600,000; so are the others.
    pub plan_ms: Option<u64>,
    /// Wall time of a start.
    pub start_ms: Option<u64>,
    /// Wall time of a call that asks a running hypervisor something or makes it change.
    pub control_ms: Option<u64>,
    /// Wall time of ending a domain.
    pub end_ms: Option<u64>,
    /// Wall time of reattaching, of an event, of the end of recovery.
    pub recovery_ms: Option<u64>,
    /// Wall time of moving a guest's memory to a file or from one, in milliseconds, 1,000 to 86,400,000 (a day).
    pub transfer_ms: Option<u64>,
}

/// What all drivers of one tenant may use together; what is not said stays as it is built in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RateSettings {
    /// Processor time at once, in milliseconds, 100 to 3,600,000.
    pub cpu_burst_ms: Option<u64>,
    /// Processor time in the long run, in milliseconds a second, 1 to 64,000 (64 processors). A tenant has a quota of
    /// its own for it.
    pub cpu_ms_per_second: Option<u64>,
    /// Host calls at once, 100 to 100 million.
    pub host_call_burst: Option<u64>,
    /// Host calls in the long run, in calls a second, 100 to 10 million.
    pub host_calls_per_second: Option<u64>,
    /// Events at once, 1 to a million.
    pub event_burst: Option<u64>,
    /// Events in the long run, in events a second, 1 to 100,000.
    pub events_per_second: Option<u64>,
}

/// Least and most of a time that a call may take, in milliseconds.
const WALL_MS: (u64, u64) = (100, 600_000);
/// Least and most that may be written to the log, in bytes.
const LOG_BYTES: (u64, u64) = (0, 16 << 20);

/// A setting: its name in the policy, what was said, least and most.
type Setting = (&'static str, Option<u64>, (u64, u64));

impl CallSettings {
    fn settings(&self) -> [Setting; 15] {
        [
            ("memory-mib", self.memory_mib, (2, 64)),
            ("tables", self.tables, (1, 16)),
            ("table-elements", self.table_elements, (100, 10_000)),
            ("core-instances", self.core_instances, (1, 64)),
            ("handles", self.handles, (16, 1_024)),
            ("message-kib", self.message_kib, (64, 4_096)),
            ("cpu-ms", self.cpu_ms, (10, 60_000)),
            ("log-burst-bytes", self.log_burst_bytes, LOG_BYTES),
            ("log-bytes-per-second", self.log_bytes_per_second, LOG_BYTES),
            ("plan-ms", self.plan_ms, WALL_MS),
            ("start-ms", self.start_ms, WALL_MS),
            ("control-ms", self.control_ms, WALL_MS),
            ("end-ms", self.end_ms, WALL_MS),
            ("recovery-ms", self.recovery_ms, WALL_MS),
            ("transfer-ms", self.transfer_ms, (1_000, 86_400_000)),
        ]
    }

    /// Refuses what is out of range. `whose` is where it was said, for the message.
    pub(crate) fn check(&self, whose: &str) -> Result<(), GrantError> {
        check(whose, &self.settings())
    }

    /// These, and what they do not say as `fallback` has it.
    #[must_use]
    pub fn or(self, fallback: Self) -> Self {
        Self {
            memory_mib: self.memory_mib.or(fallback.memory_mib),
            tables: self.tables.or(fallback.tables),
            table_elements: self.table_elements.or(fallback.table_elements),
            core_instances: self.core_instances.or(fallback.core_instances),
            handles: self.handles.or(fallback.handles),
            message_kib: self.message_kib.or(fallback.message_kib),
            cpu_ms: self.cpu_ms.or(fallback.cpu_ms),
            log_burst_bytes: self.log_burst_bytes.or(fallback.log_burst_bytes),
            log_bytes_per_second: self.log_bytes_per_second.or(fallback.log_bytes_per_second),
            plan_ms: self.plan_ms.or(fallback.plan_ms),
            start_ms: self.start_ms.or(fallback.start_ms),
            control_ms: self.control_ms.or(fallback.control_ms),
            end_ms: self.end_ms.or(fallback.end_ms),
            recovery_ms: self.recovery_ms.or(fallback.recovery_ms),
            transfer_ms: self.transfer_ms.or(fallback.transfer_ms),
        }
    }
}

impl RateSettings {
    /// Refuses what is out of range.
    pub(crate) fn check(&self) -> Result<(), GrantError> {
        let settings = [
            ("cpu-burst-ms", self.cpu_burst_ms, (100, 3_600_000)),
            ("cpu-ms-per-second", self.cpu_ms_per_second, (1, 64_000)),
            ("host-call-burst", self.host_call_burst, (100, 100_000_000)),
            ("host-calls-per-second", self.host_calls_per_second, (100, 10_000_000)),
            ("event-burst", self.event_burst, (1, 1_000_000)),
            ("events-per-second", self.events_per_second, (1, 100_000)),
        ];
        check("rates", &settings)
    }
}

/// Refuses a stack that is out of range.
pub(crate) fn check_stack(stack_kib: Option<u64>) -> Result<(), GrantError> {
    check("drivers", &[("stack-kib", stack_kib, (64, 512))])
}

fn check(whose: &str, settings: &[Setting]) -> Result<(), GrantError> {
    for (name, value, (least, most)) in settings {
        let Some(value) = value else { continue };
        if !(least..=most).contains(&value) {
            return Err(GrantError::new(
                Kind::PolicyInvalid,
                format!("policy: {whose}: '{name}' is {value}, outside {least} to {most}"),
                "correct the policy, or leave the limit out: then the built-in one holds",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::policy::Policy;

    #[test]
    fn limits_of_a_driver_come_before_those_of_all() {
        let text = r#"{"default":{"allow":[],"limits":{"memory-mib":16,"cpu-ms":100}},
            "drivers":{"qemu":{"allow":[],"limits":{"cpu-ms":900}}}}"#;
        let policy = Policy::parse(text.as_bytes()).unwrap();
        let (qemu, other) = (policy.limits_for("qemu"), policy.limits_for("other"));
        assert_eq!((qemu.memory_mib, qemu.cpu_ms), (Some(16), Some(900)));
        assert_eq!((other.memory_mib, other.cpu_ms, other.plan_ms), (Some(16), Some(100), None));
    }

    #[test]
    fn limits_out_of_range_are_refused_with_their_place() {
        for (text, expected) in [
            (
                r#"{"default":{"allow":[],"limits":{"memory-mib":65}}}"#,
                "default: 'memory-mib' is 65, outside 2 to 64",
            ),
            (
                r#"{"drivers":{"q":{"allow":[],"limits":{"cpu-ms":1}}}}"#,
                "driver 'q': 'cpu-ms' is 1, outside 10",
            ),
            (r#"{"drivers":{"q":{"allow":[],"limits":{"cpu":1}}}}"#, "unknown field `cpu`"),
            (r#"{"stack-kib":63}"#, "drivers: 'stack-kib' is 63"),
            (r#"{"rates":{"events-per-second":0}}"#, "rates: 'events-per-second' is 0"),
            (r#"{"drivers":{"q":{"allow":[],"limits":{"event-burst":9}}}}"#, "unknown field `event-burst`"),
        ] {
            let error = Policy::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
