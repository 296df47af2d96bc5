//! Starting the program with exactly the descriptors that it was granted.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_setfd, ioctl_fionbio};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, WaitOptions, geteuid, kill_process,
    pidfd_open, pidfd_send_signal, waitid, waitpid,
};

use super::record::Ending;
use super::request::{CompanionRequest, FIRST_PROGRAM_FD, StartRequest};
use super::wire::after;
use crate::cage::identity::{self, Reserved};
use crate::cage::plan::CagePlan;
use crate::cage::server;
use crate::cage::stage::{self, StageRequest};
use crate::cage::{CageReport, Wall, WallFailure};

/// The running program.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) pid: u32,
    pub(crate) pidfd: OwnedFd,
    /// Its standard output and error; nothing once all writers closed it.
    pub(crate) output: Option<OwnedFd>,
    /// What confines it.
    pub(crate) cage: Option<CageReport>,
    /// The user that it has to itself, until this is dropped.
    _identity: Option<Reserved>,
}

/// Why it does not run.
#[derive(Debug)]
pub(crate) enum NotStarted {
    Io(io::Error),
    NoCage(WallFailure),
}

impl From<io::Error> for NotStarted {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for NotStarted {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

impl From<WallFailure> for NotStarted {
    fn from(failure: WallFailure) -> Self {
        Self::NoCage(failure)
    }
}

/// What is started, and how.
#[derive(Clone, Copy)]
pub(crate) struct Starting<'a> {
    argv: &'a [String],
    env: &'a [(String, String)],
    cage: Option<&'a CagePlan>,
    run: &'a Path,
    /// Which of the domain's programs it is: each has a user of its own.
    part: &'a str,
    deadline_ms: u64,
}

impl<'a> Starting<'a> {
    /// The hypervisor.
    pub(crate) fn main(request: &'a StartRequest) -> Self {
        let StartRequest { argv, env, cage, run, deadline_ms, .. } = request;
        Self { argv, env, cage: cage.as_ref(), run, part: "", deadline_ms: *deadline_ms }
    }

    /// One of its companions.
    pub(crate) fn companion(request: &'a StartRequest, companion: &'a CompanionRequest) -> Self {
        let CompanionRequest { argv, env, cage, name, .. } = companion;
        let (run, deadline_ms) = (&request.run, request.deadline_ms);
        Self { argv, env, cage: cage.as_ref(), run, part: name, deadline_ms }
    }
}

/// Starts it. `granted` get the numbers that the arguments name; `lock` is inherited under any number.
pub(crate) fn start(
    starting: Starting<'_>,
    granted: Vec<OwnedFd>,
    lock: OwnedFd,
) -> Result<Program, NotStarted> {
    // A descriptor of a directory leads out of any root: a program in a cage has a mount of it instead.
    let numbers: Vec<RawFd> =
        starting.cage.iter().flat_map(|plan| plan.directories()).map(|directory| directory.fd).collect();
    let number_of = |fd: &OwnedFd| numbers.iter().position(|number| *number == fd.as_raw_fd());
    let (mut directories, placed): (Vec<_>, Vec<_>) =
        place(granted)?.into_iter().partition(|fd| number_of(fd).is_some());
    directories.sort_by_key(number_of);
    let (output, input) = pipe_with(PipeFlags::CLOEXEC)?;
    ioctl_fionbio(&output, true)?;
    // One thread: nothing else can be started between here and the end of this function.
    for fd in placed.iter().chain(std::iter::once(&lock)) {
        fcntl_setfd(fd, FdFlags::empty())?;
    }
    let (pid, cage, reserved) = match starting.cage {
        None => (start_open(starting, input)?, None, None),
        Some(plan) => start_caged(starting, plan, &directories, input)?,
    };
    let pidfd = pidfd_open(pid_of(pid)?, PidfdFlags::empty())?;
    Ok(Program { pid, pidfd, output: Some(output), cage, _identity: reserved })
}

/// As this user, in the host's namespaces.
fn start_open(starting: Starting<'_>, output: OwnedFd) -> io::Result<u32> {
    let (program, arguments) = starting.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(starting.env.iter().map(|(name, value)| (name, value)));
    command.current_dir("/").stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
    Ok(command.spawn()?.id())
}

/// Through a process of its own, which becomes the cage and ends; the program falls to us then.
fn start_caged(
    starting: Starting<'_>,
    plan: &CagePlan,
    directories: &[OwnedFd],
    output: OwnedFd,
) -> Result<(u32, Option<CageReport>, Option<Reserved>), NotStarted> {
    let reserved = if geteuid().is_root() && !plan.file_server {
        let taken = identity::reserve(&format!("{}{}", starting.run.display(), starting.part));
        Some(taken.map_err(|error| Wall::Identity.failed("find a free user", error))?)
    } else {
        None
    };
    let own = reserved.as_ref().map(|reserved| reserved.uid);
    let uid = own.or_else(|| geteuid().is_root().then_some(server::FIRST_USER));
    if let Some(sockets) = &plan.sockets {
        std::os::unix::fs::chown(sockets, uid, uid)?;
    }
    let stage = StageRequest {
        plan: plan.clone(),
        identity: uid,
        over: starting.run.to_owned(),
        argv: starting.argv.to_vec(),
        env: starting.env.to_vec(),
    };
    let mut command = Command::new("/proc/self/exe");
    command.arg0("hostler-shim").arg(stage::ARGUMENT).env_clear().current_dir("/");
    command.stdout(output.try_clone()?).stderr(output);
    let until = after(Duration::from_millis(starting.deadline_ms));
    let directories: Vec<_> = directories.iter().map(OwnedFd::as_fd).collect();
    let (pid, report) = stage::start_stage(command, &stage, &directories, until)?;
    let pid = pid.ok_or_else(|| io::Error::other("the cage's own process started no program"))?;
    Ok((pid, Some(report), reserved))
}

fn place(granted: Vec<OwnedFd>) -> io::Result<Vec<OwnedFd>> {
    let mut placed = Vec::with_capacity(granted.len());
    for (index, fd) in granted.into_iter().enumerate() {
        let wanted = FIRST_PROGRAM_FD + RawFd::try_from(index).map_err(|_| io::ErrorKind::InvalidInput)?;
        let duplicate = fcntl_dupfd_cloexec(&fd, wanted)?;
        if duplicate.as_raw_fd() != wanted {
            return Err(io::Error::other(format!("descriptor {wanted} is taken already")));
        }
        placed.push(duplicate);
    }
    Ok(placed)
}

fn pid_of(pid: u32) -> io::Result<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

impl Program {
    /// Signals it; one that is gone is no error.
    pub(crate) fn signal(&self, signal: Signal) {
        // The only other failure would be a lack of permission over our own child.
        pidfd_send_signal(self.pidfd.as_fd(), signal).ok();
    }

    /// Its ending when it has ended, which is then no longer kept by the kernel.
    pub(crate) fn reap(&self) -> io::Result<Option<Ending>> {
        Ok(self.wait(WaitIdOptions::EXITED | WaitIdOptions::NOHANG)?)
    }

    fn wait(&self, options: WaitIdOptions) -> Result<Option<Ending>, Errno> {
        loop {
            match waitid(WaitId::PidFd(self.pidfd.as_fd()), options) {
                Err(Errno::INTR) => {}
                other => return Ok(other?.map(|status| ending_of(&status))),
            }
        }
    }
}

fn ending_of(status: &WaitIdStatus) -> Ending {
    let number = |value: i32| u32::try_from(value).ok();
    let exited = status.exit_status().and_then(number).map(Ending::Exited);
    exited
        .or_else(|| status.terminating_signal().and_then(number).map(Ending::Killed))
        .unwrap_or(Ending::Unknown)
}

/// Generations of processes that a program can have left behind; each falls to us when its parent dies.
const GENERATIONS_MAX: usize = 64;

/// Kills and reaps whatever the program left behind: it fell to us, as the subreaper.
pub(crate) fn end_strays() -> io::Result<()> {
    let own = std::process::id();
    for _ in 0..GENERATIONS_MAX {
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children"))?;
        let pids =
            children.split_ascii_whitespace().filter_map(|text| text.parse().ok().and_then(Pid::from_raw));
        let mut found = false;
        for pid in pids {
            found = true;
            // Our own children: their numbers cannot be given to others before we reap them.
            kill_process(pid, Signal::KILL).ok();
            waitpid(Some(pid), WaitOptions::empty())?;
        }
        if !found {
            return Ok(());
        }
    }
    Err(io::Error::other("processes that the program left behind make new ones"))
}
