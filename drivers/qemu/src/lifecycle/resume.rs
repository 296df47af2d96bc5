//! Letting the guest's processors go on.

use hostler_sdk::{Domain, Error, MonitorExt, RunState};

use super::monitor_state;

/// Lets them go on, and returns once they do. A guest that sleeps is woken.
///
/// # Errors
/// `conflict` when they run, or cannot; what the monitor answers; `timed-out`.
pub(crate) fn resume(domain: &Domain) -> Result<(), Error> {
    let monitor = domain.monitor()?;
    let state = monitor_state::ask(domain, &monitor)?;
    let resumable = [RunState::Paused, RunState::Starting, RunState::Sleeping];
    monitor_state::expect(
        domain,
        state,
        &resumable,
        "a domain that crashed or was switched off needs 'reset'",
    )?;
    if state == RunState::Sleeping {
        monitor.run("system_wakeup")?;
    } else {
        monitor_state::run_and_wait(&monitor, "cont", &["RESUME"])?;
    }
    domain.emit("resumed", &[]);
    Ok(())
}
