//! The shim program: a short first stage that cuts all ties to its maker, and the stage that stays.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use hostler_state::{RunDir, RunLock, RunRecord, unix_ms};
use rustix::fs::{Mode, OFlags, open};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};
use rustix::process::{Resource, Rlimit, getpid, getrlimit, set_child_subreaper, setrlimit, setsid, umask};
use rustix::stdio::dup2_stdin;
use rustix::thread::set_no_new_privs;

use super::client::SOCKET_NAME;
use super::companion::{self, Companion};
use super::console::Console;
use super::log::{RollingLog, Tail};
use super::monitor::Monitor;
use super::once::AnswersOnce;
use super::program::{self, NotStarted, Program, Starting, end_strays};
use super::record::ProcessRecord;
use super::request::{StartAnswer, StartFailure, StartRequest};
use super::ring::Ring;
use super::server::{Server, new_buffer};
use super::wire::{Wire, address_in, after, open_directory};
use crate::cage::{WallFailure, mapped, server, stage};
use crate::limits::{LOG_MAX_BYTES, OUTPUT_TAIL_BYTES};
use crate::process;

/// The argument of the second stage.
const SERVE: &str = "serve";
/// Time for the launcher to send its request.
const REQUEST_WAIT: Duration = Duration::from_secs(30);
/// Open files that the shim and the hypervisor may have, unless the limit they inherit is lower.
const OPEN_FILES: u64 = 65_536;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 64;

/// The whole program. The launcher's socket is the standard input.
#[must_use]
pub fn main() -> ExitCode {
    let argument = std::env::args_os().nth(1);
    let done = match argument.as_deref().and_then(OsStr::to_str) {
        Some(SERVE) => serve(),
        Some(stage::ARGUMENT) => stage::run(),
        Some(mapped::ARGUMENT) => mapped::hold(),
        Some(server::ARGUMENT) => server::run(),
        _ => detach(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Its standard error is the domain's log.
            drop(io::Write::write_all(&mut io::stderr(), format!("hostler-shim: {error}\n").as_bytes()));
            ExitCode::FAILURE
        }
    }
}

/// The first stage: what the second and the hypervisor must inherit, then a second start, so that nobody has
/// to reap the one that stays.
fn detach() -> io::Result<()> {
    super::inherited::close_all()?;
    umask(Mode::RWXG | Mode::RWXO);
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // Descriptors are passed at high numbers, and a guest with many disks needs many.
    let files = getrlimit(Resource::Nofile);
    let current = Some(files.maximum.map_or(OPEN_FILES, |maximum| maximum.min(OPEN_FILES)));
    setrlimit(Resource::Nofile, Rlimit { current, maximum: files.maximum })?;
    set_no_new_privs(true)?;
    setsid()?;
    let mut staying = Command::new("/proc/self/exe");
    staying.arg0("hostler-shim").arg(SERVE).env_clear().current_dir("/").spawn()?;
    Ok(())
}

fn serve() -> io::Result<()> {
    set_child_subreaper(Some(getpid()))?;
    let mut launcher = Wire::over(io::stdin().as_fd().try_clone_to_owned()?);
    dup2_stdin(open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)?;
    let line = launcher.receive(Instant::now() + REQUEST_WAIT)?;
    let request: StartRequest = serde_json::from_slice(&line)?;
    let fds = launcher.take_fds();
    let prepared = prepare(&request, fds);
    match prepared {
        Ok(prepared) => prepared.server(request, launcher).run(),
        Err(failed) => {
            let answer = match failed {
                Failed::Start { kind, message } => StartAnswer::Failed { kind, message, tail: String::new() },
                Failed::NoCage(failure) => StartAnswer::NoCage(failure),
            };
            launcher.send(&serde_json::to_vec(&answer)?, &[], Instant::now() + REQUEST_WAIT)
        }
    }
}

/// Why nothing was started.
pub(crate) enum Failed {
    Start { kind: StartFailure, message: String },
    NoCage(WallFailure),
}

impl Failed {
    /// A record that cannot be written or read, with why: nobody else sees the cause.
    fn state(error: hostler_state::StateError) -> Self {
        let message = match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        Self::Start { kind: StartFailure::Shim, message }
    }

    fn lost() -> Self {
        Self::Start { kind: StartFailure::Shim, message: "descriptors were lost on their way".into() }
    }

    pub(crate) fn shim(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Start { kind: StartFailure::Shim, message: format!("{what}: {error}") }
    }
}

/// What is there once the program runs.
struct Prepared {
    run: RunDir,
    lock: RunLock,
    listener: OwnedFd,
    identity: ProcessRecord,
    program: Program,
    companions: Vec<Companion>,
    monitor: Option<Monitor>,
    consoles: Vec<Console>,
    log: RollingLog,
}

/// Takes over the lock that the launcher holds, then makes the rest and starts the program.
fn prepare(request: &StartRequest, fds: Vec<OwnedFd>) -> Result<Prepared, Failed> {
    let run = RunDir::open(&request.run).map_err(Failed::state)?;
    let mut fds = fds.into_iter();
    let Some(lock) = fds.next().map(RunLock::shared_by_its_taker) else {
        return Err(Failed::lost());
    };
    let granted: Vec<OwnedFd> = fds.by_ref().take(request.program_fds).collect();
    let beside: Vec<Vec<OwnedFd>> =
        request.companions.iter().map(|companion| fds.by_ref().take(companion.fds).collect()).collect();
    let monitor = if request.monitor { fds.next().map(Monitor::new) } else { None };
    let consoles = consoles(request, &run, fds)?;
    let complete = request.companions.iter().zip(&beside).all(|(companion, fds)| fds.len() == companion.fds);
    if granted.len() != request.program_fds || !complete || monitor.is_some() != request.monitor {
        return Err(Failed::lost());
    }
    let log = RollingLog::open(run.log_path(), LOG_MAX_BYTES).map_err(Failed::shim("open the log"))?;
    let listener = listen_in(&run).map_err(Failed::shim("listen on the shim's socket"))?;
    let started = start_in_group(request, &run, &lock, granted, beside).inspect_err(|_| {
        // Programs that nobody could find again must not stay. They are our children: what fails here is our own /proc.
        end_strays().ok();
    });
    let Started { program, companions, identity } = started?;
    Ok(Prepared { run, lock, listener, identity, program, companions, monitor, consoles, log })
}

/// What runs, and its record.
struct Started {
    program: Program,
    companions: Vec<Companion>,
    identity: ProcessRecord,
}

/// Starts all of it inside the domain's control group: this process goes there, and comes back. One that stayed would count as
/// its guest, and keep the group from being removed.
fn start_in_group(
    request: &StartRequest,
    run: &RunDir,
    lock: &RunLock,
    granted: Vec<OwnedFd>,
    beside: Vec<Vec<OwnedFd>>,
) -> Result<Started, Failed> {
    for seat in &request.group {
        seat.enter().map_err(Failed::shim("enter the domain's control group"))?;
    }
    let started = start_all(request, run, lock, granted, beside)?;
    for seat in &request.group {
        seat.leave().map_err(Failed::shim("leave the domain's control group"))?;
    }
    Ok(started)
}

/// Starts the companions, then the program, and writes down who they are.
fn start_all(
    request: &StartRequest,
    run: &RunDir,
    lock: &RunLock,
    granted: Vec<OwnedFd>,
    beside: Vec<Vec<OwnedFd>>,
) -> Result<Started, Failed> {
    let mut companions = Vec::with_capacity(beside.len());
    for (wanted, fds) in request.companions.iter().zip(beside) {
        let shared = lock.share().map_err(Failed::state)?;
        let started = program::start(Starting::companion(request, wanted), fds, shared);
        let program = started.map_err(|error| companion::not_started(&wanted.name, error))?;
        companions.push(Companion::new(wanted, program));
    }
    let shared = lock.share().map_err(Failed::state)?;
    let program = program::start(Starting::main(request), granted, shared).map_err(|error| match error {
        NotStarted::Io(error) => Failed::shim("start the program")(error),
        NotStarted::NoCage(failure) => Failed::NoCage(failure),
    })?;
    let identity = identity(request, &program, &companions).map_err(Failed::shim("identify the programs"))?;
    run.write(RunRecord::Process, &identity).map_err(Failed::state)?;
    Ok(Started { program, companions, identity })
}

fn consoles(
    request: &StartRequest,
    run: &RunDir,
    mut fds: impl Iterator<Item = OwnedFd>,
) -> Result<Vec<Console>, Failed> {
    let lost = || io::Error::other("its descriptor was lost on its way");
    let mut consoles = Vec::new();
    for alias in &request.consoles {
        let failed = Failed::shim("open a console");
        let made = run.console_log_path(alias).map_err(io::Error::other).and_then(|path| {
            let log = RollingLog::open(path, LOG_MAX_BYTES)?;
            Ok(Console::new(alias.clone(), fds.next().ok_or_else(lost)?, log))
        });
        consoles.push(made.map_err(failed)?);
    }
    Ok(consoles)
}

fn identity(
    request: &StartRequest,
    program: &Program,
    companions: &[Companion],
) -> io::Result<ProcessRecord> {
    Ok(ProcessRecord {
        boot_id: process::boot_id()?,
        shim: process::identify(std::process::id())?,
        program: process::identify(program.pid)?,
        started_unix_ms: unix_ms(),
        plan_hash: request.plan_hash.clone(),
        cage: program.cage.clone(),
        companions: companions.iter().map(Companion::record).collect::<io::Result<_>>()?,
    })
}

/// The shim's socket, in the place of one that an earlier shim left: the lock says that nobody uses it.
fn listen_in(run: &RunDir) -> io::Result<OwnedFd> {
    match std::fs::remove_file(run.socket_path()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let directory = open_directory(run.path())?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    bind(&socket, &address_in(&directory, SOCKET_NAME)?)?;
    std::fs::set_permissions(run.socket_path(), Permissions::from_mode(0o600))?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

impl Prepared {
    fn server(self, request: StartRequest, launcher: Wire) -> Server {
        let ready_by = request.monitor.then(|| after(Duration::from_millis(request.deadline_ms)));
        Server {
            run: self.run,
            request,
            lock: Some(self.lock),
            identity: self.identity,
            listener: self.listener,
            launcher: Some(launcher),
            program: self.program,
            companions: self.companions,
            companion_failed: None,
            monitor: self.monitor,
            consoles: self.consoles,
            peers: Vec::new(),
            next_peer: 0,
            waiters: Vec::new(),
            doors: Vec::new(),
            handed_over: 0,
            once: AnswersOnce::default(),
            ring: Ring::default(),
            log: self.log,
            tail: Tail::new(OUTPUT_TAIL_BYTES),
            ready_by,
            was_ready: false,
            timed_out: false,
            end_wanted: false,
            kill_at: None,
            shutdown: None,
            ended: None,
            buffer: new_buffer(),
        }
    }
}
