//! The process that becomes the cage: it builds the walls around itself, starts the program inside and goes.
//!
//! It has one thread, for namespaces are entered by threads. What it starts is the first process of the process
//! namespace, and falls to the shim, the subreaper, when this ends.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::Mode;
use rustix::process::{geteuid, umask};
use rustix::thread::set_no_new_privs;
use serde::{Deserialize, Serialize};

use super::mapped::Mappings;
use super::plan::CagePlan;
use super::{CageReport, Wall, WallFailure, identity, landlock, limits, namespaces, root, seccomp, server};
use crate::grant;
use crate::shim::wire::Wire;

/// The argument that makes the shim's program this stage.
pub(crate) const ARGUMENT: &str = "cage";
/// Time for the shim to send its request, and to take the answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What to build, and what to start in it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StageRequest {
    pub(crate) plan: CagePlan,
    /// The user to become; nothing to stay who it is, which an owner does who is not root.
    pub(crate) identity: Option<u32>,
    /// A directory of the host that the new root is made over.
    pub(crate) over: PathBuf,
    /// The program and its arguments; empty to build the walls and no more.
    pub(crate) argv: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
}

/// How it went.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StageAnswer {
    /// The walls stand, and the program has this number on the host.
    Stands {
        pid: Option<u32>,
        report: CageReport,
    },
    Failed(WallFailure),
}

/// Starts the stage as `command` (its standard input is ours to give), waits for its answer and for its end. The
/// program's number when one was started. `directories` are those of its plan, in order, which the program does not inherit.
pub(crate) fn start_stage(
    mut command: Command,
    request: &StageRequest,
    directories: &[BorrowedFd<'_>],
    until: Instant,
) -> Result<(Option<u32>, CageReport), WallFailure> {
    let failed = |what: &'static str| move |error: io::Error| Wall::Program.failed(what, error);
    let (ours, theirs) = grant::pair().map_err(failed("make the cage's socket"))?;
    let mut stage = command.stdin(theirs).spawn().map_err(failed("start the cage's own process"))?;
    // Its end of the socket is inside the command.
    drop(command);
    let mut wire = Wire::over(ours);
    let line = serde_json::to_vec(request).map_err(|error| failed("encode the cage")(error.into()))?;
    let sent = wire.send_fds(directories, until).and_then(|()| wire.send(&line, &[], until));
    let answer = sent.and_then(|()| wire.receive(until));
    if answer.is_err() {
        // It may have ended already.
        stage.kill().ok();
    }
    let status = stage.wait().map_err(failed("wait for the cage's own process"))?;
    let answer = answer.map_err(|error| Wall::Program.failed(format!("build the cage ({status})"), error))?;
    match serde_json::from_slice(&answer).map_err(|error| failed("read the cage's answer")(error.into()))? {
        StageAnswer::Stands { pid, report } => Ok((pid, report)),
        StageAnswer::Failed(failure) => Err(failure),
    }
}

/// The whole stage. The shim's socket is the standard input.
pub(crate) fn run() -> io::Result<()> {
    let mut wire = Wire::over(io::stdin().as_fd().try_clone_to_owned()?);
    let line = wire.receive(Instant::now() + PATIENCE)?;
    let mut request: StageRequest = serde_json::from_slice(&line)?;
    let directories = wire.take_fds();
    let confined = if request.plan.file_server {
        server::start(&request, directories)
    } else {
        request.plan.hold_directories(&directories).and_then(|()| confine(&request, directories))
    };
    let answer = match confined {
        Ok((pid, report)) => StageAnswer::Stands { pid, report },
        Err(failure) => StageAnswer::Failed(failure),
    };
    wire.send(&serde_json::to_vec(&answer)?, &[], Instant::now() + PATIENCE)
}

/// `directories` are those that the plan speaks of, held until they are mounted.
fn confine(
    request: &StageRequest,
    directories: Vec<OwnedFd>,
) -> Result<(Option<u32>, CageReport), WallFailure> {
    let StageRequest { plan, identity, .. } = request;
    let proc = namespaces::open_proc().map_err(|error| Wall::Namespaces.failed("open /proc", error))?;
    let mappings = Mappings::make(&plan.files, *identity)?;
    namespaces::enter(plan.host_network, identity.is_some())?;
    // Directories of the new root must be open to a user who does not own them.
    let usual = umask(Mode::WGRP | Mode::WOTH);
    root::build(plan, *identity, &mappings, &request.over)?;
    drop((mappings, directories));
    umask(usual);
    limits::apply(plan.lock_memory, limits::OPEN_FILES)?;
    identity::take(*identity, &proc)?;
    drop(proc);
    set_no_new_privs(true).map_err(|error| Wall::Identity.failed("forbid new privileges", error))?;
    let landlock_abi = if plan.landlock { landlock::restrict(plan)? } else { 0 };
    seccomp::apply(plan)?;
    let report = CageReport { uid: geteuid().as_raw(), landlock_abi, host_network: plan.host_network };
    Ok((start(request)?, report))
}

/// Starts the program with all that is left open for it.
fn start(request: &StageRequest) -> Result<Option<u32>, WallFailure> {
    let Some((program, arguments)) = request.argv.split_first() else { return Ok(None) };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(request.env.iter().map(|(name, value)| (name, value)));
    command.current_dir("/").stdin(Stdio::null()).process_group(0);
    let child = command.spawn().map_err(|error| Wall::Program.failed(format!("start '{program}'"), error))?;
    Ok(Some(child.id()))
}
