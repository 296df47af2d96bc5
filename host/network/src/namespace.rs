//! Which network the devices of this process are in.

use std::os::unix::fs::MetadataExt as _;

use crate::error::NetworkError;

/// The network namespace of this thread, as the kernel numbers it: what was made in another one is not found here.
///
/// # Errors
/// There is no `/proc`.
pub fn namespace() -> Result<u64, NetworkError> {
    const PATH: &str = "/proc/thread-self/ns/net";
    let found = std::fs::metadata(PATH).map_err(|error| NetworkError::io("look at", PATH, error))?;
    Ok(found.ino())
}
