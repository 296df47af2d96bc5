//! A guest kept with its memory within the images of its disks, and brought back from there.
//!
//! QEMU does each of that as a job, which goes on whoever asked for it. It stops the guest for as long as it writes, and lets
//! it go on by itself.

use hostler_sdk::{
    Command, Domain, Error, Fact, Kept, Monitor, MonitorExt, ProblemExt, RunState, Value, problem,
};
use serde_json::Value as Json;

use super::nodes::{self, DiskNodes};
use super::{monitor_state, plan, shares, start};

/// How long one wait for news is. The news are looked for anyway when none came.
const NEWS_MS: u64 = 30_000;
/// The id of the job; there is one at a time.
const JOB: &str = "kept";

/// Keeps the guest.
///
/// # Errors
/// `conflict` for a guest that is neither running nor paused; what host and monitor answer. Nothing is kept then.
pub(crate) fn keep(domain: &Domain, kept: &Kept) -> Result<(), Error> {
    shares::refuse(domain, "kept with its memory")?;
    let monitor = domain.monitor()?;
    let state = monitor_state::ask(domain, &monitor)?;
    let hint = "only a guest that runs or is paused can be kept";
    monitor_state::expect(domain, state, &[RunState::Running, RunState::Paused], hint)?;
    dismiss(&monitor)?;
    let nodes = format_nodes(domain, &monitor, &kept.targets)?;
    let done = work(&monitor, &with_memory("snapshot-save", domain, &monitor, kept, &nodes)?);
    if done.is_err() {
        remove(&monitor, &kept.name, &nodes)?;
    }
    done
}

/// Whether the guest is kept. What is kept of some disks only is removed.
///
/// # Errors
/// What host and monitor answer.
pub(crate) fn settle(domain: &Domain, kept: &Kept) -> Result<bool, Error> {
    let monitor = domain.monitor()?;
    dismiss(&monitor)?;
    let nodes = format_nodes(domain, &monitor, &kept.targets)?;
    let all = nodes::having(&monitor, &kept.name)?;
    if nodes.iter().all(|node| all.contains(node)) {
        return Ok(true);
    }
    remove(&monitor, &kept.name, &nodes)?;
    Ok(false)
}

/// Removes what is kept.
///
/// # Errors
/// What host and monitor answer.
pub(crate) fn forget(domain: &Domain, kept: &Kept) -> Result<(), Error> {
    let monitor = domain.monitor()?;
    dismiss(&monitor)?;
    let nodes = format_nodes(domain, &monitor, &kept.targets)?;
    remove(&monitor, &kept.name, &nodes)
}

/// Starts the hypervisor with its processors stopped, gives it the guest that is kept, and lets it go.
///
/// # Errors
/// What a start fails of; what QEMU says of what is kept. The host then undoes the launch.
pub(crate) fn bring_back(domain: &Domain, kept: &Kept, options: &[Fact]) -> Result<(), Error> {
    let paused = start::is_paused(options);
    let (_, monitor) = start::launch(domain, plan::plan(domain)?, paused)?;
    let nodes = format_nodes(domain, &monitor, &kept.targets)?;
    work(&monitor, &with_memory("snapshot-load", domain, &monitor, kept, &nodes)?)?;
    start::go(domain, &monitor, paused, "restored")
}

/// The format nodes of the active layers of these disks.
fn format_nodes(domain: &Domain, monitor: &Monitor, targets: &[String]) -> Result<Vec<String>, Error> {
    targets.iter().map(|target| DiskNodes::of(domain, monitor, target)?.format(0)).collect()
}

fn command(name: &str, tag: &str, nodes: &[String]) -> Command {
    let devices = nodes.iter().map(|node| Value::from(node.as_str())).collect();
    Command::new(name).with("job-id", JOB).with("tag", tag).with("devices", Value::Sequence(devices))
}

fn with_memory(
    name: &str,
    domain: &Domain,
    monitor: &Monitor,
    kept: &Kept,
    nodes: &[String],
) -> Result<Command, Error> {
    let memory = DiskNodes::of(domain, monitor, &kept.memory)?.format(0)?;
    Ok(command(name, &kept.name, nodes).with("vmstate", memory))
}

/// Removes what is kept under a name from those of the nodes that have it.
fn remove(monitor: &Monitor, tag: &str, nodes: &[String]) -> Result<(), Error> {
    let having = nodes::having(monitor, tag)?;
    let having: Vec<_> = nodes.iter().filter(|node| having.contains(node)).cloned().collect();
    if having.is_empty() { Ok(()) } else { work(monitor, &command("snapshot-delete", tag, &having)) }
}

/// Lets the job begin, and waits for its end.
fn work(monitor: &Monitor, command: &Command) -> Result<(), Error> {
    monitor.run_all(std::slice::from_ref(command)).into_iter().try_for_each(|answer| answer.map(drop))?;
    match dismiss(monitor)? {
        None => Ok(()),
        Some(why) => {
            Err(problem("qemu.job-failed", format!("'{}' failed: {why}", command.name)).hypervisor())
        }
    }
}

/// Waits until there is no such job, and has the hypervisor forget one that is over. Why it failed, if it did.
fn dismiss(monitor: &Monitor) -> Result<Option<String>, Error> {
    let mut cursor = monitor.cursor();
    loop {
        let answer = monitor.run("query-jobs")?;
        let Some((over, why)) = found(&answer) else { return Ok(None) };
        if over {
            let dismiss = Command::new("job-dismiss").with("id", JOB);
            monitor.run_all(&[dismiss]).into_iter().try_for_each(|answer| answer.map(drop))?;
            return Ok(why);
        }
        if let Some(event) = monitor.wait_event(&["JOB_STATUS_CHANGE".to_owned()], cursor, NEWS_MS)? {
            cursor = event.cursor;
        }
    }
}

/// Whether the job is over, and why it failed, in the hypervisor's answer: untrusted text.
fn found(answer: &str) -> Option<(bool, Option<String>)> {
    let jobs: Vec<Json> = serde_json::from_str(answer).unwrap_or_default();
    let job = jobs.iter().find(|job| job.get("id").and_then(Json::as_str) == Some(JOB))?;
    let over = job.get("status").and_then(Json::as_str) == Some("concluded");
    Some((over, job.get("error").and_then(Json::as_str).map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_is_over_when_it_is_concluded() {
        let job = |rest: &str| format!(r#"[{{"id":"other"}},{{"id":"kept",{rest}}}]"#);
        assert_eq!(found(&job(r#""status":"running""#)), Some((false, None)));
        assert_eq!(found(&job(r#""status":"concluded""#)), Some((true, None)));
        let failed = job(r#""status":"concluded","error":"no room""#);
        assert_eq!(found(&failed), Some((true, Some("no room".to_owned()))));
        for hostile in ["", "{}", "[7]", "[{\"id\":7}]"] {
            assert_eq!(found(hostile), None, "{hostile:?}");
        }
    }
}
