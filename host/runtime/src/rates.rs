//! What all drivers of one tenant may spend together over time, however many calls they make.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::bucket::Bucket;
use crate::limits::Limits;

/// The rates of one tenant, shared by its calls.
#[derive(Debug)]
pub(crate) struct TenantRates {
    host_calls: Mutex<Bucket>,
    events: Mutex<Bucket>,
    /// In nanoseconds of processor time.
    cpu: Mutex<Bucket>,
}

impl TenantRates {
    /// Nothing spent yet.
    pub(crate) fn new(limits: &Limits) -> Self {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self {
            host_calls: Mutex::new(Bucket::new(limits.host_call_burst, limits.host_calls_per_second)),
            events: Mutex::new(Bucket::new(limits.event_burst, limits.events_per_second)),
            cpu: Mutex::new(Bucket::new(nanoseconds(limits.cpu_burst), nanoseconds(limits.cpu_per_second))),
        }
    }

    /// Whether one more host call may be made.
    pub(crate) fn take_host_call(&self) -> bool {
        lock(&self.host_calls).take(1, Instant::now())
    }

    /// Whether one more event may be emitted.
    pub(crate) fn take_event(&self) -> bool {
        lock(&self.events).take(1, Instant::now())
    }

    /// Waits until the tenant owes no processor time any more. Not at all when it owes none: even an empty sleep ends
    /// at the next tick of the timer only, a millisecond later.
    pub(crate) async fn wait(&self) {
        let owed = self.charge_cpu(Duration::ZERO);
        if !owed.is_zero() {
            tokio::time::sleep(owed).await;
        }
    }

    /// Counts processor time that was used; how long the tenant has to wait before it may use more.
    pub(crate) fn charge_cpu(&self, used: Duration) -> Duration {
        let (mut cpu, now) = (lock(&self.cpu), Instant::now());
        cpu.charge(u64::try_from(used.as_nanos()).unwrap_or(u64::MAX), now);
        Duration::from_nanos(cpu.owed_ns(now))
    }
}

/// The rates of all tenants that this process has met.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<BTreeMap<String, Arc<TenantRates>>>);

impl Rates {
    /// The rates of this tenant, the same ones each time.
    pub(crate) fn of(&self, tenant: &str, limits: &Limits) -> Arc<TenantRates> {
        let mut known = lock(&self.0);
        let rates = known.entry(tenant.to_owned()).or_insert_with(|| Arc::new(TenantRates::new(limits)));
        Arc::clone(rates)
    }
}

/// What is behind the lock is whole between any two statements, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_have_rates_of_their_own_and_drivers_of_one_tenant_share_them() {
        let limits = Limits { host_call_burst: 2, host_calls_per_second: 0, ..Limits::default() };
        let rates = Rates::default();
        assert!(rates.of("blue", &limits).take_host_call() && rates.of("blue", &limits).take_host_call());
        assert!(!rates.of("blue", &limits).take_host_call());
        assert!(rates.of("red", &limits).take_host_call());
    }

    #[test]
    fn processor_time_beyond_the_burst_has_to_be_waited_for() {
        let (burst, each) = (Duration::from_secs(1), Duration::from_millis(100));
        let rates = TenantRates::new(&Limits { cpu_burst: burst, cpu_per_second: each, ..Limits::default() });
        assert_eq!(rates.charge_cpu(burst), Duration::ZERO);
        let wait = rates.charge_cpu(Duration::from_millis(10));
        assert!(wait > Duration::from_millis(50) && wait <= Duration::from_millis(100), "{wait:?}");
    }
}
