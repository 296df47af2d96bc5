//! The reset button.

use hostler_sdk::{Domain, Error};

use super::monitor_state;

/// How long a hypervisor whose domain ends at a reboot may take to end.
const END_TIMEOUT_MS: u64 = 10_000;

/// Presses it, and returns once the machine was reset, or switched off if that is what a reboot means for
/// this domain.
///
/// # Errors
/// `conflict` when the domain is off; what the monitor answers; `timed-out`.
pub(crate) fn reset(domain: &Domain) -> Result<(), Error> {
    let monitor = domain.monitor()?;
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
