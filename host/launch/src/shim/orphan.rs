//! Ending a hypervisor whose shim is gone.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use hostler_state::RunDir;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};

use crate::error::{ShimError, ShimErrorKind};
use crate::process;

/// Time between asking an orphan to end and killing it.
const GRACE: Duration = Duration::from_secs(5);
/// Time for a killed process to be gone, and for the run lock to be free after that.
const GONE: Duration = Duration::from_secs(10);

/// Ends what is left of a domain whose shim does not answer: SIGTERM, SIGKILL after 5 s, and waits for its end.
///
/// Only processes that hold this domain's run lock are touched: what they are is asked of the kernel, not of a
/// record, so there is no moment at which a hypervisor is not known. Nothing to end is success.
///
/// # Errors
/// [`ShimErrorKind::NotOurs`] when the run lock is held by a process that cannot be seen from here;
/// [`ShimErrorKind::TimedOut`] when one does not go; [`ShimErrorKind::Io`].
pub fn end_orphan(run: &RunDir) -> Result<(), ShimError> {
    let holders = process::holders(&run.lock_path())
        .map_err(|error| ShimError::io("look for who holds the run lock", error))?;
    for holder in holders {
        let opened = process::open(holder).map_err(|error| ShimError::io("open the process", error))?;
        if let Some(pidfd) = opened {
            end(&pidfd)?;
        }
    }
    released(run)
}

fn end(pidfd: &OwnedFd) -> Result<(), ShimError> {
    signal(pidfd, Signal::TERM)?;
    if gone(pidfd, GRACE)? {
        return Ok(());
    }
    signal(pidfd, Signal::KILL)?;
    if gone(pidfd, GONE)? {
        return Ok(());
    }
    Err(ShimError::new(ShimErrorKind::TimedOut, "the killed hypervisor does not go")
        .hint("it may wait for storage that does not answer"))
}

/// Whether the lock is free, which is what an ended domain means.
fn released(run: &RunDir) -> Result<(), ShimError> {
    let held = run.is_held().map_err(|error| ShimError::io("look at the run lock", error))?;
    if !held {
        return Ok(());
    }
    Err(ShimError::new(
        ShimErrorKind::NotOurs,
        "the run lock is held by a process that cannot be seen from here; it was left alone",
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
