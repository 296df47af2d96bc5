//! An empty room: what a process of ours locks itself into that only computes, from its input to its output.

use std::time::Duration;

use rustix::process::Resource;
use rustix::thread::set_no_new_privs;

use super::plan::CagePlan;
use super::{Wall, WallFailure, landlock, limits, seccomp};

/// What a process in an empty room may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomLimits {
    /// Address space, in bytes.
    pub memory_bytes: u64,
    /// Processor time, in whole seconds; the kernel ends the process after it.
    pub cpu: Duration,
}

/// Locks this process in for good: it keeps the descriptors that it has, and can open, connect to and start nothing.
/// On a kernel without Landlock the limits and the filter of system calls stand alone.
///
/// To be called by a process that has one thread: what is locked in is the calling thread and what it starts.
///
/// # Errors
/// The wall that cannot be built.
pub fn enter_room(may: RoomLimits) -> Result<(), WallFailure> {
    limits::fix(&[
        (Resource::As, may.memory_bytes, "as"),
        (Resource::Cpu, may.cpu.as_secs(), "cpu"),
        (Resource::Core, 0, "core"),
        (Resource::Fsize, 0, "fsize"),
        (Resource::Msgqueue, 0, "msgqueue"),
    ])?;
    set_no_new_privs(true).map_err(|error| Wall::Identity.failed("forbid new privileges", error))?;
    landlock::forbid_everything()?;
    seccomp::apply(&CagePlan::default())
}
