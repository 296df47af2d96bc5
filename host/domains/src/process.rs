//! The hypervisor process of a domain, whether its driver can reach it or not.

use std::time::Duration;

use hostler_grant::Capability;
use hostler_launch::{
    CompanionRecord, Ending, ExitRecord, ProcessRecord, ShimClient, ShimErrorKind, ShimStatus, StopReason,
    end_orphan,
};
use hostler_runtime::Driver;
use hostler_state::{Definition, RunDir, RunRecord};

use crate::error::{Error, Kind, command};
use crate::host::{Host, stopped};
use crate::summary::{CompanionSummary, Confinement};

/// How long a shim may take to say that it is there. It has nothing else to do, and holds up whoever lists domains.
const STATUS_WAIT: Duration = Duration::from_secs(3);

/// Whether the host holds the process of this driver's domains: the driver asked to start one.
pub(crate) fn is_ours(driver: &Driver) -> bool {
    driver.manifest().grants.iter().any(|grant| grant.capability == Capability::Process)
}

/// What the shim says about a running domain's process.
///
/// # Errors
/// [`Kind::Host`] when the shim is gone or silent: the domain is quarantined.
pub(crate) async fn status(host: &Host, definition: &Definition) -> Result<ShimStatus, Error> {
    let run = host.state().run_dir(definition.uuid);
    let asked = blocking(move || ShimClient::of(&run).status());
    match tokio::time::timeout(STATUS_WAIT, asked).await {
        Ok(answered) => Ok(answered??),
        Err(_) => {
            let message = format!("its shim has not answered within {} s", STATUS_WAIT.as_secs());
            Err(Error::new(Kind::TimedOut, "shim.silent", message).about("domain", &definition.name))
        }
    }
}

/// What was written down of a domain's processes at its start; nothing when none runs.
fn record(host: &Host, definition: &Definition) -> Result<Option<ProcessRecord>, Error> {
    let run = host.state().run_dir(definition.uuid);
    if run.is_held()? { Ok(run.read(RunRecord::Process)?) } else { Ok(None) }
}

/// What confines a domain's hypervisor; nothing when none runs.
///
/// # Errors
/// [`Kind::Host`] when its record cannot be read.
pub(crate) fn confinement(host: &Host, definition: &Definition) -> Result<Option<Confinement>, Error> {
    Ok(record(host, definition)?.map(|record| record.cage.map_or(Confinement::None, Confinement::Cage)))
}

/// The process number of a domain's hypervisor, by its record; nothing when this host runs none. Nobody is asked.
///
/// # Errors
/// When the record cannot be read.
pub(crate) fn number(host: &Host, definition: &Definition) -> Result<Option<u32>, Error> {
    Ok(record(host, definition)?
        .map(|record| record.program)
        .filter(|program| program.lives())
        .map(|program| program.pid))
}

/// What was started beside the hypervisor of a domain, while this host runs one.
///
/// # Errors
/// When the records cannot be read.
pub(crate) fn companions(host: &Host, definition: &Definition) -> Result<Vec<CompanionSummary>, Error> {
    let record = record(host, definition)?;
    let summary = |companion: CompanionRecord| CompanionSummary {
        pid: companion.runs().then_some(companion.process.pid),
        name: companion.name,
        program: companion.template,
    };
    Ok(record.map(|record| record.companions.into_iter().map(summary).collect()).unwrap_or_default())
}

/// Waits for the process's end.
///
/// # Errors
/// [`Kind::TimedOut`] when it still runs after `wait`.
pub(crate) async fn wait(host: &Host, definition: &Definition, wait: Duration) -> Result<(), Error> {
    let run = host.state().run_dir(definition.uuid);
    let ended = blocking(move || match ShimClient::connect(&run).and_then(|shim| shim.wait(wait)) {
        // It ended between the question and the answer.
        Err(error) if matches!(error.kind, ShimErrorKind::NotRunning | ShimErrorKind::Closed) => Ok(true),
        ended => ended.map(|ending| ending.is_some()),
    })
    .await??;
    if ended {
        return released(host, definition).await;
    }
    let message = format!("the domain '{}' still runs after {} s", definition.name, wait.as_secs());
    Err(Error::new(Kind::TimedOut, "domain.still-running", message)
        .hint("its guest has been asked to switch off; it may be slow, or not listen")
        .hint_command(
            "end it now; what the guest has not written is lost",
            command("destroy", &definition.name),
        ))
}

/// Ends the process, through its shim or, where that is gone, as whoever holds the run lock.
///
/// # Errors
/// [`Kind::Host`] when it cannot be identified or will not end.
pub(crate) async fn end(host: &Host, definition: &Definition, wait: Duration) -> Result<(), Error> {
    let run = host.state().run_dir(definition.uuid);
    blocking(move || match ShimClient::connect(&run).and_then(|shim| shim.end(true, wait)) {
        Err(error) if matches!(error.kind, ShimErrorKind::NotRunning | ShimErrorKind::Closed) => Ok(()),
        Err(error) if error.kind == ShimErrorKind::Orphaned => end_orphan(&run),
        ended => ended.map(drop),
    })
    .await??;
    released(host, definition).await
}

/// Ends the hypervisor of a guest that is somewhere else by now, and notes why: the shim only sees that somebody ended it.
pub(crate) async fn end_because(
    host: &Host,
    definition: &Definition,
    wait: Duration,
    reason: StopReason,
) -> Result<(), Error> {
    end(host, definition, wait).await?;
    let run = host.state().run_dir(definition.uuid);
    if let Some(record) = run.read::<ExitRecord>(RunRecord::Exit)? {
        run.write(RunRecord::Exit, &ExitRecord { reason, ..record })?;
    }
    Ok(())
}

/// Waits until the run lock is free: the shim writes its last record before it lets go.
async fn released(host: &Host, definition: &Definition) -> Result<(), Error> {
    let run = host.state().run_dir(definition.uuid);
    if blocking(move || run.wait_released(RELEASE_WAIT)).await?? {
        return Ok(());
    }
    let message =
        format!("the hypervisor of '{}' has ended, and something still holds its run lock", definition.name);
    Err(Error::new(Kind::Host, "domain.lock-held", message).hint_command(
        "see who holds it",
        format!("fuser -v '{}'", host.state().run_dir(definition.uuid).lock_path().display()),
    ))
}

/// How long a shim may take from its hypervisor's end to its own.
const RELEASE_WAIT: Duration = Duration::from_secs(10);

/// Why the last run ended, if it did not end as it was meant to.
pub(crate) fn last_ending(run: &RunDir) -> Option<String> {
    let record: ExitRecord = run.read(RunRecord::Exit).ok().flatten()?;
    Some(match record.ending {
        Ending::Exited(0) => record.reason.word().to_owned(),
        Ending::Exited(status) => format!("{} (exit status {status})", record.reason.word()),
        Ending::Killed(signal) => format!("{} (signal {signal})", record.reason.word()),
        Ending::Unknown => record.reason.word().to_owned(),
    })
}

/// Runs what blocks on a thread for that.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(stopped)
}
