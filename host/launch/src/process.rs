//! What `/proc` says about processes: who is who, although numbers are used again.

use std::fs::Metadata;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::shim::record::ProcessIdentity;

/// A process's open descriptors: number, and what it is of.
pub(crate) fn descriptors(pid: u32) -> io::Result<Vec<(u32, String)>> {
    let mut open = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that is closed while it is looked at is none.
        let Ok(target) = std::fs::read_link(entry.path()) else { continue };
        open.push((number, target.display().to_string()));
    }
    Ok(open)
}

/// This boot's identifier: process numbers and start times mean nothing in another.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// The identity of the process that has this number now.
pub(crate) fn identify(pid: u32) -> io::Result<ProcessIdentity> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    start_ticks(&stat).map(|start_ticks| ProcessIdentity { pid, start_ticks }).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat has no start time"))
    })
}

/// A descriptor for the process with this identity; nothing when it is gone, whoever has its number now.
pub(crate) fn open(identity: ProcessIdentity) -> io::Result<Option<OwnedFd>> {
    let pid = i32::try_from(identity.pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // Looked at after opening: from here on the number cannot pass to another process unnoticed.
    match identify(identity.pid) {
        Ok(now) if now == identity => Ok(Some(pidfd)),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The processes that hold a lock taken with `flock` on this file. Those of other users, and of other process
/// namespaces, are not seen. A file that does not exist is held by nobody.
pub(crate) fn holders(lock: &Path) -> io::Result<Vec<ProcessIdentity>> {
    let file = match std::fs::metadata(lock) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found?,
    };
    let mut holders = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process that ends while it is looked at holds nothing any more.
        let Ok(identity) = identify(pid) else { continue };
        if holds(pid, &file) {
            holders.push(identity);
        }
    }
    Ok(holders)
}

/// A process that has this lock file open although the file was removed: what is left of a domain whose run
/// directory somebody deleted. Looks at every process, which takes milliseconds.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn holder_of_removed(lock: &Path) -> io::Result<Option<u32>> {
    let wanted = PathBuf::from(format!("{} (deleted)", lock.display()));
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process that ends while it is looked at, or another user's, has nothing of ours open.
        let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        if descriptors
            .flatten()
            .any(|entry| std::fs::read_link(entry.path()).is_ok_and(|path| path == wanted))
        {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

/// Whether a process has a descriptor of this very file, with a lock on it.
fn holds(pid: u32, file: &Metadata) -> bool {
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors.flatten().any(|descriptor| {
        let same = std::fs::metadata(descriptor.path())
            .is_ok_and(|found| (found.dev(), found.ino()) == (file.dev(), file.ino()));
        let number = descriptor.file_name();
        let locked =
            |info: String| info.lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK"));
        same && std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", number.to_string_lossy()))
            .is_ok_and(locked)
    })
}

/// Field 22, counted behind the command's name, which may hold blanks and brackets itself.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_time_is_found_behind_an_odd_name() {
        let stat = "7 (a ) S 1 (x) R 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 1 1";
        assert_eq!(start_ticks(stat), Some(4242));
        assert_eq!(start_ticks("7 x"), None);
    }

    #[test]
    fn holder_of_a_lock_is_found_and_a_mere_reader_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        assert!(holders(&path).unwrap().is_empty());
        let lock = hostler_state::RunLock::acquire(&path).unwrap();
        let me = identify(std::process::id()).unwrap();
        assert_eq!(holders(&path).unwrap(), [me]);
        drop(lock);
        let _reader = std::fs::File::open(&path).unwrap();
        assert!(holders(&path).unwrap().is_empty());
    }

    #[test]
    fn removed_lock_is_found_with_whoever_has_it_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = hostler_state::RunLock::acquire(&path).unwrap();
        assert_eq!(holder_of_removed(&path).unwrap(), None);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(holder_of_removed(&path).unwrap(), Some(std::process::id()));
        drop(lock);
        assert_eq!(holder_of_removed(&path).unwrap(), None);
    }

    #[test]
    fn own_process_is_opened_and_another_start_time_is_not() {
        let mut me = identify(std::process::id()).unwrap();
        assert!(open(me).unwrap().is_some());
        me.start_ticks += 1;
        assert!(open(me).unwrap().is_none());
        assert!(!boot_id().unwrap().is_empty());
    }
}
