//! The reset button.

use hostler_sdk::{Domain, Error};

use super::monitor_state;

/// Presses it, and returns once the machine was reset.
///
/// # Errors
/// `conflict` when the domain is off; what the monitor answers; `timed-out`.
pub(crate) fn reset(domain: &Domain) -> Result<(), Error> {
    let monitor = domain.monitor()?;
    monitor_state::run_and_wait(&monitor, "system_reset", "RESET")?;
    domain.emit("reset", &[]);
    Ok(())
}
