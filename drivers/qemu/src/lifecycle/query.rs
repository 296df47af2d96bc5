//! What a domain is doing.

use hostler_sdk::{Domain, Error, RunState};

use super::monitor_state;

/// How long a hypervisor may take from closing its monitor to its end.
const ENDING_MS: u64 = 3_000;

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
        // It is ending, or has ended between the two questions: its monitor goes first.
        Err(Error::Conflict(_)) if process.wait(ENDING_MS).is_ok() => Ok(RunState::Off),
        other => other,
    }
}
