//! Starting a hypervisor under a shim.

use std::collections::{BTreeMap, HashSet};
use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, RawFd};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hostler_domain::Limit;
use hostler_state::{Kind, RunDir, RunLock, RunRecord};
use serde::Serialize;

use super::client::ShimClient;
use super::kept::KeptFile;
use super::request::{CompanionRequest, FIRST_PROGRAM_FD, StartAnswer, StartFailure, StartRequest};
use super::wire::{Wire, after};
use crate::cage::plan::{self, FOLDERS, NamedFile, SOCKETS as CAGED_SOCKETS};
use crate::cage::{CageSetting, Wall, WallFailure};
use crate::command::leaf::{Grants, path_of};
use crate::command::{CommandLine, command_line};
use crate::control_group::{Group, GroupError, Layout};
use crate::error::{LaunchError, LaunchErrorKind};
use crate::grant::{self, Links, Opened};
use crate::handle::{Handle, Role};
use crate::limits::{PROGRAM_FDS_MAX, SHIM_TIMEOUT};
use crate::plan::Plan;
use crate::template::check::Checked;
use crate::template::companions::CheckedCompanion;

/// The directory, below the run directory, for sockets that the program makes.
const SOCKETS: &str = "sockets";

/// What a launch needs to know besides its plan.
#[derive(Clone, Debug)]
pub struct LaunchContext {
    /// The `hostler-shim` program: an absolute path from the host's configuration, never searched for.
    pub shim: PathBuf,
    /// The domain's name, for the event log.
    pub domain_name: String,
    /// How strictly the program is confined.
    pub cage: CageSetting,
    /// What the domain may use of this host. Those of single threads are not applied here: see [`Group::limit_threads`].
    pub limits: Vec<Limit>,
}

/// `launch.json`: the frozen plan and what was made of it. Paths in it are for display.
#[derive(Serialize)]
struct LaunchRecord<'a> {
    hash: &'a str,
    plan: &'a Plan,
    argv: &'a [String],
    env: &'a [(String, String)],
    companions: Vec<CompanionLaunch<'a>>,
}

/// The same of a companion.
#[derive(Serialize)]
struct CompanionLaunch<'a> {
    name: &'a str,
    hash: &'a str,
    plan: &'a Plan,
    argv: &'a [String],
    env: &'a [(String, String)],
}

/// Writes the frozen plans down, starts companions and program under a shim and waits until the monitor answers (or, in
/// a plan without one, until the program runs).
///
/// # Errors
/// [`LaunchErrorKind::Busy`] when the domain runs; [`LaunchErrorKind::HypervisorFailed`] with the program's last
/// words as hint when it ended at once; [`LaunchErrorKind::TimedOut`] when `deadline` passed (the program is
/// ended); [`LaunchErrorKind::LimitFailed`] when this host cannot keep a limit; [`LaunchErrorKind::ShimFailed`],
/// [`LaunchErrorKind::ProgramMissing`], [`LaunchErrorKind::Io`].
pub fn launch(
    run: &RunDir,
    context: &LaunchContext,
    checked: Checked,
    companions: Vec<CheckedCompanion>,
    handles: Vec<Handle>,
    deadline: Duration,
) -> Result<ShimClient, LaunchError> {
    let until = after(deadline);
    // Held from here on, by whoever is next in the start: no moment between this and the hypervisor's end looks as if the
    // domain were off.
    let lock = take_lock(run)?;
    let sockets = sockets_directory(run, &handles)?;
    let mut links = Links::new(run.path(), listening(&companions, &handles));
    let opened = grant::open_all(&handles, &checked.named(), &mut links, until)?;
    let named = match context.cage {
        CageSetting::Off => sockets.clone(),
        _ => PathBuf::from(CAGED_SOCKETS),
    };
    let grants = number(&opened, named, context.cage)?;
    let files = files_by_path(&checked, &handles, &grants);
    let makes_sockets = handles.iter().any(|handle| matches!(handle, Handle::Socket(_)));
    let sockets = makes_sockets.then_some(sockets.as_path());
    let cage = plan::make(context.cage, &checked.plan, &checked.template, files, sockets)?;
    let CommandLine { env, argv } = command_line(&checked.plan, &handles, &checked.template, Some(&grants))?;
    let (beside, opened_beside): (Vec<_>, Vec<_>) = companions
        .iter()
        .map(|companion| beside(companion, &handles, context.cage, &mut links, until))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .unzip();
    let record = LaunchRecord {
        hash: checked.hash(),
        plan: &checked.plan,
        argv: &argv,
        env: &env,
        companions: companions.iter().zip(&beside).map(frozen).collect(),
    };
    run.write(RunRecord::Launch, &record)
        .map_err(|error| LaunchError::io("write the frozen launch down", error))?;
    let left = time_left(until)?;
    let (layout, group) = make_group(run, &context.limits)?;
    let request = StartRequest {
        run: run.path().to_owned(),
        domain_name: context.domain_name.clone(),
        argv,
        env,
        program_fds: grants.numbers.iter().map(Vec::len).sum(),
        companions: beside,
        monitor: opened.monitor.is_some(),
        consoles: opened.consoles.iter().map(|(alias, _)| alias.clone()).collect(),
        reactions: checked.plan.reactions.clone(),
        kept: kept(&checked, run),
        plan_hash: checked.hash().to_owned(),
        cage,
        group: group.seats(),
        later_groups: group.later(&layout),
        deadline_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
    };
    let mut fds = vec![lock.as_fd()];
    fds.extend(grant::in_order(&opened, &opened_beside));
    let answer = start_shim(run, &context.shim, &request, &fds, left);
    drop((opened, opened_beside));
    let started = answer.and_then(|answer| match answer {
        StartAnswer::Ready => Ok(ShimClient::of(run)),
        StartAnswer::Failed { kind, message, tail } => Err(start_error(kind, message, &tail)),
        StartAnswer::NoCage(failure) => Err(no_cage(failure)),
    });
    started.inspect_err(|_| {
        // In one that stays something runs still; the next owner sweeps it.
        group.remove().ok();
    })
}

/// The control group of this run, with the limits of its document.
fn make_group(run: &RunDir, limits: &[Limit]) -> Result<(Layout, Group), LaunchError> {
    let layout = Layout::of_this_host().map_err(|error| LaunchError::io("look for control groups", error))?;
    let group = Group::make(&layout, run, limits).map_err(|error: GroupError| {
        let hint = error.hint();
        LaunchError::new(LaunchErrorKind::LimitFailed, "a limit of the domain cannot be kept")
            .caused_by(error)
            .hint(hint)
    })?;
    Ok((layout, group))
}

/// The links of companions that accept a connection.
fn listening(companions: &[CheckedCompanion], handles: &[Handle]) -> HashSet<usize> {
    let listen = companions.iter().filter(|one| one.checked.template.data.writing.link_listens);
    let named = listen.flat_map(|one| one.checked.named());
    named.filter(|index| matches!(handles.get(*index), Some(Handle::Link(_)))).collect()
}

/// What the shim is told of a companion, and the descriptors that it is to have.
fn beside(
    companion: &CheckedCompanion,
    handles: &[Handle],
    cage: CageSetting,
    links: &mut Links,
    until: Instant,
) -> Result<(CompanionRequest, Opened), LaunchError> {
    let CheckedCompanion { name, checked } = companion;
    let named = |error: LaunchError| error.of_companion(name);
    let opened = grant::open_all(handles, &checked.named(), links, until).map_err(named)?;
    let grants = number(&opened, PathBuf::new(), cage).map_err(named)?;
    let files = files_by_path(checked, handles, &grants);
    let cage = plan::make(cage, &checked.plan, &checked.template, files, None).map_err(named)?;
    let CommandLine { env, argv } =
        command_line(&checked.plan, handles, &checked.template, Some(&grants)).map_err(named)?;
    let fds = grants.numbers.iter().map(Vec::len).sum();
    let template = checked.plan.template.clone();
    Ok((CompanionRequest { name: name.clone(), template, argv, env, fds, cage }, opened))
}

fn frozen<'a>((companion, request): (&'a CheckedCompanion, &'a CompanionRequest)) -> CompanionLaunch<'a> {
    CompanionLaunch {
        name: &companion.name,
        hash: companion.checked.hash(),
        plan: &companion.checked.plan,
        argv: &request.argv,
        env: &request.env,
    }
}

/// The commands of the reactions that write a file.
fn kept(checked: &Checked, run: &RunDir) -> BTreeMap<String, KeptFile> {
    let commands = checked.plan.reactions.iter().flat_map(|reaction| &reaction.commands);
    commands
        .filter_map(|command| {
            let domain = run.domain().to_string();
            let file = KeptFile::of(&checked.template, command, run.dumps_dir(), domain)?;
            Some((command.clone(), file))
        })
        .collect()
}

/// The descriptors that the program opens by a path, which its root must have then.
fn files_by_path(checked: &Checked, handles: &[Handle], grants: &Grants) -> Vec<NamedFile> {
    let mut files: Vec<NamedFile> = Vec::new();
    for index in checked.named_by_path() {
        let Some(Handle::Descriptor { writable, role, .. }) = handles.get(index) else { continue };
        // The first is the one that is named.
        let Some(fd) = grants.numbers.get(index).and_then(|numbers| numbers.first()).copied() else {
            continue;
        };
        let folder = *role == Role::Folder;
        let (writable, directory) = (*writable, folder || *role == Role::Directory);
        let within = if folder { grants.folder(fd) } else { None };
        let path = within.unwrap_or_else(|| path_of(&checked.template, fd).into());
        files.push(NamedFile { fd, path, writable, directory, folder });
    }
    files
}

fn no_cage(failure: WallFailure) -> LaunchError {
    let mut error = LaunchError::new(LaunchErrorKind::CageFailed, failure.to_string());
    if let Some(hint) = failure.hint {
        error = error.hint(hint);
    }
    if failure.wall != Wall::Program {
        error = error.hint("see which walls hold here: hostler doctor").hint(
            "to start it all the same, with all that its user may do open to it: hostler --cage=off start …",
        );
    }
    error
}

/// The time for the shim. A start that is late must not happen at all: whoever asked was told that it failed.
fn time_left(until: Instant) -> Result<Duration, LaunchError> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        let message = "the time was over before the hypervisor could be started";
        return Err(LaunchError::new(LaunchErrorKind::TimedOut, message));
    }
    Ok(left)
}

fn take_lock(run: &RunDir) -> Result<RunLock, LaunchError> {
    run.acquire().map_err(|error| match error.kind {
        Kind::Busy => LaunchError::new(LaunchErrorKind::Busy, "the domain runs already"),
        _ => LaunchError::io("take the run lock", error),
    })
}

/// Makes the directory for sockets, without those of an earlier run.
fn sockets_directory(run: &RunDir, handles: &[Handle]) -> Result<PathBuf, LaunchError> {
    let directory = run.path().join(SOCKETS);
    let names = handles.iter().filter_map(|handle| match handle {
        Handle::Socket(name) => Some(name),
        _ => None,
    });
    for name in names {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map_err(|error| LaunchError::io("make the directory for sockets", error))?;
        match std::fs::remove_file(directory.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(LaunchError::io("remove an earlier socket", error).at(name.as_str()));
            }
            _ => {}
        }
    }
    Ok(directory)
}

/// Gives every descriptor the number that it will have in the program.
fn number(opened: &Opened, sockets: PathBuf, cage: CageSetting) -> Result<Grants, LaunchError> {
    let total: usize = opened.program.iter().map(Vec::len).sum();
    if total > PROGRAM_FDS_MAX {
        let message = format!("the program would inherit {total} descriptors, at most {PROGRAM_FDS_MAX}");
        return Err(LaunchError::new(LaunchErrorKind::PlanInvalid, message)
            .hint("give the domain fewer disks or layers"));
    }
    let mut next: RawFd = FIRST_PROGRAM_FD;
    let mut numbers = Vec::with_capacity(opened.program.len());
    for fds in &opened.program {
        let own: Vec<RawFd> = fds.iter().zip(next..).map(|(_, number)| number).collect();
        next = own.last().map_or(next, |last| last + 1);
        numbers.push(own);
    }
    let sets = (0..numbers.len() as u64).collect();
    let folders = (cage != CageSetting::Off).then(|| PathBuf::from(FOLDERS));
    Ok(Grants { numbers, sets, sockets, folders })
}

fn start_shim(
    run: &RunDir,
    shim: &Path,
    request: &StartRequest,
    fds: &[BorrowedFd<'_>],
    deadline: Duration,
) -> Result<StartAnswer, LaunchError> {
    if !shim.is_absolute() {
        let message = "the shim must be named by an absolute path: it is never searched for";
        return Err(LaunchError::new(LaunchErrorKind::ShimFailed, message).at(shim.display().to_string()));
    }
    let until = after(deadline.saturating_add(SHIM_TIMEOUT));
    let (ours, theirs) = grant::pair().map_err(|error| LaunchError::io("make the shim's socket", error))?;
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(run.log_path());
    let log = log.map_err(|error| LaunchError::io("open the log", error))?;
    let mut command = Command::new(shim);
    command.env_clear().current_dir("/").stdin(theirs).stdout(Stdio::null()).stderr(log);
    let status = command.status().map_err(|error| {
        LaunchError::new(LaunchErrorKind::ShimFailed, "the shim cannot be started")
            .at(shim.display().to_string())
            .caused_by(error)
            .hint("hostler-shim belongs beside hostler; set its path in the configuration")
    })?;
    // Its end of the socket is inside the command.
    drop(command);
    let failed = |error: io::Error| {
        LaunchError::new(LaunchErrorKind::ShimFailed, "the shim broke off before the hypervisor was ready")
            .caused_by(error)
            .hint(format!("see '{}'", run.log_path().display()))
    };
    if !status.success() {
        return Err(failed(io::Error::other(format!("its first stage ended with {status}"))));
    }
    let mut wire = Wire::over(ours);
    let line = serde_json::to_vec(request).map_err(|error| LaunchError::io("encode the start", error))?;
    wire.send_fds(fds, until).map_err(failed)?;
    wire.send(&line, &[], until).map_err(failed)?;
    let answer = wire.receive(until).map_err(failed)?;
    serde_json::from_slice(&answer).map_err(|error| failed(error.into()))
}

fn start_error(kind: StartFailure, message: String, tail: &str) -> LaunchError {
    let kind = match kind {
        StartFailure::Hypervisor => LaunchErrorKind::HypervisorFailed,
        StartFailure::TimedOut => LaunchErrorKind::TimedOut,
        StartFailure::Shim => LaunchErrorKind::ShimFailed,
    };
    let error = LaunchError::new(kind, message);
    let words = tail.trim();
    if words.is_empty() { error } else { error.hint(format!("its last words: {words}")) }
}
