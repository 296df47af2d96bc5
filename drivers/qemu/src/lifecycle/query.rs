//! What a domain is doing.

use hostler_sdk::{Domain, Error, RunState};

use super::monitor_state;

/// Asks the hypervisor itself. A process that has ended means off.
///
/// # Errors
/// What the monitor answers.
pub(crate) fn query(domain: &Domain) -> Result<RunState, Error> {
    let Some(process) = domain.process() else { return Ok(RunState::Off) };
    if process.ending().is_some() {
        return Ok(RunState::Off);
    }
    let asked = domain.monitor().and_then(|monitor| monitor_state::ask(domain, &monitor));
    match asked {
        // It may have ended between the two questions.
        Err(Error::Conflict(_)) if process.ending().is_some() => Ok(RunState::Off),
        other => other,
    }
}
