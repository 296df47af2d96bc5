//! From what policy and tenant say to the limits of a call: the policy's settings replace the built-in ones, and a tenant's
//! own limits hold above both.

use std::time::Duration;

use hostler_grant::{CallSettings, RateSettings};

use crate::limits::{InstanceLimits, Limits};

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
        let memory_bytes = tenant.memory_bytes.unwrap_or(usize::MAX).min(limits.instance.memory_bytes);
        Self {
            instance: InstanceLimits { memory_bytes, ..limits.instance },
            cpu_per_second: tenant.cpu_per_second.unwrap_or(limits.cpu_per_second),
            ..limits
        }
    }

    fn with_call(self, call: &CallSettings) -> Self {
        Self {
            instance: instance(call, self.instance),
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

fn instance(call: &CallSettings, otherwise: InstanceLimits) -> InstanceLimits {
    let units = |said: Option<u64>, unit: u64, otherwise: usize| {
        said.and_then(|number| usize::try_from(number.saturating_mul(unit)).ok()).unwrap_or(otherwise)
    };
    InstanceLimits {
        memory_bytes: units(call.memory_mib, 1 << 20, otherwise.memory_bytes),
        tables: units(call.tables, 1, otherwise.tables),
        table_elements: units(call.table_elements, 1, otherwise.table_elements),
        core_instances: units(call.core_instances, 1, otherwise.core_instances),
        handles: units(call.handles, 1, otherwise.handles),
        hostcall_bytes: units(call.message_kib, 1 << 10, otherwise.hostcall_bytes),
    }
}

fn milliseconds(said: Option<u64>, otherwise: Duration) -> Duration {
    said.map_or(otherwise, Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let policy = r#"{"drivers":{"qemu":{"allow":[],"limits":{"memory-mib":32,"tables":2,
            "table-elements":500,"core-instances":5,"handles":60,"message-kib":128,"cpu-ms":900,"plan-ms":700,
            "start-ms":800,"control-ms":600,"end-ms":500,"recovery-ms":400,"transfer-ms":5000,"log-burst-bytes":7,
            "log-bytes-per-second":8}}},"rates":{"cpu-burst-ms":900,"cpu-ms-per-second":50,"host-call-burst":101,
            "host-calls-per-second":102,"event-burst":3,"events-per-second":4}}"#;
        let ms = Duration::from_millis;
        let expected = Limits {
            instance: InstanceLimits {
                memory_bytes: 32 << 20,
                tables: 2,
                table_elements: 500,
                core_instances: 5,
                handles: 60,
                hostcall_bytes: 128 << 10,
            },
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
        assert_eq!(limits("{}", tenant).instance.memory_bytes, 48 << 20);
    }

    #[test]
    fn most_that_a_policy_can_give_an_instance_is_the_hosts_own_most() {
        let most = InstanceLimits::default();
        for (name, most) in [
            ("memory-mib", most.memory_bytes >> 20),
            ("tables", most.tables),
            ("table-elements", most.table_elements),
            ("core-instances", most.core_instances),
            ("handles", most.handles),
            ("message-kib", most.hostcall_bytes >> 10),
        ] {
            let text =
                |value: usize| format!(r#"{{"default":{{"allow":[],"limits":{{"{name}":{value}}}}}}}"#);
            assert!(hostler_grant::Policy::parse(text(most).as_bytes()).is_ok(), "{name}");
            assert!(hostler_grant::Policy::parse(text(most + 1).as_bytes()).is_err(), "{name}");
        }
    }
}
