//! Ending a domain now.

use hostler_sdk::{Domain, Error};

/// How long QEMU may take to write out its caches and end before it is killed.
const END_TIMEOUT_MS: u64 = 10_000;

/// Ends the hypervisor, whatever its guest is doing.
///
/// # Errors
/// What the host says when the process will not end.
pub(crate) fn destroy(domain: &Domain) -> Result<(), Error> {
    match domain.process() {
        Some(process) => process.end(true, END_TIMEOUT_MS).map(drop),
        None => Ok(()),
    }
}
