//! The reset button.

use hostler_sdk::{Domain, Error, RunState};

use super::monitor_state;
use super::notes::{self, Note};

/// How long a hypervisor whose domain ends at a reboot may take to end.
const END_TIMEOUT_MS: u64 = 10_000;

/// Presses it, and returns once the machine was reset, or switched off if that is what a reboot means for
/// this domain.
///
/// # Errors
/// `conflict` when the domain is off; what the monitor answers; `timed-out`.
pub(crate) fn reset(domain: &Domain) -> Result<(), Error> {
    let monitor = domain.monitor()?;
    if monitor_state::ask(domain, &monitor)? != RunState::Running {
        // From now on QEMU says of it what it says of one that is being started.
        notes::add(domain, Note::HeldBack)?;
    }
    if monitor_state::run_and_wait(&monitor, "system_reset", &["RESET", "SHUTDOWN"])? == "RESET" {
        domain.emit("reset", &[]);
        return Ok(());
    }
    match domain.process() {
        // What answers the event ends it.
        Some(process) => process.wait(END_TIMEOUT_MS).map(drop),
        None => Ok(()),
    }
}
