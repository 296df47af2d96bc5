//! Stopping the guest's processors.

use hostler_sdk::{Domain, Error, RunState};

use super::monitor_state;

/// Stops them, and returns once they have stopped.
///
/// # Errors
/// `conflict` when they do not run; what the monitor answers; `timed-out`.
pub(crate) fn suspend(domain: &Domain) -> Result<(), Error> {
    let monitor = domain.monitor()?;
    let state = monitor_state::ask(domain, &monitor)?;
    monitor_state::expect(domain, state, &[RunState::Running], "only a running domain can be suspended")?;
    monitor_state::run_and_wait(&monitor, "stop", &["STOP"])?;
    domain.emit("suspended", &[]);
    Ok(())
}
