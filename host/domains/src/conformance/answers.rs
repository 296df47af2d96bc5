//! What the host's own types say, in the words of the suite.

use hostler_conformance::{Answer, Failure, FailureKind, Launch, RunState};
use hostler_launch::LaunchErrorKind;
use hostler_runtime::{Case, Recorded, RunState as HostState, RuntimeError, RuntimeErrorKind};

/// The host could not do what the suite wanted.
pub(super) fn broken(message: impl Into<String>) -> Failure {
    Failure {
        kind: FailureKind::Broken,
        code: "host.failed".to_owned(),
        message: message.into(),
        details: Vec::new(),
    }
}

/// A call that the driver answered with an error, or that the host had to end.
pub(super) fn failed(error: &RuntimeError) -> Failure {
    let problem = error.problem();
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Failure {
        kind: kind(error),
        code: error.code().to_owned(),
        message: format!("{}{cause}", error.message()),
        details: problem.map(|problem| problem.details.clone()).unwrap_or_default(),
    }
}

fn kind(error: &RuntimeError) -> FailureKind {
    if error.code() == LaunchErrorKind::ProgramMissing.code() {
        return FailureKind::ProgramMissing;
    }
    match (error.kind, error.problem().map(|problem| problem.case)) {
        (_, Some(Case::Invalid)) => FailureKind::Invalid,
        (_, Some(Case::Unsupported)) => FailureKind::Unsupported,
        (_, Some(Case::Denied)) => FailureKind::Denied,
        (_, Some(Case::NotFound)) => FailureKind::NotFound,
        (_, Some(Case::Conflict)) => FailureKind::Conflict,
        (_, Some(Case::TimedOut)) => FailureKind::TimedOut,
        (_, Some(Case::Hypervisor)) => FailureKind::Hypervisor,
        (_, Some(Case::Host)) => FailureKind::Host,
        (_, Some(Case::Other)) => FailureKind::Other,
        (RuntimeErrorKind::Trap, None) => FailureKind::Trapped,
        (RuntimeErrorKind::Timeout, None) => FailureKind::Overtime,
        (RuntimeErrorKind::Memory, None) => FailureKind::OverMemory,
        (RuntimeErrorKind::Rate, None) => FailureKind::OverRate,
        (_, None) => FailureKind::Broken,
    }
}

pub(super) fn document(checked: Result<String, RuntimeError>) -> Result<Answer, Failure> {
    checked.map(Answer::Document).map_err(|error| failed(&error))
}

pub(super) fn state(found: Result<HostState, RuntimeError>) -> Result<Answer, Failure> {
    let found = found.map_err(|error| failed(&error))?;
    Ok(Answer::State(match found {
        HostState::Off => RunState::Off,
        HostState::Starting => RunState::Starting,
        HostState::Running => RunState::Running,
        HostState::Paused => RunState::Paused,
        HostState::ShuttingDown => RunState::ShuttingDown,
        HostState::Crashed => RunState::Crashed,
        HostState::Sleeping => RunState::Sleeping,
    }))
}

pub(super) fn counters(read: Result<Vec<(String, String)>, RuntimeError>) -> Result<Answer, Failure> {
    read.map(Answer::Counters).map_err(|error| failed(&error))
}

pub(super) fn launch(shown: Result<Recorded, RuntimeError>) -> Result<Answer, Failure> {
    let recorded = shown.map_err(|error| failed(&error))?;
    let text = serde_json::to_string(&recorded.plan).map_err(|error| broken(error.to_string()))?;
    Ok(Answer::Launch(Launch { template: recorded.plan.template, text }))
}
