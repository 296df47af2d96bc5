//! Taking over a domain that runs already.

use hostler_sdk::{Domain, Error, Level, RunState, log};

use super::query;

/// Looks, and touches nothing: everything that is needed later is asked for then.
///
/// # Errors
/// What the monitor answers; the host then keeps the domain as it is, and shows it.
pub(crate) fn reattach(domain: &Domain) -> Result<RunState, Error> {
    let state = query(domain)?;
    log::write(Level::Info, &format!("took over '{}', found {state:?}", domain.name()), &[]);
    Ok(state)
}
