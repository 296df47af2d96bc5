//! A worker that computes for long makes way for everybody else: a driver that loops must not take the time that answers about
//! other domains need.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use rustix::process::{Pid, getpriority_process, setpriority_process};

/// How much lower a worker stands that makes way: it has a tenth of the time of one that does not, where both want it.
const STEP: i32 = 10;
/// The lowest that there is.
const LOWEST: i32 = 19;

/// How a worker stands among the host's processes.
#[derive(Clone, Debug)]
pub(super) struct Priority {
    pid: Option<Pid>,
    clock: Option<ClockId>,
    /// The host's own.
    usual: i32,
    is_low: Arc<AtomicBool>,
}

impl Priority {
    /// Of the process with this number, whose time this clock counts.
    pub(super) fn new(pid: i32, clock: Option<ClockId>) -> Self {
        let usual = getpriority_process(None).unwrap_or_default();
        Self { pid: Pid::from_raw(pid), clock, usual, is_low: Arc::default() }
    }

    /// Lowers it once the process has used more than this of the processor from now on. Never ends: to be dropped with the
    /// operation.
    pub(super) fn lowered_when_busy(&self, burst: Duration) -> impl Future<Output = Infallible> + use<> {
        let this = self.clone();
        async move {
            if let Some(begun) = time_of(this.clock) {
                let used = || time_of(this.clock).map(|now| now.saturating_sub(begun));
                let left = || used().and_then(|used| burst.checked_sub(used));
                while let Some(left) = left().filter(|left| !left.is_zero()) {
                    // It can use no more than what passes.
                    tokio::time::sleep(left.max(Duration::from_millis(1))).await;
                }
                this.lower();
            }
            std::future::pending().await
        }
    }

    /// Lowers it now.
    pub(super) fn lower(&self) {
        let Some(pid) = self.pid else { return };
        match setpriority_process(Some(pid), (self.usual + STEP).min(LOWEST)) {
            Ok(()) => self.is_low.store(true, Ordering::Relaxed),
            Err(error) => tracing::debug!(%error, "a driver's process does not make way"),
        }
    }

    /// Whether it was lowered, and not raised again.
    pub(super) fn is_low(&self) -> bool {
        self.is_low.load(Ordering::Relaxed)
    }

    /// Makes it the usual one again. Whether it is: only some may raise one.
    pub(super) fn raise(&self) -> bool {
        let raised = || self.pid.is_some_and(|pid| setpriority_process(Some(pid), self.usual).is_ok());
        if self.is_low() && raised() {
            self.is_low.store(false, Ordering::Relaxed);
        }
        !self.is_low()
    }
}

fn time_of(clock: Option<ClockId>) -> Option<Duration> {
    clock_gettime(clock?).ok().map(Duration::from)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};
    use std::time::Instant;

    use super::*;
    use nix::time::clock_getcpuclockid;

    /// A process that does this, and how it stands.
    fn process(script: &str) -> (Child, Priority) {
        let child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let clock = clock_getcpuclockid(nix::unistd::Pid::from_raw(pid)).ok();
        (child, Priority::new(pid, clock))
    }

    const BURST: Duration = Duration::from_millis(20);

    fn niceness(priority: &Priority) -> i32 {
        getpriority_process(priority.pid).unwrap()
    }

    #[tokio::test]
    async fn who_computes_makes_way_and_who_waits_does_not() {
        let (mut looping, busy) = process("while :; do :; done");
        let (mut waiting, idle) = process("exec sleep 600");
        let usual = niceness(&idle);
        let end = Instant::now() + Duration::from_secs(60);
        let lowered = async {
            while niceness(&busy) == usual {
                assert!(Instant::now() < end, "it never made way");
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            never = busy.lowered_when_busy(BURST) => match never {},
            never = idle.lowered_when_busy(BURST) => match never {},
            () = lowered => {}
        }
        assert!(niceness(&busy) > usual && niceness(&idle) == usual);
        assert!(idle.raise(), "it is as it was");
        // Only root may.
        assert_eq!(busy.raise(), niceness(&busy) == usual);
        for child in [&mut looping, &mut waiting] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
