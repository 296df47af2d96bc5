//! The wall of namespaces: nothing of the host has a name inside.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::sched::{CloneFlags, unshare};
use rustix::fs::{Mode, OFlags, open, openat};
use rustix::process::{getegid, geteuid};
use rustix::system::sethostname;

use super::{Wall, WallFailure, server};

/// The name that the program sees its machine have.
const HOST_NAME: &[u8] = b"cage";

const ALWAYS: [(CloneFlags, &str); 4] = [
    (CloneFlags::CLONE_NEWNS, "mount"),
    (CloneFlags::CLONE_NEWIPC, "IPC"),
    (CloneFlags::CLONE_NEWUTS, "host name"),
    (CloneFlags::CLONE_NEWCGROUP, "cgroup"),
];
const PROCESS: (CloneFlags, &str) = (CloneFlags::CLONE_NEWPID, "process");
const NETWORK: (CloneFlags, &str) = (CloneFlags::CLONE_NEWNET, "network");

/// Enters new namespaces; processes started from here on are alone in theirs. One who may not make them gets the
/// right to from a user namespace around them.
pub(crate) fn enter(host_network: bool, privileged: bool) -> Result<(), WallFailure> {
    let mut wanted = ALWAYS.to_vec();
    wanted.push(PROCESS);
    if !host_network {
        wanted.push(NETWORK);
    }
    enter_all(&wanted, (!privileged).then(|| (geteuid().as_raw(), getegid().as_raw())))
}

/// As [`enter`], for a process that starts another of ours in them: one who may not make them is root of the user namespace
/// around them, for of a user who is not root what is started keeps no right.
pub(crate) fn enter_as_root(privileged: bool) -> Result<(), WallFailure> {
    let mut wanted = ALWAYS.to_vec();
    wanted.extend([PROCESS, NETWORK]);
    enter_all(&wanted, (!privileged).then_some((server::ROOT, server::ROOT)))
}

/// Enters new namespaces with this process, which starts no other. It stays in its process namespace: whoever leaves
/// that can make no threads, and a process without `/proc` and without `kill` has no use for the numbers of others.
pub(crate) fn enter_alone(privileged: bool) -> Result<(), WallFailure> {
    let mut wanted = ALWAYS.to_vec();
    wanted.push(NETWORK);
    enter_all(&wanted, (!privileged).then(|| (geteuid().as_raw(), getegid().as_raw())))
}

/// Through a user namespace in which this user and its group have these numbers, if there are any.
fn enter_all(wanted: &[(CloneFlags, &str)], inside: Option<(u32, u32)>) -> Result<(), WallFailure> {
    if let Some(inside) = inside {
        let (user, group) = (geteuid().as_raw(), getegid().as_raw());
        unshare(CloneFlags::CLONE_NEWUSER).map_err(|error| user_refused(error.into()))?;
        map_itself(Path::new("/proc/self"), (inside.0, user), (inside.1, group))?;
    }
    for (flag, name) in wanted {
        unshare(*flag).map_err(|error| {
            Wall::Namespaces
                .failed(format!("make a {name} namespace"), io::Error::from(error))
                .hint("hostler must run as root of the host, or be allowed to make user namespaces")
        })?;
    }
    sethostname(HOST_NAME).map_err(|error| Wall::Namespaces.failed("set the host name", error))
}

/// A user namespace for the program alone. It owns none of the others, so that not even a capability in it would
/// open them again. `proc` is the host's `/proc`, which cannot be named any more; `inside` is the number that this user and
/// its group have there.
pub(crate) fn enter_last(proc: &OwnedFd, inside: u32) -> Result<(), WallFailure> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|error| user_refused(error.into()))?;
    let own =
        open_below(proc, "self").map_err(|error| Wall::Namespaces.failed("open its own /proc", error))?;
    for (name, text) in maps((inside, user), (inside, group)) {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let written = openat(&own, name, flags, Mode::empty())
            .map_err(io::Error::from)
            .and_then(|file| std::fs::File::from(file).write_all(text.as_bytes()));
        written.map_err(|error| Wall::Namespaces.failed(format!("write {name}"), error))?;
    }
    Ok(())
}

/// The host's `/proc`, to be used after the root has changed.
pub(crate) fn open_proc() -> io::Result<OwnedFd> {
    Ok(open("/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

fn open_below(proc: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    Ok(openat(proc, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// One user and one group, with their numbers inside and outside, and no others.
fn maps(user: (u32, u32), group: (u32, u32)) -> [(&'static str, String); 3] {
    [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("{} {} 1", user.0, user.1)),
        ("gid_map", format!("{} {} 1", group.0, group.1)),
    ]
}

fn map_itself(own: &Path, user: (u32, u32), group: (u32, u32)) -> Result<(), WallFailure> {
    for (name, text) in maps(user, group) {
        OpenOptions::new()
            .write(true)
            .open(own.join(name))
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| Wall::Namespaces.failed(format!("write {name}"), error))?;
    }
    Ok(())
}

fn user_refused(error: io::Error) -> WallFailure {
    Wall::Namespaces.failed("make a user namespace", error).hint(
        "let users make them: 'sysctl user.max_user_namespaces' must not be 0, 'kernel.unprivileged_userns_clone' \
         not 0, 'kernel.apparmor_restrict_unprivileged_userns' not 1 (or an AppArmor profile for hostler-shim)",
    )
}
