//! The cage of a file server: a program that serves folders of the host to a guest, with the owners that files have.
//!
//! It has to act for every user of the guest, so it keeps the few capabilities that this takes. They are worth nothing outside
//! of its folders, for it has them in a user namespace whose users are none of the host's: on its mounts of the folders, and
//! nowhere else, each of these stands for a user of the host. So it is nobody's process on the host, makes files of anybody's
//! in its folders, and no devices, for which a capability in the host's own namespace would be needed.
//!
//! It looks its files up in `/proc`, so it has one of its own, which shows its own process. That is mounted by the first process
//! of the process namespace, which becomes the program. A user who is not root has one user to give: the guest's root.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::fs::Mode;
use rustix::process::{geteuid, umask};
use rustix::thread::{CapabilitySet, set_no_new_privs};

use super::mapped;
use super::stage::{PATIENCE, StageAnswer, StageRequest};
use super::{CageReport, Wall, WallFailure, identity, landlock, limits, namespaces, root, seccomp};
use crate::grant;
use crate::shim::wire::Wire;

/// The argument that makes the shim's program the first process of a file server's cage.
pub(crate) const ARGUMENT: &str = "server";
/// What it is called inside: the user for whom the guest's root acts.
pub(crate) const ROOT: u32 = 0;
/// The first of the host's users that users of a root owner's guests are. Beyond those that anybody is given: the number
/// of a user is a positive one everywhere, so that half of all numbers is nobody's.
pub(crate) const FIRST_USER: u32 = 1 << 31;
/// How many there are: all numbers of users below [`FIRST_USER`] but the last ones, which stand for nobody.
pub(crate) const USERS: u32 = (1 << 31) - 2;
/// Open files: the program keeps one for each file that its guest knows of.
pub(crate) const OPEN_FILES: u64 = 1 << 20;
/// Where it looks its files up.
pub(crate) const PROC: &str = "/proc";
/// The one file in there that it opens by its name.
pub(crate) const PROC_FILE: &str = "/proc/sys/fs/file-max";

/// What acting for every user of the guest takes, and what the program needs to lock itself into its folder, which it lets
/// go of then. No `CAP_MKNOD` (devices), `CAP_SETFCAP` (programs with rights), `CAP_FSETID` (programs of others).
pub(crate) fn capabilities() -> CapabilitySet {
    CapabilitySet::CHOWN
        | CapabilitySet::DAC_OVERRIDE
        | CapabilitySet::FOWNER
        | CapabilitySet::SETGID
        | CapabilitySet::SETUID
        | CapabilitySet::SETPCAP
        | CapabilitySet::SYS_CHROOT
}

/// Enters the namespaces, and starts the process that builds the other walls and becomes the program. `folders` are those of
/// the plan, in its order.
pub(crate) fn start(
    request: &StageRequest,
    folders: Vec<OwnedFd>,
) -> Result<(Option<u32>, CageReport), WallFailure> {
    let failed = |what: &'static str| move |error: io::Error| Wall::Program.failed(what, error);
    let users = match request.identity {
        None => None,
        Some(_) => Some(mapped::users(FIRST_USER, USERS).map_err(|error| {
            Wall::Identity.failed("make users for the guest's", error).hint(
                "hostler must be root of the host, not of a container; or start it as an ordinary user, whose guests \
                 have one user",
            )
        })?),
    };
    // As the host has it: inside it is another number.
    let uid = if users.is_some() { FIRST_USER } else { geteuid().as_raw() };
    namespaces::enter_as_root(users.is_some())?;
    let (ours, theirs) = grant::pair().map_err(failed("make the server's socket"))?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("hostler-shim").arg(ARGUMENT).env_clear().current_dir("/").stdin(theirs).process_group(0);
    let mut first = command.spawn().map_err(failed("start the first process of the cage"))?;
    // Its end of the socket is inside the command.
    drop(command);
    let done = hand_over(Wire::over(ours), request, &folders, users.as_ref());
    if done.is_err() {
        // It may have ended already.
        first.kill().ok();
        first.wait().map_err(failed("wait for the first process of the cage"))?;
    }
    done.map(|report| (Some(first.id()), CageReport { uid, ..report }))
}

/// Tells the first process what to become, and waits until it has: its end of the socket closes with that.
fn hand_over(
    mut wire: Wire,
    request: &StageRequest,
    folders: &[OwnedFd],
    users: Option<&OwnedFd>,
) -> Result<CageReport, WallFailure> {
    let failed = |error: io::Error| Wall::Program.failed("build the cage of a file server", error);
    let until = Instant::now() + PATIENCE;
    let line = serde_json::to_vec(request).map_err(|error| failed(error.into()))?;
    let fds: Vec<_> = folders.iter().chain(users).map(OwnedFd::as_fd).collect();
    wire.send_fds(&fds, until).map_err(failed)?;
    wire.send(&line, &[], until).map_err(failed)?;
    let mut report = None;
    loop {
        match (wire.receive(until), report) {
            (Ok(line), _) => match serde_json::from_slice(&line).map_err(|error| failed(error.into()))? {
                StageAnswer::Stands { report: stands, .. } => report = Some(stands),
                StageAnswer::Failed(failure) => return Err(failure),
            },
            (Err(error), Some(report)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(report),
            (Err(error), _) => return Err(failed(error)),
        }
    }
}

/// The whole first process, until it becomes the program. Its socket is the standard input.
pub(crate) fn run() -> io::Result<()> {
    let mut wire = Wire::over(io::stdin().as_fd().try_clone_to_owned()?);
    let line = wire.receive(Instant::now() + PATIENCE)?;
    let request: StageRequest = serde_json::from_slice(&line)?;
    let failure = match confine(&request, wire.take_fds()) {
        Ok(report) => {
            let answer = StageAnswer::Stands { pid: None, report };
            wire.send(&serde_json::to_vec(&answer)?, &[], Instant::now() + PATIENCE)?;
            become_program(&request)
        }
        Err(failure) => failure,
    };
    wire.send(&serde_json::to_vec(&StageAnswer::Failed(failure))?, &[], Instant::now() + PATIENCE)
}

fn confine(request: &StageRequest, mut folders: Vec<OwnedFd>) -> Result<CageReport, WallFailure> {
    let StageRequest { plan, identity, .. } = request;
    // Behind the folders, as they were sent.
    let users = identity.and_then(|_| folders.pop());
    let proc = namespaces::open_proc().map_err(|error| Wall::Namespaces.failed("open /proc", error))?;
    // Directories of the new root must be open to a user who does not own them.
    let usual = umask(Mode::WGRP | Mode::WOTH);
    root::build_served(plan, &folders, users.as_ref(), &request.over)?;
    drop(folders);
    umask(usual);
    limits::apply(plan.lock_memory, OPEN_FILES)?;
    identity::take_users(users, &proc)?;
    drop(proc);
    set_no_new_privs(true).map_err(|error| Wall::Identity.failed("forbid new privileges", error))?;
    let landlock_abi = if plan.landlock { landlock::restrict(plan)? } else { 0 };
    seccomp::apply_serving()?;
    Ok(CageReport { uid: ROOT, landlock_abi, host_network: false })
}

/// Comes back only when that fails.
fn become_program(request: &StageRequest) -> WallFailure {
    let Some((program, arguments)) = request.argv.split_first() else {
        return Wall::Program.failed("start the program", "it has no name");
    };
    let mut command = Command::new(Path::new(program));
    command.args(arguments).env_clear().envs(request.env.iter().map(|(name, value)| (name, value)));
    let error = command.current_dir("/").stdin(Stdio::null()).exec();
    Wall::Program.failed(format!("start '{program}'"), error)
}
