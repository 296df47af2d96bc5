//! Cases out of the fuzzer's bytes: mostly well-formed, so that they get past the first check, and wrong in places.

pub mod chain;
pub mod descriptor;
pub mod foreign;
pub mod handles;
pub mod pieces;
pub mod plan;
pub mod qcow2;
pub mod qmp;
pub mod record;
pub mod reference;
pub mod shape;
pub mod store;
pub mod vmdk;
