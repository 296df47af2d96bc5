//! Ending a hypervisor whose shim is gone.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use hostler_state::RunDir;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};

use crate::control_group::{Layout, sweep};
use crate::error::{ShimError, ShimErrorKind};
use crate::process;

/// Time between asking an orphan to end and killing it.
const GRACE: Duration = Duration::from_secs(5);
/// Time for a killed process to be gone.
const GONE: Duration = Duration::from_secs(10);
/// Time for a run lock whose holder cannot be seen: it may be on its way from a launcher that was killed to its shim.
const UNSEEN: Duration = Duration::from_secs(2);
/// Between two looks at who holds it.
const LOOK: Duration = Duration::from_millis(100);

/// Ends what is left of a domain whose shim does not answer: SIGTERM, SIGKILL after 5 s, and waits for its end.
///
/// Only processes that hold this domain's run lock are touched: what they are is asked of the kernel, not of a
/// record, so there is no moment at which a hypervisor is not known. Nothing to end is success.
///
/// # Errors
/// [`ShimErrorKind::NotOurs`] when the run lock is held by a process that cannot be seen from here;
/// [`ShimErrorKind::TimedOut`] when one does not go; [`ShimErrorKind::Io`].
pub fn end_orphan(run: &RunDir) -> Result<(), ShimError> {
    let deadline = Instant::now() + UNSEEN;
    loop {
        end_holders(run)?;
        // What one of them has just started is seen at the next look, and so is who gets a lock that is on its way.
        if released(run, LOOK)? {
            // What stays of its control group holds nobody back, and is swept by the next owner.
            Layout::of_this_host().and_then(|layout| sweep(&layout, run)).ok();
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(unseen(run));
        }
    }
}

fn end_holders(run: &RunDir) -> Result<(), ShimError> {
    let holders = process::holders(&run.lock_path())
        .map_err(|error| ShimError::io("look for who holds the run lock", error))?;
    for holder in holders {
        let opened = process::open(holder).map_err(|error| ShimError::io("open the process", error))?;
        if let Some(pidfd) = opened {
            end(&pidfd)?;
        }
    }
    Ok(())
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
fn released(run: &RunDir, within: Duration) -> Result<bool, ShimError> {
    run.wait_released(within).map_err(|error| ShimError::io("look at the run lock", error))
}

fn unseen(run: &RunDir) -> ShimError {
    ShimError::new(
        ShimErrorKind::NotOurs,
        "the run lock is held by a process that cannot be seen from here; it was left alone",
    )
    .hint(format!("see who holds it: fuser -v '{}'", run.lock_path().display()))
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

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::mem::MaybeUninit;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    use hostler_state::RunDir;
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

    use super::*;

    /// A run whose lock is held by a descriptor that lies in a socket, and the socket.
    fn on_its_way(directory: &std::path::Path) -> (RunDir, (UnixStream, UnixStream)) {
        let directory = directory.join("5f117308-a2f7-49db-b93d-5c0bd386d2f9");
        std::fs::create_dir(&directory).unwrap();
        let run = RunDir::open(&directory).unwrap();
        let lock = run.acquire().unwrap();
        let ends = UnixStream::pair().unwrap();
        let fds = [lock.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        assert!(rights.push(SendAncillaryMessage::ScmRights(&fds)));
        sendmsg(&ends.0, &[IoSlice::new(b" ")], &mut rights, SendFlags::empty()).unwrap();
        (run, ends)
    }

    #[test]
    fn lock_on_its_way_to_nobody_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let (run, ends) = on_its_way(directory.path());
        assert!(run.is_held().unwrap());
        std::thread::scope(|scope| {
            let ending = scope.spawn(|| end_orphan(&run));
            drop(ends);
            ending.join().unwrap().unwrap();
        });
    }

    #[test]
    fn lock_that_stays_held_by_nobody_who_is_seen_is_told_and_left() {
        let directory = tempfile::tempdir().unwrap();
        let (run, ends) = on_its_way(directory.path());
        assert_eq!(end_orphan(&run).unwrap_err().kind, ShimErrorKind::NotOurs);
        assert!(run.is_held().unwrap());
        drop(ends);
        assert!(!run.is_held().unwrap());
    }
}
