//! Asking the guest to switch itself off.

use hostler_sdk::{Domain, Error, MonitorExt, RunState};

use super::monitor_state;

/// Presses the power button. What the guest makes of it, and when, is its own business.
///
/// # Errors
/// `conflict` when the guest cannot react; what the monitor answers.
pub(crate) fn shutdown(domain: &Domain) -> Result<(), Error> {
    let monitor = domain.monitor()?;
    let state = monitor_state::ask(domain, &monitor)?;
    let hint = "resume the domain first, or end it with 'destroy'";
    monitor_state::expect(domain, state, &[RunState::Running, RunState::Sleeping], hint)?;
    // Whatever was asked for before: this time the end is meant.
    monitor.answer_once("SHUTDOWN", &[], &[])?;
    monitor.run("system_powerdown")?;
    domain.emit("shutdown-requested", &[]);
    Ok(())
}
