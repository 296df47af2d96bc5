//! Work on the disks of a running guest: commit, pull, size.
//!
//! Jobs are neither finalised nor dismissed by QEMU: whoever settles one, this call or one of an owner to come, finds it
//! at the step that it had reached. A job that waits to be finalised holds the guest's writes, so that both chains have
//! the same content until the host has written down which of them it is.

use hostler_sdk::{
    BlockJob, Command, Domain, Error, JobKind, JobReport, JobState, Monitor, MonitorExt, ProblemExt,
    Resources, RunState, Value, problem,
};
use serde_json::Value as Json;

use super::hotplug::Copy;
use super::monitor_state;
use super::nodes::{self, DiskNodes};

/// How long a job may take for a step that is not work.
const STEP_MS: u64 = 15_000;
/// The events that tell of a job's steps.
const NEWS: [&str; 2] = ["JOB_STATUS_CHANGE", "BLOCK_JOB_READY"];

/// Lets a job begin.
///
/// # Errors
/// `conflict` when the guest does not run; `unsupported` for a disk whose active layer cannot be left; what the host or
/// the monitor answers.
pub(crate) fn begin(domain: &Domain, job: &BlockJob) -> Result<(), Error> {
    let monitor = domain.monitor()?;
    let state = monitor_state::ask(domain, &monitor)?;
    let hint = "QEMU keeps descriptors that it was told to give back while its guest is stopped; resume the guest first";
    monitor_state::expect(domain, state, &[RunState::Running], hint)?;
    nodes::remove_left(domain, &monitor, &job.target)?;
    let disk = DiskNodes::of(domain, &monitor, &job.target)?;
    disk.note(domain)?;
    if job.kind == JobKind::Copy {
        return begin_copy(domain, &monitor, &disk, job);
    }
    let mut command = match job.kind {
        JobKind::Commit => Command::new("block-commit"),
        JobKind::Pull | JobKind::Copy => Command::new("block-stream"),
    }
    .with("job-id", id(job))
    .with("device", disk.root()?)
    .with("auto-finalize", false)
    .with("auto-dismiss", false);
    if let Some(base) = job.base {
        command = command.with("base-node", disk.format(base)?);
    }
    if job.kind == JobKind::Commit && job.top > 0 {
        command = command.with("top-node", disk.format(job.top)?);
    } else if job.kind == JobKind::Commit && disk.has_filter() {
        return Err(filtered(job));
    }
    if let Some(reference) = &job.reference {
        command = command.with("backing-file", reference.as_str());
    }
    if let Some(bandwidth) = bandwidth(job)? {
        command = command.with("speed", bandwidth);
    }
    monitor.run_with(&command, domain, &mut Resources::default()).map(drop)
}

/// Opens the image that a copy goes into.
///
/// # Errors
/// What cannot be opened; what the host or the monitor answers.
pub(crate) fn prepare(domain: &Domain, job: &BlockJob) -> Result<(), Error> {
    if job.kind != JobKind::Copy {
        return Ok(());
    }
    let monitor = domain.monitor()?;
    Copy::of(domain, &job.target)?.open(domain, &monitor, &job.target)
}

/// Has everything copied to the image that was opened for it.
fn begin_copy(domain: &Domain, monitor: &Monitor, disk: &DiskNodes, job: &BlockJob) -> Result<(), Error> {
    if disk.has_filter() {
        return Err(filtered(job));
    }
    let mut copy = Copy::of(domain, &job.target)?;
    let target = copy.nodes.first().cloned().ok_or_else(|| {
        problem("qemu.no-copy", format!("no image was opened to copy '{}' to", job.target)).conflict()
    })?;
    let sync = if job.base.is_some() { "top" } else { "full" };
    let mut command = Command::new("blockdev-mirror")
        .with("job-id", id(job))
        .with("device", disk.root()?)
        .with("target", target)
        .with("sync", sync)
        .with("auto-finalize", false)
        .with("auto-dismiss", false);
    if let Some(bandwidth) = bandwidth(job)? {
        command = command.with("speed", bandwidth);
    }
    if let Err(error) = monitor.run_with(&command, domain, &mut Resources::default()) {
        copy.close(domain, monitor)?;
        return Err(error);
    }
    Ok(())
}

fn filtered(job: &BlockJob) -> Error {
    let message = format!("disk '{}' copies on read, and its active layer cannot be left", job.target);
    problem("qemu.filtered", message)
        .hint("commit a layer below the active one, or take copy_on_read out and start anew")
        .unsupported()
}

fn bandwidth(job: &BlockJob) -> Result<Option<u64>, Error> {
    let Some(option) = job.options.iter().find(|option| option.key == "bandwidth") else { return Ok(None) };
    option.value.parse().map(Some).map_err(|_| {
        problem("qemu.bandwidth", format!("'{}' is no number of bytes a second", option.value)).invalid()
    })
}

/// The id of a job; there is one for a disk at a time.
fn id(job: &BlockJob) -> String {
    let kind = match job.kind {
        JobKind::Commit => "commit",
        JobKind::Pull => "pull",
        JobKind::Copy => "copy",
    };
    format!("{kind}-{}", job.target)
}

/// How a job stands. Waits for at most so long while it works.
///
/// # Errors
/// What the monitor answers.
pub(crate) fn report(domain: &Domain, job: &BlockJob, timeout_ms: u64) -> Result<JobReport, Error> {
    let monitor = domain.monitor()?;
    let report = wait_while(&monitor, job, &[JobState::Running], timeout_ms)?;
    let ended = matches!(report.state, JobState::Pending | JobState::Done);
    if ended && job.kind == JobKind::Copy && Copy::is_given_up(domain, &job.target)? {
        let error = Some("it was given up; the copy is complete".to_owned());
        return Ok(JobReport { state: JobState::Failed, error, ..report });
    }
    Ok(report)
}

/// Ends a job that is ready.
///
/// # Errors
/// What the monitor answers; `timed-out` when the guest writes faster than the rest is copied.
pub(crate) fn complete(domain: &Domain, job: &BlockJob) -> Result<(), Error> {
    let monitor = domain.monitor()?;
    if job.kind == JobKind::Copy {
        Copy::note_given_up(domain, &job.target, false)?;
    }
    tell(&monitor, "job-complete", job)?;
    let report = wait_while(&monitor, job, &[JobState::Running, JobState::Ready], STEP_MS)?;
    left_behind(&report, &[JobState::Running, JobState::Ready], "come to its end")
}

/// Gives a job up.
///
/// # Errors
/// What the monitor answers; `timed-out`.
pub(crate) fn cancel(domain: &Domain, job: &BlockJob) -> Result<(), Error> {
    let monitor = domain.monitor()?;
    let over = [JobState::None, JobState::Done, JobState::Failed];
    let state = wait_while(&monitor, job, &[], 0)?.state;
    if over.contains(&state) {
        return Ok(());
    }
    if job.kind == JobKind::Copy && state == JobState::Ready {
        return leave_complete(domain, &monitor, job);
    }
    tell(&monitor, "job-cancel", job)?;
    let unended = [JobState::Running, JobState::Ready, JobState::Pending];
    left_behind(&wait_while(&monitor, job, &unended, STEP_MS)?, &unended, "give up")
}

/// Ends a copy that is ready without the guest going on with it: it has all that the guest has written until then. To QEMU that
/// is an end as any other, so it is noted that it is not.
fn leave_complete(domain: &Domain, monitor: &Monitor, job: &BlockJob) -> Result<(), Error> {
    Copy::note_given_up(domain, &job.target, true)?;
    let command = Command::new("block-job-cancel").with("device", id(job));
    monitor.run_all(&[command]).into_iter().try_for_each(|answer| answer.map(drop))?;
    let unended = [JobState::Running, JobState::Ready];
    left_behind(&wait_while(monitor, job, &unended, STEP_MS)?, &unended, "give up")
}

/// Makes a job that waits for it, and forgets one that is over.
///
/// # Errors
/// `conflict` while it works; what the host or the monitor answers.
pub(crate) fn settle(domain: &Domain, job: &BlockJob) -> Result<(), Error> {
    let monitor = domain.monitor()?;
    let mut report = wait_while(&monitor, job, &[], 0)?;
    if report.state == JobState::Pending {
        tell(&monitor, "job-finalize", job)?;
        let unended = [JobState::Running, JobState::Ready, JobState::Pending];
        report = wait_while(&monitor, job, &unended, STEP_MS)?;
        left_behind(&report, &unended, "be finished")?;
        if report.state == JobState::Failed {
            // It stays as it is: whoever asked for it has to know that it is not made.
            let why = report.error.unwrap_or_else(|| "its last step failed".to_owned());
            return Err(problem("qemu.job-failed", why).hypervisor());
        }
    }
    match report.state {
        JobState::Done if job.kind != JobKind::Copy || !Copy::is_given_up(domain, &job.target)? => {
            nodes::leave_out(domain, &monitor, job)?;
        }
        JobState::Done | JobState::Failed if job.kind == JobKind::Copy => {
            // Its nodes are free only when the job is forgotten.
            tell(&monitor, "job-dismiss", job)?;
            return Copy::of(domain, &job.target)?.close(domain, &monitor);
        }
        JobState::Done | JobState::Failed => close_base(domain, &monitor, job)?,
        JobState::None => {
            if job.kind == JobKind::Copy {
                // One that was made is noted as the disk's.
                Copy::of(domain, &job.target)?.close(domain, &monitor)?;
            }
            return nodes::remove_left(domain, &monitor, &job.target);
        }
        JobState::Running | JobState::Ready | JobState::Pending => {
            let message = format!("the {} goes on", id(job));
            return Err(problem("qemu.job-runs", message).conflict());
        }
    }
    tell(&monitor, "job-dismiss", job)?;
    nodes::remove_left(domain, &monitor, &job.target)
}

/// S1: a base that a job was to write to is only read again. QEMU sees to that itself but where the guest was to go on
/// with it.
fn close_base(domain: &Domain, monitor: &Monitor, job: &BlockJob) -> Result<(), Error> {
    let Some(base) = job.base.filter(|_| job.kind == JobKind::Commit) else { return Ok(()) };
    let disk = DiskNodes::of(domain, monitor, &job.target)?;
    if !nodes::is_writable(monitor, &disk.format(base)?)? {
        return Ok(());
    }
    let options = Value::Sequence(vec![disk.described(base)?]);
    let command = Command::new("blockdev-reopen").with("options", options);
    monitor.run_with(&command, domain, &mut Resources::default()).map(drop)
}

/// Lets a job take at most so many bytes a second.
///
/// # Errors
/// `conflict` when there is no such job, or it does not work any more; what the monitor answers.
pub(crate) fn set_speed(domain: &Domain, job: &BlockJob, bandwidth: u64) -> Result<(), Error> {
    let command = Command::new("block-job-set-speed").with("device", id(job)).with("speed", bandwidth);
    domain.monitor()?.run_all(&[command]).into_iter().try_for_each(|answer| answer.map(drop))
}

/// Gives a disk another size. The guest is told by QEMU.
///
/// # Errors
/// What the host or the monitor answers.
pub(crate) fn resize(domain: &Domain, target: &str, size: u64) -> Result<(), Error> {
    let monitor = domain.monitor()?;
    let node = DiskNodes::of(domain, &monitor, target)?.format(0)?;
    let command = Command::new("block_resize").with("node-name", node).with("size", size);
    monitor.run_with(&command, domain, &mut Resources::default()).map(drop)
}

fn tell(monitor: &Monitor, command: &str, job: &BlockJob) -> Result<(), Error> {
    let command = Command::new(command).with("id", id(job));
    monitor.run_all(&[command]).into_iter().try_for_each(|answer| answer.map(drop))
}

/// Waits for as long as a job is in one of these states, at most so long. Says how it stands then.
fn wait_while(
    monitor: &Monitor,
    job: &BlockJob,
    states: &[JobState],
    timeout_ms: u64,
) -> Result<JobReport, Error> {
    let names = NEWS.map(str::to_owned);
    // Whoever waits for nothing needs no place to wait from.
    let mut cursor = if timeout_ms == 0 { 0 } else { monitor.cursor() };
    loop {
        let report = found(&monitor.run("query-jobs")?, &id(job));
        if timeout_ms == 0 || !states.contains(&report.state) {
            return Ok(report);
        }
        // Any news end a wait, so that the time is at most doubled by jobs of other disks.
        match monitor.wait_event(&names, cursor, timeout_ms)? {
            Some(event) => cursor = event.cursor,
            None => return Ok(found(&monitor.run("query-jobs")?, &id(job))),
        }
    }
}

fn left_behind(report: &JobReport, states: &[JobState], what: &str) -> Result<(), Error> {
    if !states.contains(&report.state) {
        return Ok(());
    }
    let message = format!("the job did not {what} within {} s", STEP_MS / 1000);
    Err(problem("qemu.job-slow", message)
        .hint("it goes on; try again when the guest writes less")
        .timed_out())
}

/// One job in the hypervisor's answer: untrusted text.
fn found(answer: &str, id: &str) -> JobReport {
    let jobs: Vec<Json> = serde_json::from_str(answer).unwrap_or_default();
    let job = jobs.iter().find(|job| job.get("id").and_then(Json::as_str) == Some(id));
    let Some(job) = job else {
        return JobReport { state: JobState::None, done: 0, total: 0, error: None };
    };
    let number = |key: &str| job.get(key).and_then(Json::as_u64).unwrap_or_default();
    let error = job.get("error").and_then(Json::as_str).map(str::to_owned);
    let state = match job.get("status").and_then(Json::as_str).unwrap_or_default() {
        "ready" => JobState::Ready,
        "pending" => JobState::Pending,
        "concluded" if error.is_none() => JobState::Done,
        "concluded" => JobState::Failed,
        "null" | "undefined" => JobState::None,
        _ => JobState::Running,
    };
    JobReport { state, done: number("current-progress"), total: number("total-progress"), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_become_states() {
        let state = |status: &str, error: &str| {
            let job = format!(
                r#"[{{"id":"other"}},{{"id":"commit-vda","status":"{status}","current-progress":7,"total-progress":9{error}}}]"#
            );
            found(&job, "commit-vda")
        };
        for (status, wanted) in [
            ("created", JobState::Running),
            ("running", JobState::Running),
            ("paused", JobState::Running),
            ("waiting", JobState::Running),
            ("aborting", JobState::Running),
            ("ready", JobState::Ready),
            ("pending", JobState::Pending),
            ("concluded", JobState::Done),
            ("null", JobState::None),
        ] {
            assert_eq!(state(status, "").state, wanted, "{status}");
        }
        let failed = state("concluded", r#","error":"Operation canceled""#);
        assert_eq!((failed.state, failed.error.as_deref()), (JobState::Failed, Some("Operation canceled")));
        assert_eq!((failed.done, failed.total), (7, 9));
        for hostile in ["", "{}", "[7]", "[{\"id\":7}]"] {
            assert_eq!(found(hostile, "commit-vda").state, JobState::None, "{hostile:?}");
        }
    }
}
