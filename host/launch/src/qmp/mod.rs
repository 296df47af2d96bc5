//! QMP (QEMU Machine Protocol) without a transport: lines, messages, a session, and arguments by policy.

pub mod arguments;
pub(crate) mod lines;
pub(crate) mod message;
pub mod session;
pub(crate) mod sets;

use serde::{Deserialize, Serialize};

/// One event of the hypervisor, with its place in the order of this run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QmpEvent {
    /// Grows by one for every event since the hypervisor started.
    pub cursor: u64,
    /// Its name: `STOP`.
    pub name: String,
    /// Its data: an object, untrusted. Empty when it was too large to keep.
    pub data: serde_json::Value,
}
