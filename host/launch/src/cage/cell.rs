//! A cell: what a process of ours locks itself into that runs the code of others. An empty room whose walls are all
//! there: namespaces of its own, a root with nothing in it, a user that nobody else is, no capability, Landlock, and
//! only the system calls that computing takes.

use std::io;

use rustix::process::{Resource, Signal, geteuid, set_parent_process_death_signal};
use rustix::thread::set_no_new_privs;

use super::identity::{self, Reserved};
use super::{Wall, WallFailure, landlock, limits, namespaces, root, seccomp};

/// What a process in a cell may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellLimits {
    /// Address space, in bytes: what is kept free counts.
    pub space_bytes: u64,
    /// Memory that can be written to, in bytes: what is kept free does not count.
    pub memory_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Open files; those that are open stay.
    pub files: u64,
}

/// A user for one cell, that no other process of the host has for as long as this lives.
#[derive(Debug)]
pub struct CellUser(Reserved);

impl CellUser {
    /// A free one; none when this process may not give users away, and its cells run as its own.
    ///
    /// # Errors
    /// When the directory of locks cannot be used, or all users are taken.
    pub fn reserve(key: &str) -> io::Result<Option<Self>> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        identity::reserve(key).map(|reserved| Some(Self(reserved)))
    }

    /// Its number on the host.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.0.uid
    }
}

/// Locks this process in for good: it keeps the descriptors that it has, and can open, connect to and start nothing.
/// It ends with the thread that started it. On a kernel without Landlock the other walls stand alone: there is
/// nothing in the cell that could be opened.
///
/// To be called by a process that has one thread. Nothing can be made executable from here on.
///
/// # Errors
/// The wall that cannot be built.
pub fn enter_cell(may: CellLimits, user: Option<u32>) -> Result<(), WallFailure> {
    let proc = namespaces::open_proc().map_err(|error| Wall::Namespaces.failed("open /proc", error))?;
    namespaces::enter_alone(user.is_some())?;
    root::empty()?;
    identity::take(user, &proc)?;
    drop(proc);
    // After the last user namespace: the threads of a namespace are counted in it.
    limits::fix(&[
        (Resource::As, may.space_bytes, "as"),
        (Resource::Data, may.memory_bytes, "data"),
        (Resource::Nproc, may.threads, "nproc"),
        (Resource::Nofile, may.files, "nofile"),
        (Resource::Core, 0, "core"),
        (Resource::Fsize, 0, "fsize"),
        (Resource::Msgqueue, 0, "msgqueue"),
        (Resource::Memlock, 0, "memlock"),
    ])?;
    set_no_new_privs(true).map_err(|error| Wall::Identity.failed("forbid new privileges", error))?;
    // After the last change of user, which would take it back.
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| Wall::Limits.failed("end with who started it", error))?;
    landlock::forbid_everything()?;
    seccomp::apply_computing()
}
