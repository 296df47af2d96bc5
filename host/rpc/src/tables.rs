//! Tables of the protocol, written by `cargo xtask rpc-tables`: numbers, shapes and rules.

pub(crate) mod calls_connect;
pub(crate) mod calls_domain;
pub(crate) mod calls_other;
pub(crate) mod codes;
pub(crate) mod events;
pub(crate) mod permissions;
pub(crate) mod procedures_high;
pub(crate) mod procedures_low;
pub(crate) mod records;
