//! Serving, begun and stopped: what a daemon has in the place of a guest that runs.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::{Command, Domain, Error, Monitor, MonitorExt, ProblemExt, Value, problem};

use crate::{document, launch};

/// The driver's note about a domain that is to serve nothing.
const SUSPENDED: &[u8] = b"suspended";
/// How long clients may take to be let go, for each export.
const REMOVAL_TIMEOUT_MS: u64 = 10_000;

/// Writes down whether the domain is to serve.
///
/// # Errors
/// The host's, when it cannot keep the note.
pub(crate) fn note(domain: &Domain, serving: bool) -> Result<(), Error> {
    domain.put_state(if serving { b"" } else { SUSPENDED })
}

/// Whether anything is served. Of a domain without disks only the note can tell.
///
/// # Errors
/// What the monitor answers; an answer that is none.
pub(crate) fn is_on(domain: &Domain) -> Result<bool, Error> {
    if !exported(&domain.monitor()?)?.is_empty() {
        return Ok(true);
    }
    let has_disks = !document::read(&domain.config())?.devices.disks.is_empty();
    Ok(!has_disks && domain.state()? != SUSPENDED)
}

/// Exports everything, the writable ones to be written to.
///
/// # Errors
/// What the monitor answers.
pub(crate) fn begin(domain: &Domain, document: &Document) -> Result<(), Error> {
    let export = |arguments: Value| Command { name: "block-export-add".into(), arguments: Some(arguments) };
    let commands: Vec<_> = launch::exports(document).into_iter().map(export).collect();
    if !commands.is_empty() {
        domain.monitor()?.run_all(&commands).into_iter().try_for_each(|answer| answer.map(drop))?;
    }
    note(domain, true)
}

/// Lets every client go, and returns once nothing is served.
///
/// # Errors
/// What the monitor answers; `timed-out` when an export stays.
pub(crate) fn stop(domain: &Domain) -> Result<(), Error> {
    let monitor = domain.monitor()?;
    let mut cursor = monitor.cursor();
    let ids = exported(&monitor)?;
    for id in &ids {
        let remove = Command::new("block-export-del").with("id", id.as_str()).with("mode", "hard");
        monitor.run_all(&[remove]).into_iter().try_for_each(|answer| answer.map(drop))?;
    }
    let gone = ["BLOCK_EXPORT_DELETED".to_owned()];
    for _ in &ids {
        let Some(event) = monitor.wait_event(&gone, cursor, REMOVAL_TIMEOUT_MS)? else {
            return Err(problem(
                "storage-daemon.export-stays",
                "a client was told to go, and its export stays",
            )
            .hint("look at the domain's state before trying again")
            .timed_out());
        };
        cursor = event.cursor;
    }
    note(domain, false)
}

/// The exports that there are, by id.
fn exported(monitor: &Monitor) -> Result<Vec<String>, Error> {
    ids(&monitor.run("query-block-exports")?).ok_or_else(|| {
        problem("storage-daemon.answer", "the answer to 'query-block-exports' is no list of exports")
            .hint("destroy the domain: its program does not behave like a storage daemon")
            .hypervisor()
    })
}

/// The ids in an answer: untrusted text.
fn ids(answer: &str) -> Option<Vec<String>> {
    let parsed: serde_json::Value = serde_json::from_str(answer).ok()?;
    parsed.as_array()?.iter().map(|export| Some(export.get("id")?.as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_what_is_none_is_refused() {
        assert_eq!(ids("[]"), Some(vec![]));
        assert_eq!(ids(r#"[{"id": "export0", "type": "nbd"}]"#), Some(vec!["export0".to_owned()]));
        for hostile in ["", "{}", "[1]", r#"[{"id": 7}]"#, r#"[{"node-name": "x"}]"#] {
            assert_eq!(ids(hostile), None, "{hostile:?}");
        }
    }
}
