//! Counts the processor time of a call, and stops the guest when it is used up.
//!
//! What counts is the thread's own processor clock while the call is polled: waiting for the host costs a
//! driver nothing, and a busy machine does not make a driver look slow.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Store, UpdateDeadline};

use crate::rates::TenantRates;

/// Processor time of one call. Only the thread that polls the call writes it.
pub(crate) struct Meter {
    used_ns: AtomicU64,
    polled_since_ns: AtomicU64,
    /// How much of it the tenant has been charged.
    charged_ns: AtomicU64,
    /// The tenant's; none in a worker, whose host charges the tenant.
    rates: Option<Arc<TenantRates>>,
}

/// The reason for a trap: the guest used up its processor time.
#[derive(Debug)]
pub(crate) struct ProcessorTimeUsedUp(pub(crate) Duration);

impl fmt::Display for ProcessorTimeUsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {} ms of processor time", self.0.as_millis())
    }
}

impl std::error::Error for ProcessorTimeUsedUp {}

impl Meter {
    /// Nothing used yet, of this tenant's rate.
    pub(crate) fn new(rates: Option<Arc<TenantRates>>) -> Self {
        let zero = AtomicU64::default;
        Self { used_ns: zero(), polled_since_ns: zero(), charged_ns: zero(), rates }
    }

    /// Limits what guests of this store may use: checked at each epoch, where the guest also yields so that
    /// its call can be dropped.
    pub(crate) fn limit<T: 'static>(self: &Arc<Self>, store: &mut Store<T>, limit: Duration) {
        let meter = Arc::clone(self);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| {
            let used = meter.used_while_polled();
            if used > limit {
                return Err(ProcessorTimeUsedUp(limit).into());
            }
            let wait = meter.charge(used);
            Ok(if wait.is_zero() {
                UpdateDeadline::Yield(1)
            } else {
                UpdateDeadline::YieldCustom(1, Box::pin(tokio::time::sleep(wait)))
            })
        });
    }

    /// The future, with what polling it costs counted here.
    pub(crate) fn count<F: Future>(self: Arc<Self>, call: F) -> Counted<F> {
        Counted { meter: self, call: Box::pin(call) }
    }

    /// Charges the tenant for what it was not charged for yet; how long it has to wait before it may use more.
    fn charge(&self, used: Duration) -> Duration {
        let Some(rates) = &self.rates else { return Duration::ZERO };
        let used = u64::try_from(used.as_nanos()).unwrap_or(u64::MAX);
        let before = self.charged_ns.swap(used, Ordering::Relaxed);
        rates.charge_cpu(Duration::from_nanos(used.saturating_sub(before)))
    }

    /// Charges for the rest when the call is over; what it used in all.
    pub(crate) fn settle(&self) -> Duration {
        let used = Duration::from_nanos(self.used_ns.load(Ordering::Relaxed));
        self.charge(used);
        used
    }

    /// Counts what was used elsewhere.
    pub(crate) fn add(&self, used: Duration) {
        self.used_ns.fetch_add(u64::try_from(used.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn used_while_polled(&self) -> Duration {
        let now = thread_ns().saturating_sub(self.polled_since_ns.load(Ordering::Relaxed));
        Duration::from_nanos(self.used_ns.load(Ordering::Relaxed).saturating_add(now))
    }
}

/// See [`Meter::count`].
pub(crate) struct Counted<F> {
    meter: Arc<Meter>,
    call: Pin<Box<F>>,
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.meter.polled_since_ns.store(thread_ns(), Ordering::Relaxed);
        let polled = self.call.as_mut().poll(context);
        let used = self.meter.used_while_polled();
        self.meter.used_ns.store(u64::try_from(used.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        polled
    }
}

/// The processor time that this thread has used since it began, in nanoseconds.
fn thread_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec)
        .unwrap_or(0)
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_counts_and_waiting_does_not() {
        let rates = Arc::new(TenantRates::new(&crate::limits::Limits::default()));
        let meter = Arc::new(Meter::new(Some(rates)));
        let burn = || {
            let begun = thread_ns();
            while thread_ns() - begun < 30_000_000 {}
        };
        Arc::clone(&meter).count(tokio::task::spawn_blocking(burn)).await.unwrap();
        let waited = Duration::from_nanos(meter.used_ns.load(Ordering::Relaxed));
        assert!(waited < Duration::from_millis(20), "{waited:?}");
        let begun = thread_ns();
        let working = Arc::clone(&meter).count(async { while thread_ns() - begun < 5_000_000 {} });
        working.await;
        assert!(meter.used_ns.load(Ordering::Relaxed) >= 5_000_000);
    }
}
