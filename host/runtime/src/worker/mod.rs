//! Drivers in processes of their own: an escape from the engine lands in a cell with nothing in it.
//!
//! `process` starts a worker and ends it, `priority` has one that computes for long make way, `pool` has those of one driver
//! of one tenant, `serve` is the host's side of an operation and `inside` the worker's. `frame`, `wire` and `words` say what
//! travels between the two, and `calls` lists the host calls. A worker keeps nothing: a handle in it is a number in the table of the host's side, which looks up
//! each number that comes. So one who has taken a worker over reaches what its driver was handed, and no more.

pub(crate) mod artifact;
pub(crate) mod calls;
pub(crate) mod frame;
pub(crate) mod inside;
pub(crate) mod pool;
mod priority;
pub(crate) mod process;
pub(crate) mod serve;
mod spin;
pub(crate) mod state;
pub(crate) mod wire;
mod words;

use frame::Said;

/// The one argument by which a program is told to run a driver for the host that started it.
pub const WORK_ARGUMENT: &str = "run-driver-for-host-at-stdin";

/// Whether a message is one that a worker may send, as the host decides it; for whoever tries with hostile ones. What a
/// call means is another question, which the host's interfaces answer.
///
/// # Errors
/// What is wrong with it.
pub fn judge_message(message: &[u8]) -> Result<(), String> {
    match Said::read(message) {
        Ok(Said::Call(number, arguments)) => calls::judge(number, arguments),
        read => read.map(drop),
    }
    .map_err(|malformed| malformed.to_string())
}
