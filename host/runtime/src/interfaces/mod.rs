//! One file for each interface of `hostler:host`, under the interface's name.

use crate::bindings::wit::types::Error;
use crate::call::HostFault;

mod channels;
pub(crate) mod clock;
pub(crate) mod companion;
mod device_names;
pub(crate) mod domain;
pub(crate) mod endpoint;
pub(crate) mod firmware;
pub(crate) mod listener;
pub(crate) mod log;
pub(crate) mod network;
pub(crate) mod process;
pub(crate) mod qmp;
pub(crate) mod secret;
pub(crate) mod storage;
pub(crate) mod transfer;
pub(crate) mod types;
pub(crate) mod value;

/// Ends the operation: the host cannot tell, and the contract's answer has no room for saying so.
pub(crate) fn unanswerable(call: &str, error: &Error) -> wasmtime::Error {
    HostFault(format!("{call}: {error:?}")).into()
}

#[cfg(test)]
mod tests;
