//! A guest put away into a file.

use hostler_sdk::{Domain, Error, Monitor, ProblemExt, RunState, problem};

use super::notes::{self, Note};
use super::{migration, monitor_state, shares};

/// Stops the guest and writes all of it to the operation's output.
///
/// # Errors
/// `conflict` when there is no guest that could be put away; what the host, the monitor or QEMU answers. The guest goes
/// on as before then.
pub(crate) fn save(domain: &Domain) -> Result<(), Error> {
    shares::refuse(domain, "saved")?;
    if let Err(error) = write_out(domain) {
        // Why it failed is what is told; the host asks for the rest once more, and says why that fails.
        abandon(domain).ok();
        return Err(error);
    }
    domain.emit("saved", &[]);
    Ok(())
}

/// Stops the guest and writes all of it to the operation's output; [`abandon`] lets it go on.
///
/// # Errors
/// As [`save`], but that it does not go on.
pub(super) fn write_out(domain: &Domain) -> Result<(), Error> {
    let monitor = domain.monitor()?;
    let state = monitor_state::ask(domain, &monitor)?;
    let hint = "a guest that sleeps has to be woken first; one that crashed or switched itself off cannot be put away";
    monitor_state::expect(domain, state, &[RunState::Running, RunState::Paused], hint)?;
    let running = state == RunState::Running;
    notes::add(domain, if running { Note::SavingRunning } else { Note::SavingPaused })?;
    stop(&monitor, running)?;
    migration::prepare(&monitor)?;
    migration::write_out(domain, &monitor)
}

fn stop(monitor: &Monitor, running: bool) -> Result<(), Error> {
    if running { monitor_state::run_and_wait(monitor, "stop", &["STOP"]).map(drop) } else { Ok(()) }
}

/// Lets a guest that was being put away go on as it was before.
///
/// # Errors
/// `conflict` for a guest that was paused and is all written; what the monitor answers.
pub(crate) fn abandon(domain: &Domain) -> Result<(), Error> {
    let ran = notes::has(domain, Note::SavingRunning)?;
    if !ran && !notes::has(domain, Note::SavingPaused)? {
        return Ok(());
    }
    let monitor = domain.monitor()?;
    migration::cancel(&monitor)?;
    if !ran && monitor_state::is_sent(&monitor)? {
        return Err(problem(
            "qemu.written-out",
            "all of the paused guest is written out, and QEMU lets none go on then",
        )
        .hint("what was written is the guest; end this one with 'hostler destroy'")
        .conflict());
    }
    if ran && monitor_state::ask(domain, &monitor)? == RunState::Paused {
        monitor_state::run_and_wait(&monitor, "cont", &["RESUME"])?;
        domain.emit("resumed", &[]);
    }
    notes::remove(domain, &[Note::SavingRunning, Note::SavingPaused])
}
