//! Drivers in processes of their own: an escape from the engine lands in a cell with nothing in it.
//!
//! `process` starts a worker and ends it, `pool` has those of one driver of one tenant, `serve` is the host's side of an
//! operation and `inside` the worker's. `frame`, `wire` and `words` say what travels between the two, and `calls` lists
//! the host calls. A worker keeps nothing: a handle in it is a number in the table of the host's side, which looks up
//! each number that comes. So one who has taken a worker over reaches what its driver was handed, and no more.

pub(crate) mod artifact;
mod calls;
pub(crate) mod frame;
pub(crate) mod inside;
pub(crate) mod pool;
pub(crate) mod process;
mod serve;
mod state;
mod wire;
mod words;

/// The one argument by which a program is told to run a driver for the host that started it.
pub const WORK_ARGUMENT: &str = "run-driver-for-host-at-stdin";
