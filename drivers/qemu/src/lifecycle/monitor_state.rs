//! What a hypervisor says it is doing.

use hostler_sdk::{Domain, Error, Monitor, MonitorExt, ProblemExt, RunState, problem};

use super::notes::{self, Note};

/// How long a guest's processors may take to stop or to go on.
pub(super) const PROCESSORS_TIMEOUT_MS: u64 = 30_000;

/// How often a command is tried again that a guest does not take so soon after a migration, and how long between.
const MOMENTS: u32 = 50;
const MOMENT_MS: u64 = 20;

/// Asks a running hypervisor.
///
/// # Errors
/// What the monitor answers; an answer that is none.
pub(super) fn ask(domain: &Domain, monitor: &Monitor) -> Result<RunState, Error> {
    let status = status(&monitor.run("query-status")?)?;
    if status == "prelaunch" && notes::has(domain, Note::HeldBack)? {
        return Ok(RunState::Paused);
    }
    Ok(run_state(&status))
}

/// The status in an answer: untrusted text.
fn status(answer: &str) -> Result<String, Error> {
    let parsed: Option<serde_json::Value> = serde_json::from_str(answer).ok();
    let status = parsed.as_ref().and_then(|answer| answer.get("status")?.as_str());
    status.map(str::to_owned).ok_or_else(|| {
        problem("qemu.status-unreadable", "the hypervisor's answer to 'query-status' has no status")
            .hint("destroy the domain: its hypervisor does not behave like QEMU")
            .hypervisor()
    })
}

/// What a status of QEMU means.
fn run_state(status: &str) -> RunState {
    match status {
        "running" | "colo" => RunState::Running,
        "prelaunch" | "inmigrate" => RunState::Starting,
        "shutdown" => RunState::ShuttingDown,
        "guest-panicked" | "internal-error" => RunState::Crashed,
        "suspended" => RunState::Sleeping,
        // Stopped by a command, a watchdog, an I/O error, a debugger, a migration.
        _ => RunState::Paused,
    }
}

/// Refuses an operation that is not for this state.
///
/// # Errors
/// `conflict`, when the state is none of these.
pub(super) fn expect(domain: &Domain, found: RunState, wanted: &[RunState], hint: &str) -> Result<(), Error> {
    if wanted.contains(&found) {
        return Ok(());
    }
    let message = format!("the domain '{}' is {}", domain.name(), word(found));
    Err(problem("domain.state", message).hint(hint).conflict())
}

fn word(state: RunState) -> &'static str {
    match state {
        RunState::Off => "off",
        RunState::Starting => "starting",
        RunState::Running => "running",
        RunState::Paused => "paused",
        RunState::ShuttingDown => "shutting down",
        RunState::Crashed => "crashed",
        RunState::Sleeping => "asleep",
    }
}

/// Sends a command and waits for the event that tells of its effect: the first of these. Says which.
///
/// # Errors
/// What the monitor answers; `timed-out` when no such event comes.
pub(super) fn run_and_wait(monitor: &Monitor, command: &str, events: &[&str]) -> Result<String, Error> {
    let cursor = monitor.cursor();
    let mut moments = MOMENTS;
    while let Err(error) = monitor.run(command) {
        moments -= 1;
        if moments == 0 || !is_just_migrated(monitor)? {
            return Err(error);
        }
        monitor.wait_event(&["MIGRATION".to_owned()], cursor, MOMENT_MS)?;
    }
    let names: Vec<String> = events.iter().map(|event| (*event).to_owned()).collect();
    if let Some(event) = monitor.wait_event(&names, cursor, PROCESSORS_TIMEOUT_MS)? {
        return Ok(event.name);
    }
    let seconds = PROCESSORS_TIMEOUT_MS / 1000;
    let message =
        format!("'{command}' was accepted, but no {} followed within {seconds} s", events.join(" or "));
    Err(problem("qemu.event-missing", message)
        .hint("look at the domain's state before trying again")
        .timed_out())
}

/// Whether all of a guest was sent, and it stands for that. QEMU 7.2 sends none a second time.
///
/// # Errors
/// What the monitor answers.
pub(super) fn is_sent(monitor: &Monitor) -> Result<bool, Error> {
    Ok(status(&monitor.run("query-status")?)? == "postmigrate")
}

/// Whether a guest stands after all of it was sent: QEMU tells that a moment before it lets it go on ("not finalized yet").
fn is_just_migrated(monitor: &Monitor) -> Result<bool, Error> {
    let status = status(&monitor.run("query-status")?)?;
    Ok(matches!(status.as_str(), "finish-migrate" | "postmigrate"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_become_states() {
        for (answer, state) in [
            (r#"{"running":true,"singlestep":false,"status":"running"}"#, RunState::Running),
            (r#"{"status":"prelaunch"}"#, RunState::Starting),
            (r#"{"status":"io-error"}"#, RunState::Paused),
            (r#"{"status":"guest-panicked"}"#, RunState::Crashed),
            (r#"{"status":"shutdown"}"#, RunState::ShuttingDown),
            (r#"{"status":"suspended"}"#, RunState::Sleeping),
        ] {
            assert_eq!(run_state(&status(answer).unwrap()), state, "{answer}");
        }
        for hostile in ["", "{}", "[1]", "{\"status\":7}", "{\"status\":"] {
            assert!(status(hostile).is_err(), "{hostile:?}");
        }
    }
}
