//! From what policy and tenant say to the limits of a call: the policy's settings replace the built-in ones, and a tenant's
//! own limits hold above both.

use std::time::Duration;

use hostler_grant::{CallSettings, RateSettings};

use crate::limits::Limits;

/// What the record of one tenant says about its drivers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TenantLimits {
    /// The most memory of one instance, in bytes.
    pub memory_bytes: Option<usize>,
    /// Processor time of its drivers in the long run, in each second.
    pub cpu_per_second: Option<Duration>,
}

impl Limits {
    /// These limits where neither policy nor tenant say another.
    pub(crate) fn with(self, call: &CallSettings, rates: &RateSettings, tenant: &TenantLimits) -> Self {
        let limits = self.with_call(call).with_rates(rates);
        Self {
            memory_bytes: tenant.memory_bytes.unwrap_or(usize::MAX).min(limits.memory_bytes),
            cpu_per_second: tenant.cpu_per_second.unwrap_or(limits.cpu_per_second),
            ..limits
        }
    }

    fn with_call(self, call: &CallSettings) -> Self {
        let memory = call.memory_mib.and_then(|mib| usize::try_from(mib.saturating_mul(1 << 20)).ok());
        Self {
            memory_bytes: memory.unwrap_or(self.memory_bytes),
            cpu: milliseconds(call.cpu_ms, self.cpu),
            log_burst_bytes: call.log_burst_bytes.unwrap_or(self.log_burst_bytes),
            log_bytes_per_second: call.log_bytes_per_second.unwrap_or(self.log_bytes_per_second),
            plan: milliseconds(call.plan_ms, self.plan),
            start: milliseconds(call.start_ms, self.start),
            control: milliseconds(call.control_ms, self.control),
            end: milliseconds(call.end_ms, self.end),
            recovery: milliseconds(call.recovery_ms, self.recovery),
            transfer: milliseconds(call.transfer_ms, self.transfer),
            ..self
        }
    }

    fn with_rates(self, rates: &RateSettings) -> Self {
        Self {
            cpu_burst: milliseconds(rates.cpu_burst_ms, self.cpu_burst),
            cpu_per_second: milliseconds(rates.cpu_ms_per_second, self.cpu_per_second),
            host_call_burst: rates.host_call_burst.unwrap_or(self.host_call_burst),
            host_calls_per_second: rates.host_calls_per_second.unwrap_or(self.host_calls_per_second),
            event_burst: rates.event_burst.unwrap_or(self.event_burst),
            events_per_second: rates.events_per_second.unwrap_or(self.events_per_second),
            ..self
        }
    }
}

fn milliseconds(said: Option<u64>, otherwise: Duration) -> Duration {
    said.map_or(otherwise, Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MEMORY_BYTES;

    fn limits(policy: &str, tenant: TenantLimits) -> Limits {
        let policy = hostler_grant::Policy::parse(policy.as_bytes()).unwrap();
        Limits::default().with(&policy.limits_for("qemu"), &policy.rates, &tenant)
    }

    #[test]
    fn nothing_said_is_what_is_built_in() {
        assert_eq!(limits("{}", TenantLimits::default()), Limits::default());
    }

    #[test]
    fn policy_sets_what_it_says_and_a_tenant_never_gets_more_memory() {
        let policy = r#"{"drivers":{"qemu":{"allow":[],"limits":{"memory-mib":32,"cpu-ms":900,"plan-ms":700,
            "start-ms":800,"control-ms":600,"end-ms":500,"recovery-ms":400,"transfer-ms":5000,"log-burst-bytes":7,
            "log-bytes-per-second":8}}},"rates":{"cpu-burst-ms":900,"cpu-ms-per-second":50,"host-call-burst":101,
            "host-calls-per-second":102,"event-burst":3,"events-per-second":4}}"#;
        let ms = Duration::from_millis;
        let expected = Limits {
            memory_bytes: 32 << 20,
            cpu: ms(900),
            cpu_burst: ms(900),
            cpu_per_second: ms(50),
            host_call_burst: 101,
            host_calls_per_second: 102,
            event_burst: 3,
            events_per_second: 4,
            log_burst_bytes: 7,
            log_bytes_per_second: 8,
            plan: ms(700),
            start: ms(800),
            control: ms(600),
            end: ms(500),
            recovery: ms(400),
            transfer: ms(5_000),
        };
        assert_eq!(limits(policy, TenantLimits::default()), expected);
        let tenant = TenantLimits { memory_bytes: Some(48 << 20), cpu_per_second: Some(ms(70)) };
        assert_eq!(limits(policy, tenant), Limits { cpu_per_second: ms(70), ..expected });
        assert_eq!(limits("{}", tenant).memory_bytes, 48 << 20);
    }

    #[test]
    fn most_memory_that_a_policy_can_give_is_the_hosts_own_most() {
        let text = |mib: usize| format!(r#"{{"default":{{"allow":[],"limits":{{"memory-mib":{mib}}}}}}}"#);
        assert!(hostler_grant::Policy::parse(text(MEMORY_BYTES >> 20).as_bytes()).is_ok());
        assert!(hostler_grant::Policy::parse(text((MEMORY_BYTES >> 20) + 1).as_bytes()).is_err());
    }
}
