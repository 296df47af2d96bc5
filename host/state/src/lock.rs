//! File locks (`flock`): waiting a bounded time, and the run lock that says a domain is running.
//!
//! `flock` belongs to the open file description, so a lock outlives the process that took it as long as a
//! child inherited the descriptor; the kernel drops it when the last holder dies. That is the whole truth
//! about "running".

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::disk;
use crate::error::{Kind, StateError};

/// First pause between two attempts at a lock that is held; doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// Longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_millis(25);
/// How long an acquirer tries beside probes, which keep a shared lock for microseconds.
const PROBES_WAIT: Duration = Duration::from_secs(2);

/// How a lock is taken.
#[derive(Clone, Copy)]
pub(crate) enum Mode {
    Shared,
    Exclusive,
}

/// Takes a lock within `wait`; `false` when somebody else still holds it then.
///
/// The kernel offers no timed `flock`, and a helper thread that blocks in it could not be called back, so
/// this tries again after pauses that grow from 1 to 25 ms.
pub(crate) fn take_within(file: &File, mode: Mode, wait: Duration) -> io::Result<bool> {
    let deadline = Instant::now().checked_add(wait);
    let mut pause = PAUSE_MIN;
    loop {
        let operation = match mode {
            Mode::Shared => FlockOperation::NonBlockingLockShared,
            Mode::Exclusive => FlockOperation::NonBlockingLockExclusive,
        };
        match flock(file, operation) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let left = deadline.map_or(PAUSE_MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return Ok(false);
        }
        std::thread::sleep(pause.min(left));
        pause = PAUSE_MAX.min(pause * 2);
    }
}

/// Lets a lock go now, even where a process that is between fork and exec still shares the descriptor.
pub(crate) fn release(file: &File) {
    // It cannot fail on a descriptor that holds a lock, and closing would release it in any case.
    flock(file, FlockOperation::Unlock).ok();
}

/// The exclusive lock of a running domain.
///
/// It is not released on drop by an unlock but by closing: a hypervisor that inherited the descriptor keeps
/// it held after the shim that took it died.
#[derive(Debug)]
pub struct RunLock {
    file: File,
}

impl RunLock {
    /// Takes the lock, or fails at once with [`Kind::Busy`] when a shim or hypervisor holds it.
    ///
    /// # Errors
    /// [`Kind::Busy`], or [`Kind::Io`] when the file cannot be made or locked.
    pub fn acquire(path: &Path) -> Result<Self, StateError> {
        let failed = |error| StateError::io(path, "take the run lock", error);
        let file = disk::open_shared_file(path).map_err(failed)?;
        let deadline = Instant::now() + PROBES_WAIT;
        while Instant::now() < deadline {
            if take_within(&file, Mode::Exclusive, Duration::ZERO).map_err(failed)? {
                return Ok(Self { file });
            }
            // A shared lock is refused by a holder, and granted beside a probe: then it is worth another try.
            if !take_within(&file, Mode::Shared, Duration::ZERO).map_err(failed)? {
                return Err(StateError::new(Kind::Busy, path, "the domain is running already")
                    .hint("attach to the running domain, or stop it first"));
            }
            release(&file);
            std::thread::yield_now();
        }
        Err(StateError::new(Kind::Busy, path, "the run lock stays under probe by other processes")
            .hint("look for a stopped hostler process and continue or end it"))
    }

    /// Lets the lock go now: a lock that is only dropped stays as long as a process that is between fork and exec has its
    /// descriptor. Whoever was given it has it no longer either.
    pub fn let_go(self) {
        release(&self.file);
    }

    /// Whether somebody holds the lock. A file that does not exist is not held.
    ///
    /// The probe tries the lock in shared mode and lets it go at once; [`RunLock::acquire`] tells a probe
    /// from a holder and tries again, so probing never makes it fail. (rustix has no `F_OFD_GETLK`, which
    /// does not see `flock` locks anyway, and `/proc/locks` hides holders outside the caller's pid namespace.)
    ///
    /// # Errors
    /// [`Kind::Io`] when the lock file cannot be opened or probed: then nothing is known.
    pub fn is_held(path: &Path) -> Result<bool, StateError> {
        Ok(!Self::wait_released(path, Duration::ZERO)?)
    }

    /// Waits until nobody holds the lock; `false` when somebody still does after `wait`.
    ///
    /// # Errors
    /// As [`RunLock::is_held`].
    pub fn wait_released(path: &Path, wait: Duration) -> Result<bool, StateError> {
        let failed = |error| StateError::io(path, "probe the run lock", error);
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            opened => opened.map_err(failed)?,
        };
        let taken = take_within(&file, Mode::Shared, wait).map_err(failed)?;
        if taken {
            release(&file);
        }
        Ok(taken)
    }

    /// The lock behind a descriptor that its taker shared: it is held without a gap while it changes hands.
    #[must_use]
    pub fn shared_by_its_taker(descriptor: OwnedFd) -> Self {
        Self { file: descriptor.into() }
    }

    /// A duplicate of the descriptor, for the shim and to be inherited by the hypervisor; it shares the lock.
    ///
    /// # Errors
    /// [`Kind::Io`] when the process has no descriptor left.
    pub fn share(&self) -> Result<OwnedFd, StateError> {
        let shared = self
            .file
            .try_clone()
            .map_err(|error| StateError::io(Path::new("run lock"), "duplicate", error))?;
        Ok(shared.into())
    }
}

impl AsFd for RunLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn held_lock_is_seen_and_refused_until_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        assert!(!RunLock::is_held(&path).unwrap());
        let lock = RunLock::acquire(&path).unwrap();
        assert!(RunLock::is_held(&path).unwrap());
        assert_eq!(RunLock::acquire(&path).unwrap_err().kind, Kind::Busy);
        drop(lock);
        assert!(!RunLock::is_held(&path).unwrap());
        RunLock::acquire(&path).unwrap();
    }

    #[test]
    fn waiter_is_told_when_the_holder_lets_go() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = RunLock::acquire(&path).unwrap();
        assert!(!RunLock::wait_released(&path, Duration::from_millis(1)).unwrap());
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| RunLock::wait_released(&path, Duration::from_secs(30)).unwrap());
            drop(lock);
            assert!(waiter.join().unwrap());
        });
    }

    #[test]
    fn missing_directory_is_not_held() {
        assert!(!RunLock::is_held(Path::new("/nonexistent/run/lock")).unwrap());
    }

    #[test]
    fn child_that_inherited_the_lock_keeps_it_after_the_shim_let_go() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = RunLock::acquire(&path).unwrap();
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .stdout(lock.share().unwrap())
            .spawn()
            .unwrap();
        drop(lock);
        assert!(RunLock::is_held(&path).unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!RunLock::is_held(&path).unwrap());
    }

    #[test]
    fn lock_that_is_let_go_is_free_although_a_child_has_its_descriptor_still() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = RunLock::acquire(&path).unwrap();
        let child = lock.share().unwrap();
        lock.let_go();
        assert!(!RunLock::is_held(&path).unwrap());
        RunLock::acquire(&path).unwrap().let_go();
        drop(child);
    }

    #[test]
    fn probes_never_make_an_acquirer_fail() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        RunLock::is_held(&path).unwrap();
                    }
                });
            }
            let tries: Vec<_> = (0..300).map(|_| RunLock::acquire(&path).map(drop)).collect();
            stop.store(true, Ordering::Relaxed);
            assert!(tries.iter().all(Result::is_ok));
        });
    }

    #[test]
    fn waiting_ends_when_the_holder_lets_go() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let holder = disk::open_shared_file(&path).unwrap();
        assert!(take_within(&holder, Mode::Exclusive, Duration::ZERO).unwrap());
        let other = disk::open_shared_file(&path).unwrap();
        assert!(!take_within(&other, Mode::Exclusive, Duration::from_millis(5)).unwrap());
        std::thread::scope(|scope| {
            let waiter =
                scope.spawn(|| take_within(&other, Mode::Exclusive, Duration::from_secs(30)).unwrap());
            release(&holder);
            assert!(waiter.join().unwrap());
        });
    }
}
