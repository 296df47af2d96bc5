//! The per-domain shim: started by [`start::launch`], run by [`entry::main`], talked to by
//! [`client::ShimClient`].
//!
//! It is the hypervisor's parent, holds the run lock (and lets the hypervisor inherit it), the control
//! connection with its events, and the consoles. One thread, one `poll`, no asynchronous runtime.

pub mod client;
pub mod companion;
pub mod door;
pub mod entry;
pub mod orphan;
pub mod record;
pub mod start;

pub(crate) mod calls;
pub(crate) mod console;
pub(crate) mod finish;
pub(crate) mod inherited;
mod kept;
pub(crate) mod log;
pub(crate) mod monitor;
pub(crate) mod once;
pub(crate) mod outbox;
pub(crate) mod peer;
pub(crate) mod program;
pub(crate) mod protocol;
pub(crate) mod request;
pub(crate) mod ring;
pub(crate) mod server;
mod spare;
pub(crate) mod wire;
