//! `process`: launching a hypervisor from a plan, and its process while it runs.

use std::sync::Arc;
use std::time::Duration;

use hostler_grant::Capability;
use hostler_launch::{
    Companion as Planned, Ending, ExitRecord, Handle, LaunchContext, LaunchError, LaunchErrorKind,
    OptionEntry, Plan, Reaction, ShimClient, ShimError, ShimErrorKind, Template, end_orphan,
};
use hostler_state::{RunDir, RunRecord};
use wasmtime::component::Resource;

use super::companion::planned;
use super::domain::{Subject, only_reads, state_failed};
use super::value::tree;
use crate::answer;
use crate::bindings::wit::domain::Companion;
use crate::bindings::wit::process::{Ending as WitEnding, Host, HostProcess, LaunchPlan};
use crate::bindings::wit::types::Error;
use crate::bindings::wit::value::Handle as WitHandle;
use crate::call::{CallState, ContractViolation};
use crate::context::RunDocument;
use crate::limits;
use crate::operation::Operation;
use crate::recorded::Recorded;
use crate::text;

/// What a blocking call to a shim leaves of its time for the way back.
const SHIM_MARGIN: Duration = Duration::from_millis(100);
/// How long a shim that has closed its connections may take to let go of the run lock.
const ENDING_WAIT: Duration = Duration::from_secs(3);

/// A domain's hypervisor process.
#[derive(Clone)]
#[expect(unreachable_pub, reason = "the generated bindings export it again")]
pub enum Process {
    /// It was started by a shim, which tells about it.
    Shim { client: ShimClient, run: Arc<RunDir> },
    /// It runs, and its shim is gone: it can be ended and nothing else.
    Orphan(Arc<RunDir>),
    /// It was described, not started.
    Recorded,
}

impl Host for CallState {}

impl HostProcess for CallState {
    async fn ending(&mut self, me: Resource<Process>) -> wasmtime::Result<Option<WitEnding>> {
        self.enter("process.ending")?;
        let process = self.table.get(&me)?.clone();
        let ending = self
            .blocking("process.ending", limits::SHIM_DEADLINE, move |_| match process {
                Process::Shim { client, run } => match client.status() {
                    Ok(status) => Ok(status.ended),
                    Err(error) => ended_already(&run, &error).map(Some).ok_or_else(|| shim_failed(&error)),
                },
                Process::Orphan(run) => Ok((!run.is_held().unwrap_or(true)).then_some(Ending::Unknown)),
                Process::Recorded => Ok(Some(Ending::Unknown)),
            })
            .await?;
        match ending {
            Ok(ending) => Ok(ending.map(Into::into)),
            // The contract's answer has no room for an error; nothing was seen to end.
            Err(error) => {
                tracing::warn!(?error, "how the hypervisor ended cannot be found out");
                Ok(None)
            }
        }
    }

    async fn wait(
        &mut self,
        me: Resource<Process>,
        timeout_ms: u64,
    ) -> wasmtime::Result<Result<WitEnding, Error>> {
        self.enter("process.wait")?;
        let process = self.table.get(&me)?.clone();
        let wanted = Duration::from_millis(timeout_ms);
        self.blocking("process.wait", limits::WAIT_DEADLINE, move |allowed| {
            let timeout = wanted.min(allowed.saturating_sub(SHIM_MARGIN));
            let Process::Shim { client, run } = process else { return Ok(WitEnding::Unknown) };
            match client.wait(timeout) {
                Ok(Some(ending)) => Ok(ending.into()),
                Ok(None) => {
                    let message = format!("the hypervisor still runs after {} ms", timeout.as_millis());
                    Err(Error::TimedOut(answer::problem("process.still-runs", message)))
                }
                Err(error) => ended_already(&run, &error).map(Into::into).ok_or_else(|| shim_failed(&error)),
            }
        })
        .await
    }

    async fn end(
        &mut self,
        me: Resource<Process>,
        gracefully: bool,
        timeout_ms: u64,
    ) -> wasmtime::Result<Result<WitEnding, Error>> {
        self.enter("process.end")?;
        let process = self.table.get(&me)?.clone();
        let wanted = Duration::from_millis(timeout_ms);
        self.blocking("process.end", limits::WAIT_DEADLINE, move |allowed| {
            let timeout = wanted.min(allowed.saturating_sub(SHIM_MARGIN) / 2);
            match process {
                Process::Shim { client, run } => match client.end(gracefully, timeout) {
                    Ok(ending) => Ok(ending.into()),
                    Err(error) if error.kind == ShimErrorKind::Orphaned => end_of_orphan(&run),
                    Err(error) => {
                        ended_already(&run, &error).map(Into::into).ok_or_else(|| shim_failed(&error))
                    }
                },
                Process::Orphan(run) => end_of_orphan(&run),
                Process::Recorded => Ok(WitEnding::Unknown),
            }
        })
        .await
    }

    async fn output_tail(&mut self, me: Resource<Process>) -> wasmtime::Result<String> {
        self.enter("process.output-tail")?;
        let process = self.table.get(&me)?.clone();
        let tail = self
            .blocking("process.output-tail", limits::SHIM_DEADLINE, move |_| match process {
                Process::Shim { client, run } => client
                    .output_tail()
                    .or_else(|error| last_words(&run, &error).ok_or_else(|| shim_failed(&error))),
                Process::Orphan(_) | Process::Recorded => Ok(String::new()),
            })
            .await?;
        // Nothing to show is all that can be said here; the next call that can fail tells why.
        Ok(tail.unwrap_or_default())
    }

    async fn drop(&mut self, me: Resource<Process>) -> wasmtime::Result<()> {
        self.table.delete(me)?;
        Ok(())
    }
}

impl CallState {
    /// Checks a plan against the grant and the program's policy, then starts it; only records it when the domain
    /// is described.
    pub(crate) async fn launch_plan(
        &mut self,
        subject: Arc<Subject>,
        plan: LaunchPlan,
        companions: Vec<Companion>,
        handles: Vec<WitHandle>,
    ) -> wasmtime::Result<Result<Resource<Process>, Error>> {
        let handles = self.handles(&handles)?;
        let plan = converted(plan, handles.len())?;
        let companions = planned(companions, handles.len())?;
        for plan in std::iter::once(&plan).chain(companions.iter().map(|companion| &companion.plan)) {
            if let Err(denied) = self.require(Capability::Process, &plan.template) {
                return Ok(Err(denied));
            }
        }
        if self.operation == Operation::Check {
            return Err(ContractViolation("check launches nothing".to_owned()).into());
        }
        if subject.describes() {
            if self.recorded.replace(Recorded { plan, companions, handles }).is_some() {
                return Err(ContractViolation("it asked for two launches".to_owned()).into());
            }
            return Ok(Ok(self.table.push(Process::Recorded)?));
        }
        let started = self
            .blocking("domain.launch", limits::LAUNCH_DEADLINE, move |allowed| {
                start(&subject, &plan, companions, handles, allowed)
            })
            .await?;
        match started {
            Ok(process) => Ok(Ok(self.table.push(process)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    /// The running hypervisor's process, if it runs.
    pub(crate) async fn running_process(
        &mut self,
        subject: Arc<Subject>,
    ) -> wasmtime::Result<Option<Resource<Process>>> {
        let found =
            self.blocking("domain.process", limits::SHIM_DEADLINE, move |_| Ok(find(&subject))).await?;
        match found {
            Ok(Ok(Some(process))) => Ok(Some(self.table.push(process)?)),
            Ok(Ok(None)) => Ok(None),
            // Silence is not absence: a driver that is told "none" would call the domain off.
            Ok(Err(error)) | Err(error) => Err(super::unanswerable("domain.process", &error)),
        }
    }
}

fn start(
    subject: &Subject,
    plan: &Plan,
    companions: Vec<Planned>,
    handles: Vec<Handle>,
    allowed: Duration,
) -> Result<Process, Error> {
    let context = &subject.context;
    let owner = context.state.owner().ok_or_else(only_reads)?;
    let template = template(subject, &plan.template)?;
    let checked = hostler_launch::check(plan, &handles, template).map_err(|error| launch_failed(&error))?;
    let mut beside = Vec::with_capacity(companions.len());
    for companion in companions {
        let template = Arc::clone(self::template(subject, &companion.plan.template)?);
        beside.push((companion, template));
    }
    let beside = hostler_launch::check_companions(&checked, &beside, &handles)
        .map_err(|error| launch_failed(&error))?;
    tracing::info!(template = plan.template, hash = checked.hash(), "launching");
    let run = owner.create_run_dir(context.uuid).map_err(|error| match error.kind {
        hostler_state::Kind::Busy => {
            Error::Conflict(answer::problem("domain.running", "the domain already runs"))
        }
        _ => state_failed(&error),
    })?;
    let document = RunDocument {
        xml: subject.run_xml()?,
        numeric_id: context.numeric_id,
        volumes: context.volumes.known(),
        leaving: Vec::new(),
    };
    run.write(RunRecord::Document, &document).map_err(|error| state_failed(&error))?;
    let launch = LaunchContext {
        shim: context.shim.clone(),
        domain_name: context.name.clone(),
        cage: context.cage,
        limits: subject.document()?.limits.clone(),
    };
    let deadline = allowed.saturating_sub(SHIM_MARGIN);
    match hostler_launch::launch(&run, &launch, checked, beside, handles, deadline) {
        Ok(client) => Ok(Process::Shim { client, run: Arc::new(run) }),
        Err(error) => Err(launch_failed(&error)),
    }
}

/// The program's policy.
pub(crate) fn template<'a>(subject: &'a Subject, name: &str) -> Result<&'a Arc<Template>, Error> {
    subject.context.templates.get(name).map_err(|error| launch_failed(&error))
}

/// The process of a domain, by its run lock: none when the lock is free.
pub(crate) fn find(subject: &Subject) -> Result<Option<Process>, Error> {
    let run = Arc::new(subject.context.state.directory().run_dir(subject.context.uuid));
    if subject.describes() {
        return Ok(None);
    }
    match ShimClient::connect(&run) {
        Ok(client) => Ok(Some(Process::Shim { client, run })),
        Err(error) if error.kind == ShimErrorKind::NotRunning => Ok(None),
        Err(error) if error.kind == ShimErrorKind::Orphaned => Ok(Some(Process::Orphan(run))),
        // A shim closes its connections, writes its last record and lets go of the lock: it is about to be gone.
        Err(error)
            if error.kind == ShimErrorKind::Closed && run.wait_released(ENDING_WAIT).unwrap_or(false) =>
        {
            Ok(None)
        }
        Err(error) => Err(shim_failed(&error)),
    }
}

/// How it ended, when the shim does not answer because both are gone.
fn ended_already(run: &RunDir, error: &ShimError) -> Option<Ending> {
    if error.kind != ShimErrorKind::NotRunning && run.is_held().unwrap_or(true) {
        return None;
    }
    let record: Option<serde_json::Value> = run.read(RunRecord::Exit).ok().flatten();
    let ending = record.and_then(|record| serde_json::from_value(record.get("ending")?.clone()).ok());
    Some(ending.unwrap_or(Ending::Unknown))
}

/// What a process that has ended wrote last.
fn last_words(run: &RunDir, error: &ShimError) -> Option<String> {
    ended_already(run, error)?;
    let record: Option<ExitRecord> = run.read(RunRecord::Exit).ok().flatten();
    record.map(|record| record.tail)
}

fn end_of_orphan(run: &RunDir) -> Result<WitEnding, Error> {
    end_orphan(run).map(|()| WitEnding::Unknown).map_err(|error| shim_failed(&error))
}

impl From<Ending> for WitEnding {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Exited(status) => Self::Exited(status),
            Ending::Killed(signal) => Self::Killed(signal),
            Ending::Unknown => Self::Unknown,
        }
    }
}

/// What the driver is told when a shim cannot be talked to.
pub(crate) fn shim_failed(error: &ShimError) -> Error {
    let mut problem = answer::host(error.code(), error);
    problem.hints.clone_from(&error.hints);
    match error.kind {
        ShimErrorKind::NotRunning => Error::Conflict(problem),
        ShimErrorKind::Orphaned | ShimErrorKind::EventsLost | ShimErrorKind::NotOurs => {
            Error::Conflict(problem)
        }
        ShimErrorKind::TimedOut => Error::TimedOut(problem),
        _ => Error::Host(problem),
    }
}

/// What the driver is told when a launch is refused or fails.
pub(crate) fn launch_failed(error: &LaunchError) -> Error {
    let mut problem = answer::host(error.code(), error);
    problem.message = text::escape(&problem.message, limits::TEXT_BYTES);
    problem.hints.clone_from(&error.hints);
    let known = [("option", &error.option), ("rule", &error.rule)];
    problem.details = known
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| answer::fact(key, value.clone()))
        .collect();
    match error.kind {
        LaunchErrorKind::Denied => Error::Denied(problem),
        LaunchErrorKind::PlanInvalid => Error::Invalid(problem),
        LaunchErrorKind::LimitFailed => Error::Unsupported(problem),
        LaunchErrorKind::TemplateUnknown => Error::Unsupported(problem),
        LaunchErrorKind::ProgramMissing => Error::NotFound(problem),
        LaunchErrorKind::Busy => Error::Conflict(problem),
        LaunchErrorKind::HypervisorFailed => Error::Hypervisor(problem),
        LaunchErrorKind::TimedOut => Error::TimedOut(problem),
        _ => Error::Host(problem),
    }
}

/// The launcher's plan; its trees are checked against the contract here, against policy later.
pub(super) fn converted(plan: LaunchPlan, handles: usize) -> Result<Plan, ContractViolation> {
    let (found, reactions) = (plan.options.len(), plan.reactions.len());
    if found > limits::OPTIONS || reactions > limits::COMMANDS {
        return Err(ContractViolation(format!("a plan of {found} options and {reactions} reactions")));
    }
    let mut options = Vec::with_capacity(plan.options.len());
    for option in plan.options {
        let value = option.value.map(|value| tree(value, handles)).transpose()?;
        options.push(OptionEntry { name: option.name, value });
    }
    let reactions = plan.reactions.into_iter();
    Ok(Plan {
        template: plan.template,
        options,
        environment: plan.environment.into_iter().map(|fact| (fact.key, fact.value)).collect(),
        reactions: reactions
            .map(|reaction| Reaction { event: reaction.event, commands: reaction.commands })
            .collect(),
    })
}
