//! Starting the program with exactly the descriptors that it was granted.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd, ioctl_fionbio};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, pidfd_send_signal, waitpid,
};

use super::request::{FIRST_PROGRAM_FD, StartRequest};

/// The running program.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) pidfd: OwnedFd,
    /// Its standard output and error; nothing once all writers closed it.
    pub(crate) output: Option<OwnedFd>,
}

/// Starts it. `granted` get the numbers that the arguments name; `lock` is inherited under any number.
pub(crate) fn start(request: &StartRequest, granted: Vec<OwnedFd>, lock: OwnedFd) -> io::Result<Program> {
    let placed = place(granted)?;
    let (output, input) = pipe_with(PipeFlags::CLOEXEC)?;
    ioctl_fionbio(&output, true)?;
    let (program, arguments) = request.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(request.env.iter().map(|(name, value)| (name, value)));
    command.current_dir("/").stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input).process_group(0);
    // One thread: nothing else can be started between here and the end of this function.
    for fd in placed.iter().chain(std::iter::once(&lock)) {
        fcntl_setfd(fd, FdFlags::empty())?;
    }
    let child = command.spawn()?;
    let pidfd = pidfd_open(pid_of(&child)?, PidfdFlags::empty())?;
    Ok(Program { child, pidfd, output: Some(output) })
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

fn pid_of(child: &Child) -> io::Result<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

impl Program {
    /// Signals it; one that is gone is no error.
    pub(crate) fn signal(&self, signal: Signal) {
        // The only other failure would be a lack of permission over our own child.
        pidfd_send_signal(self.pidfd.as_fd(), signal).ok();
    }
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
