//! Files of others that are the program's own in its cage: mounts on which their owner is the program's user.
//!
//! A program that opens its files by path has to have the right to, and its user has none to any file. So the owner of
//! each is mapped to that user, on a mount that only the cage has; nothing on the host is given away or changes.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use rustix::fs::{Mode, OFlags, open};

use super::plan::NamedFile;
use super::{Wall, WallFailure};

/// The argument that makes the shim's program the holder of a user namespace.
pub(crate) const ARGUMENT: &str = "map";

/// A user and a group.
pub(crate) type Owner = (u32, u32);

/// For each owner of a file, the namespace in which it is the program's user.
#[derive(Debug, Default)]
pub(crate) struct Mappings(Vec<(Owner, OwnedFd)>);

impl Mappings {
    /// What the files take that the user `identity` may not open. To be made before the process enters a process
    /// namespace, whose first process would be the one that helps here.
    ///
    /// # Errors
    /// No user namespace can be made for a file that is written to.
    pub(crate) fn make(files: &[NamedFile], identity: Option<u32>) -> Result<Self, WallFailure> {
        let mut mappings = Self::default();
        let Some(uid) = identity else { return Ok(mappings) };
        for file in files {
            let found = std::fs::metadata(format!("/proc/self/fd/{}", file.fd))
                .map_err(|error| Wall::Root.failed(format!("look at descriptor {}", file.fd), error))?;
            let owner = (found.uid(), found.gid());
            if is_open_to_all(found.mode(), file.writable) || mappings.of(owner).is_some() {
                continue;
            }
            match namespace(owner, uid) {
                Ok(namespace) => mappings.0.push((owner, namespace)),
                Err(error) if file.writable => {
                    let what = format!("make user {uid} the owner of '{}'", file.path.display());
                    return Err(Wall::Root.failed(what, error));
                }
                // It is copied then.
                Err(_) => {}
            }
        }
        Ok(mappings)
    }

    fn of(&self, owner: Owner) -> Option<&OwnedFd> {
        self.0.iter().find(|(other, _)| *other == owner).map(|(_, namespace)| namespace)
    }

    /// Makes a mount that is in no place yet one on which files of `owner` are the program's.
    ///
    /// # Errors
    /// As the kernel has it: `EINVAL` of a file system that cannot, `EPERM` where a container may not.
    pub(crate) fn give(&self, tree: &OwnedFd, owner: Owner) -> io::Result<()> {
        let namespace = self.of(owner).ok_or(io::ErrorKind::NotFound)?;
        set_mapping(tree, namespace)
    }
}

/// Whether every user may open a file of this mode.
pub(crate) fn is_open_to_all(mode: u32, writable: bool) -> bool {
    let wanted = if writable { 0o006 } else { 0o004 };
    mode & wanted == wanted
}

/// A user namespace in which `owner` is the user `uid`, and nobody else anybody.
fn namespace(owner: Owner, uid: u32) -> io::Result<OwnedFd> {
    hold_namespace(owner, (uid, 1))
}

/// A user namespace whose `count` users, from 0 on, are those of this one from `first` on. A mount that is mapped by it shows
/// the owners that files have to whoever is in it.
///
/// # Errors
/// As the kernel has it: `EPERM` where these users are not ours to give.
pub(crate) fn users(first: u32, count: u32) -> io::Result<OwnedFd> {
    hold_namespace((0, 0), (first, count))
}

/// A user namespace in which users from `owner` on are as many of ours.
fn hold_namespace(owner: Owner, ours: (u32, u32)) -> io::Result<OwnedFd> {
    let mut holder = Command::new("/proc/self/exe");
    holder.arg0("hostler-shim").arg(ARGUMENT).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = holder.spawn()?;
    let (stdin, stdout) = (holder.stdin.take(), holder.stdout.take());
    let mapped = map(holder.id(), stdin, stdout, owner, ours);
    // It ends when its standard input does, which `map` has closed.
    let status = holder.wait()?;
    match mapped {
        Ok(namespace) if status.success() => Ok(namespace),
        Ok(_) => Err(io::Error::other(format!("the holder of the namespace ended with {status}"))),
        Err(error) => Err(error),
    }
}

fn map(
    pid: u32,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    (user, group): Owner,
    (first, count): (u32, u32),
) -> io::Result<OwnedFd> {
    let (_stdin, mut stdout) = stdin.zip(stdout).ok_or(io::ErrorKind::BrokenPipe)?;
    stdout.read_exact(&mut [0])?;
    for (name, theirs) in [("uid_map", user), ("gid_map", group)] {
        let mut file = std::fs::File::options().write(true).open(format!("/proc/{pid}/{name}"))?;
        file.write_all(format!("{theirs} {first} {count}").as_bytes())?;
    }
    Ok(open(format!("/proc/{pid}/ns/user"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// The holder: it makes a user namespace, says so, and stays until it is let go.
pub(crate) fn hold() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER)?;
    io::stdout().write_all(&[1])?;
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

/// `struct mount_attr` of the kernel's interface.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// `MOUNT_ATTR_IDMAP`: owners are mapped as the namespace has it.
const MAP_OWNERS: u64 = 0x0010_0000;

/// Makes a mount that is in no place yet one on which owners are mapped as the user namespace has it.
///
/// # Errors
/// As [`Mappings::give`].
#[expect(unsafe_code, reason = "no crate has a safe call for mount_setattr")]
pub(crate) fn set_mapping(tree: &OwnedFd, namespace: &OwnedFd) -> io::Result<()> {
    let number = namespace.as_fd().as_raw_fd();
    let user_namespace = u64::try_from(number).map_err(|_| io::ErrorKind::InvalidInput)?;
    let attributes = MountAttributes { set: MAP_OWNERS, clear: 0, propagation: 0, user_namespace };
    // SAFETY: both descriptors are open for the length of the call; the path is empty and ends with a NUL; the kernel
    // reads as many bytes of `attributes` as it is told, which are all of it, and keeps nothing.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_may_open_what_others_may_read_and_write() {
        assert!(is_open_to_all(0o100_644, false) && is_open_to_all(0o100_666, true));
        assert!(!is_open_to_all(0o100_640, false) && !is_open_to_all(0o100_644, true));
    }
}
