//! The launch shown, not run.

use hostler_sdk::{Domain, Error};

use super::plan;

/// Asks for the launch that a start would ask for; the host records it instead.
///
/// # Errors
/// As a start, up to the launch.
pub(crate) fn show(domain: &Domain) -> Result<(), Error> {
    let mut plan = plan::plan(domain)?;
    plan.launch.submit(domain, &mut plan.resources).map(drop)
}
