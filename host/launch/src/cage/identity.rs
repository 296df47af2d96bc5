//! The wall of identity: a user of its own for each domain, and no capability.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::sched::{CloneFlags, setns};
use rustix::fs::{FlockOperation, Gid, Uid, flock};
use rustix::process::{DumpableBehavior, geteuid, set_dumpable_behavior};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_capabilities, set_keep_capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use super::{Wall, WallFailure, namespaces, server};

/// First of the users that domains of a root owner run as. Above what distributions give to people, services and
/// containers (`/etc/subuid` begins at 100,000 and takes 65,536 for each user).
pub(crate) const FIRST_UID: u32 = 900_001;
/// The user to whom files belong on the host that helpers of a root owner's domains keep. Nothing runs as it: in a cage it is
/// mapped to the helper's own user, which another start may have another number for.
pub const KEEPER_UID: u32 = 900_000;
/// How many there are: more than guests that a host can have.
pub(crate) const UIDS: u32 = 65_536;
/// Where it is written which are in use, by all state directories of the host together.
const RESERVED: &str = "/run/hostler/uids";

/// A user that no other domain of the host has, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Reserved {
    pub(crate) uid: u32,
    _lock: File,
}

/// Takes a free user, the same again for the same `key` where that is free.
///
/// # Errors
/// When the directory of locks cannot be used, or all users are taken.
pub(crate) fn reserve(key: &str) -> io::Result<Reserved> {
    reserve_in(Path::new(RESERVED), key, in_use)
}

fn reserve_in(directory: &Path, key: &str, busy: impl Fn() -> io::Result<Vec<u32>>) -> io::Result<Reserved> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let hash = blake3::hash(key.as_bytes());
    let start = hash.as_bytes().first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)) % UIDS;
    for step in 0..UIDS {
        let uid = FIRST_UID + (start + step) % UIDS;
        let mut options = OpenOptions::new();
        let lock = options
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(directory.join(uid.to_string()))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            // A hypervisor whose shim was killed still runs as its user, and holds no lock on it. Looked at with the
            // lock held: nobody else begins to use it from here on.
            Ok(()) if busy()?.contains(&uid) => {}
            Ok(()) => return Ok(Reserved { uid, _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::Error::other(format!("all {UIDS} users from {FIRST_UID} on are in use")))
}

/// Those of the users that a process has.
fn in_use() -> io::Result<Vec<u32>> {
    let mut busy = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let number =
            entry.file_name().to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        // One that ends while it is looked at uses none any more.
        let Some(found) = entry.metadata().ok().filter(|_| number) else { continue };
        if (FIRST_UID..FIRST_UID + UIDS).contains(&found.uid()) {
            busy.push(found.uid());
        }
    }
    Ok(busy)
}

/// Becomes that user (or stays who it is) in a user namespace of its own, and lets go of all capabilities.
pub(crate) fn take(identity: Option<u32>, proc: &OwnedFd) -> Result<(), WallFailure> {
    if let Some(uid) = identity {
        become_user(uid)?;
    }
    let user = geteuid().as_raw();
    namespaces::enter_last(proc, user)?;
    keep_only(CapabilitySet::empty())
}

/// Becomes root of a user namespace, and lets go of all capabilities but those of a file server: of `users`, or of one in
/// which this user is all that there is.
pub(crate) fn take_users(users: Option<OwnedFd>, proc: &OwnedFd) -> Result<(), WallFailure> {
    let failed = |what: &'static str| move |error| Wall::Identity.failed(what, io::Error::from(error));
    let (user, group) = (Uid::from_raw(server::ROOT), Gid::from_raw(server::ROOT));
    if let Some(users) = users {
        set_thread_groups(&[]).map_err(failed("leave all groups"))?;
        let entered = setns(users, CloneFlags::CLONE_NEWUSER);
        entered.map_err(|error| Wall::Identity.failed("enter the guest's users", io::Error::from(error)))?;
        set_thread_res_gid(group, group, group).map_err(failed("change the group"))?;
        set_thread_res_uid(user, user, user).map_err(failed("change the user"))?;
    } else {
        namespaces::enter_last(proc, server::ROOT)?;
    }
    keep_only(server::capabilities())
}

/// Lets go of all other capabilities, for good.
fn keep_only(kept: CapabilitySet) -> Result<(), WallFailure> {
    let failed = |what: &'static str| move |error| Wall::Identity.failed(what, io::Error::from(error));
    clear_ambient_capability_set().map_err(failed("clear ambient capabilities"))?;
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if kept.contains(one) {
            continue;
        }
        match remove_capability_from_bounding_set(one) {
            Ok(()) => {}
            // Beyond the last that this kernel knows.
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(Wall::Identity.failed("drop a capability for good", error)),
        }
    }
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).map_err(failed("drop capabilities"))
}

/// Changes to another user, keeping the one right that is needed for a last namespace.
fn become_user(uid: u32) -> Result<(), WallFailure> {
    let failed = |what: &'static str| {
        move |error| {
            Wall::Identity.failed(what, io::Error::from(error)).hint(
                "in a container, users from 900001 on must be mapped; or start hostler as an ordinary user",
            )
        }
    };
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    set_thread_groups(&[]).map_err(failed("leave all groups"))?;
    set_keep_capabilities(true).map_err(failed("keep capabilities for one step"))?;
    set_thread_res_gid(group, group, group).map_err(failed("change the group"))?;
    set_thread_res_uid(user, user, user).map_err(failed("change the user"))?;
    let one = CapabilitySet::SYS_ADMIN;
    let sets = CapabilitySets { effective: one, permitted: one, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).map_err(failed("keep one capability"))?;
    set_keep_capabilities(false).map_err(failed("keep capabilities no longer"))?;
    // Its own files in /proc would be root's otherwise, and it must write two of them.
    set_dumpable_behavior(DumpableBehavior::Dumpable).map_err(failed("open its own /proc"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_given_once_and_again_when_they_are_free() {
        let directory = tempfile::tempdir().unwrap();
        let none = || Ok(Vec::new());
        let first = reserve_in(directory.path(), "a", none).unwrap();
        let second = reserve_in(directory.path(), "a", none).unwrap();
        assert_ne!(first.uid, second.uid);
        let uid = first.uid;
        drop(first);
        assert_eq!(reserve_in(directory.path(), "a", none).unwrap().uid, uid);
        assert_ne!(reserve_in(directory.path(), "a", || Ok(vec![uid])).unwrap().uid, uid, "a process has it");
        assert!((FIRST_UID..FIRST_UID + UIDS).contains(&uid));
    }

    #[test]
    fn users_of_running_processes_are_looked_for() {
        assert!(in_use().unwrap().iter().all(|uid| *uid >= FIRST_UID));
    }
}
