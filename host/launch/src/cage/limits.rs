//! The wall of limits: what a program may take of the host beyond its guest's memory.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Wall, WallFailure};

/// Bytes of core dumps: none, because they hold a guest's memory.
const CORE_BYTES: u64 = 0;
/// Open files. Granted descriptors end below 1,024; a quarter of the rest is for clients and events of a large guest.
pub(crate) const OPEN_FILES: u64 = 4_096;
/// Processes and threads: 1,024 processors, and 64 threads for the I/O of each of some dozen contexts.
const PROCESSES: u64 = 4_096;
/// Bytes of memory that cannot be swapped: the kernel's own default. A launch that locks its guest has no limit.
const LOCKED_BYTES: u64 = 8 << 20;
/// Bytes in POSIX message queues, which nothing in a cage uses.
const QUEUE_BYTES: u64 = 0;
/// Real-time priority that may be asked for: none, it could starve the host.
const PRIORITY: u64 = 0;

/// Lowers what is higher; a limit that is lower already stays.
pub(crate) fn apply(lock_memory: bool, open_files: u64) -> Result<(), WallFailure> {
    for (resource, limit, name) in [
        (Resource::Core, CORE_BYTES, "core"),
        (Resource::Nofile, open_files, "nofile"),
        (Resource::Nproc, PROCESSES, "nproc"),
        (Resource::Msgqueue, QUEUE_BYTES, "msgqueue"),
        (Resource::Rtprio, PRIORITY, "rtprio"),
    ] {
        lower(resource, limit).map_err(|error| Wall::Limits.failed(format!("limit {name}"), error))?;
    }
    let locked = if lock_memory { lift(Resource::Memlock) } else { lower(Resource::Memlock, LOCKED_BYTES) };
    locked.map_err(|error| {
        Wall::Limits
            .failed("set memlock", error)
            .hint("a guest whose memory is locked needs a user who may: 'ulimit -l unlimited', or root")
    })
}

/// Sets limits for good, the same whatever they were: of a process of ours, which brings none of its own.
pub(crate) fn fix(limits: &[(Resource, u64, &'static str)]) -> Result<(), WallFailure> {
    for (resource, limit, name) in limits {
        setrlimit(*resource, Rlimit { current: Some(*limit), maximum: Some(*limit) })
            .map_err(|error| Wall::Limits.failed(format!("limit {name}"), io::Error::from(error)))?;
    }
    Ok(())
}

fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let found = getrlimit(resource);
    let limit = found.maximum.map_or(limit, |maximum| maximum.min(limit));
    Ok(setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?)
}

fn lift(resource: Resource) -> io::Result<()> {
    Ok(setrlimit(resource, Rlimit { current: None, maximum: None })?)
}
