//! Ending a hypervisor whose shim is gone.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use hostler_state::{RunDir, RunRecord};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};

use super::record::ProcessRecord;
use crate::error::{ShimError, ShimErrorKind};
use crate::process;

/// Time between asking an orphan to end and killing it.
const GRACE: Duration = Duration::from_secs(5);
/// Time for a killed process to be gone, and for the run lock to be free after that.
const GONE: Duration = Duration::from_secs(10);

/// Ends the hypervisor of a shim that is gone: SIGTERM, SIGKILL after 5 s, and waits for its end.
///
/// Only the very process that the shim recorded is touched. Nothing to end is success.
///
/// # Errors
/// [`ShimErrorKind::NotOurs`] when the run lock is held and the recorded process is not who holds it;
/// [`ShimErrorKind::TimedOut`] when it does not go; [`ShimErrorKind::Io`].
pub fn end_orphan(run: &RunDir) -> Result<(), ShimError> {
    let record: Option<ProcessRecord> =
        run.read(RunRecord::Process).map_err(|error| ShimError::io("read what was started", error))?;
    let boot = process::boot_id().map_err(|error| ShimError::io("read the boot identifier", error))?;
    let Some(record) = record.filter(|record| record.boot_id == boot) else { return released(run) };
    let opened = process::open(record.program).map_err(|error| ShimError::io("open the process", error))?;
    if let Some(pidfd) = opened {
        signal(&pidfd, Signal::TERM)?;
        if !gone(&pidfd, GRACE)? {
            signal(&pidfd, Signal::KILL)?;
            if !gone(&pidfd, GONE)? {
                return Err(ShimError::new(ShimErrorKind::TimedOut, "the killed hypervisor does not go")
                    .hint("it may wait for storage that does not answer"));
            }
        }
    }
    released(run)
}

/// Whether the lock is free, which is what an ended domain means.
fn released(run: &RunDir) -> Result<(), ShimError> {
    let held = run.is_held().map_err(|error| ShimError::io("look at the run lock", error))?;
    if !held {
        return Ok(());
    }
    Err(ShimError::new(
        ShimErrorKind::NotOurs,
        "the run lock is held by a process that was not recorded; it was left alone",
    )
    .hint(format!("see who holds it: fuser -v '{}'", run.lock_path().display())))
}

fn signal(pidfd: &OwnedFd, signal: Signal) -> Result<(), ShimError> {
    match pidfd_send_signal(pidfd, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(ShimError::io("signal the process", error)),
    }
}

fn gone(pidfd: &OwnedFd, within: Duration) -> Result<bool, ShimError> {
    let deadline = Instant::now() + within;
    let mut watched = [PollFd::new(pidfd, PollFlags::IN)];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).unwrap_or_default();
        match poll(&mut watched, Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(error) => return Err(ShimError::io("wait for the process", error)),
        }
    }
}
