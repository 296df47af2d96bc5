//! A real QEMU without a machine, for questions about its block layer.

mod monitor;
mod schema;

pub(crate) use monitor::Monitor;
pub(crate) use schema::Schema;
