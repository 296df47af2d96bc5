//! The migration stream: how a guest's bytes leave a hypervisor and come into one.

use hostler_sdk::{
    Command, Domain, Error, Monitor, MonitorExt, ProblemExt, Resources, Symbol, Value, problem,
};
use serde_json::Value as Json;

/// How long one wait for news is. The news are looked for anyway when none came.
const NEWS_MS: u64 = 30_000;

/// As fast as it goes, in bytes a second: the largest that QEMU takes with room for its own arithmetic.
pub(super) const BANDWIDTH: u64 = 1 << 62;

/// How a migration stands (`query-migrate`, member `status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is none, or there was none.
    None,
    /// It goes on.
    Active,
    /// All is written, or all was read.
    Completed,
    /// It was stopped by a command.
    Cancelled,
    /// It failed.
    Failed,
}

/// Lets the hypervisor tell of its migrations, and takes every brake off.
///
/// # Errors
/// What the monitor answers.
pub(super) fn prepare(monitor: &Monitor) -> Result<(), Error> {
    let events = Value::mapping().with("capability", "events").with("state", true);
    let commands = [
        Command::new("migrate-set-capabilities").with("capabilities", Value::Sequence(vec![events])),
        Command::new("migrate-set-parameters").with("max-bandwidth", BANDWIDTH),
    ];
    monitor.run_all(&commands).into_iter().try_for_each(|answer| answer.map(drop))
}

/// Writes the stopped guest to the operation's output.
///
/// # Errors
/// What the host or the monitor answers; what QEMU says when it fails.
pub(super) fn write_out(domain: &Domain, monitor: &Monitor) -> Result<(), Error> {
    finish(domain, monitor, &Command::new("migrate").with("uri", Symbol::Output), "writing the guest out")
}

/// Reads the guest from the operation's input, into a hypervisor that waits for one.
///
/// # Errors
/// What the host or the monitor answers; what QEMU says when it fails.
pub(super) fn read_in(domain: &Domain, monitor: &Monitor) -> Result<(), Error> {
    finish(
        domain,
        monitor,
        &Command::new("migrate-incoming").with("uri", Symbol::Input),
        "reading the guest in",
    )
}

fn finish(domain: &Domain, monitor: &Monitor, command: &Command, what: &str) -> Result<(), Error> {
    let cursor = monitor.cursor();
    monitor.run_with(command, domain, &mut Resources::default())?;
    match wait_from(monitor, cursor)? {
        (Progress::Completed, _) => Ok(()),
        (progress, why) => {
            let why = why.unwrap_or_else(|| word(progress).to_owned());
            Err(problem("qemu.migration-failed", format!("{what} failed: {why}")).hypervisor())
        }
    }
}

/// Stops a migration that goes on. One that has ended is left as it is.
///
/// # Errors
/// What the monitor answers.
pub(super) fn cancel(monitor: &Monitor) -> Result<(), Error> {
    if progress(monitor)?.0 != Progress::Active {
        return Ok(());
    }
    let cursor = monitor.cursor();
    monitor.run("migrate_cancel")?;
    wait_from(monitor, cursor).map(drop)
}

/// Waits until it does not go on any more, and says how it ended.
fn wait_from(monitor: &Monitor, mut cursor: u64) -> Result<(Progress, Option<String>), Error> {
    loop {
        let found = progress(monitor)?;
        if !matches!(found.0, Progress::Active | Progress::None) {
            return Ok(found);
        }
        if let Some(event) = monitor.wait_event(&["MIGRATION".to_owned()], cursor, NEWS_MS)? {
            cursor = event.cursor;
        }
    }
}

/// How it stands, and why it failed where it has.
fn progress(monitor: &Monitor) -> Result<(Progress, Option<String>), Error> {
    let answer = monitor.run("query-migrate")?;
    let answer: Json = serde_json::from_str(&answer).unwrap_or_default();
    let why = answer.get("error-desc").and_then(Json::as_str).map(str::to_owned);
    Ok((status(&answer), why))
}

/// How it stands, in an answer to `query-migrate`: untrusted.
pub(super) fn status(answer: &Json) -> Progress {
    match answer.get("status").and_then(Json::as_str) {
        None | Some("none") => Progress::None,
        Some("completed") => Progress::Completed,
        Some("cancelled") => Progress::Cancelled,
        Some("failed") => Progress::Failed,
        // `setup`, `active`, `device`, `pre-switchover`, `cancelling`, `wait-unplug` and what later versions add.
        Some(_) => Progress::Active,
    }
}

fn word(progress: Progress) -> &'static str {
    match progress {
        Progress::None => "it never began",
        Progress::Active => "it goes on",
        Progress::Completed => "it is complete",
        Progress::Cancelled => "it was cancelled",
        Progress::Failed => "QEMU does not say why",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_says_whether_it_is_over() {
        for (answer, expected) in [
            ("{}", Progress::None),
            (r#"{"status":"setup"}"#, Progress::Active),
            (r#"{"status":"cancelling"}"#, Progress::Active),
            (r#"{"status":"completed"}"#, Progress::Completed),
            (r#"{"status":"failed"}"#, Progress::Failed),
            (r#"{"status":7}"#, Progress::None),
        ] {
            assert_eq!(status(&serde_json::from_str(answer).unwrap()), expected, "{answer}");
        }
    }
}
