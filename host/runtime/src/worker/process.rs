//! One worker process: how it is started, what it has used of the processor, and how it ends.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use hostler_launch::CellUser;
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use tokio::sync::oneshot;

use super::WORK_ARGUMENT;
use super::frame::Incoming;
use super::priority::Priority;
use crate::limits;

/// Starts workers, from a thread that lives as long as this: a worker ends with the thread that started it, so that it
/// does not outlive the host even where it is not itself any more.
#[derive(Debug)]
pub(crate) struct Starter {
    program: PathBuf,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
}

/// A worker to be started.
struct Job {
    command: Command,
    key: String,
    started: oneshot::Sender<io::Result<Started>>,
}

/// A process and the user that it is to become.
struct Started {
    child: Child,
    user: Option<CellUser>,
}

/// A process that runs one driver for one tenant, one operation at a time. It is ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    pub(super) socket: UnixStream,
    pub(super) incoming: Incoming,
    clock: Option<ClockId>,
    pub(super) priority: Priority,
    counted: Duration,
    /// Used, and not asked for yet when it ended.
    last: Duration,
    /// Held until the process is gone, which happens before this is dropped.
    user: Option<CellUser>,
}

impl Starter {
    pub(crate) fn new(program: PathBuf) -> Self {
        Self { program, jobs: Mutex::new(None) }
    }

    /// A new process with this machine code. `key` says for whom, so that a user is likely to be the same again.
    ///
    /// # Errors
    /// The program, a thread, a socket or a user is not to be had.
    pub(super) async fn start(self: &Arc<Self>, artifact: &OwnedFd, key: &str) -> io::Result<Worker> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new(&self.program);
        command.arg0("hostler-worker").arg(WORK_ARGUMENT).env_clear().current_dir("/");
        // A worker's words on the operator's terminal would be those of whoever has taken it over.
        command.stdin(OwnedFd::from(theirs)).stdout(artifact.try_clone()?).stderr(Stdio::null());
        let (started, starting) = oneshot::channel();
        self.ask(Job { command, key: key.to_owned(), started })?;
        let stopped = |_| io::Error::other("the thread that starts them has ended");
        let Started { child, user } = starting.await.map_err(stopped)??;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        let clock = clock_getcpuclockid(Pid::from_raw(pid)).ok();
        let incoming = Incoming::new(limits::MESSAGE_BYTES);
        Ok(Worker {
            child,
            socket: ours,
            incoming,
            clock,
            priority: Priority::new(pid, clock),
            counted: Duration::ZERO,
            last: Duration::ZERO,
            user,
        })
    }

    fn ask(&self, job: Job) -> io::Result<()> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = match &*jobs {
            Some(sender) => sender.clone(),
            None => {
                let (sender, receiver) = mpsc::channel();
                thread::Builder::new()
                    .name("hostler-workers".to_owned())
                    .spawn(move || receiver.into_iter().for_each(start))?;
                jobs.insert(sender).clone()
            }
        };
        sender.send(job).map_err(|_| io::Error::other("the thread that starts them has ended"))
    }
}

fn start(job: Job) {
    let Job { mut command, key, started } = job;
    let child = CellUser::reserve(&key).and_then(|user| command.spawn().map(|child| Started { child, user }));
    // Its end of the socket is inside the command.
    drop(command);
    if let Err(Ok(Started { child, user })) = started.send(child) {
        // Whoever wanted it has gone.
        end(child);
        drop(user);
    }
}

fn end(mut child: Child) {
    // One that has ended already cannot be killed, and there is nobody to tell.
    child.kill().ok();
    child.wait().ok();
}

impl Worker {
    /// Its number on the host.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The user that it is to become.
    pub(super) fn user(&self) -> Option<u32> {
        self.user.as_ref().map(CellUser::uid)
    }

    /// Whether it has not ended.
    pub(super) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What it used of the processor since this was last asked: the kernel's account of the process, which it cannot
    /// make smaller. The first time its start is in it.
    pub(super) fn used(&mut self) -> Duration {
        let last = std::mem::take(&mut self.last);
        last.saturating_add(self.used_by_now())
    }

    fn used_by_now(&mut self) -> Duration {
        let now = self.clock.and_then(|clock| clock_gettime(clock).ok()).map(Duration::from);
        let used = now.map_or(Duration::ZERO, |now| now.saturating_sub(self.counted));
        self.counted = self.counted.saturating_add(used);
        used
    }

    /// Ends it, unless it has ended already; how it ended.
    pub(super) fn end(&mut self) -> io::Result<ExitStatus> {
        // The account goes with the process.
        self.last = self.last.saturating_add(self.used_by_now());
        self.child.kill().or_else(|error| match error.kind() {
            io::ErrorKind::InvalidInput => Ok(()),
            _ => Err(error),
        })?;
        self.child.wait()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!(%error, pid = self.id(), "a driver's process cannot be ended");
        }
    }
}
