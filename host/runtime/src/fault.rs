//! Why a call ended without an answer: sorts traps, limits, deadlines and the host's own failures.

use std::time::Duration;

use wasmtime::Trap;
use wasmtime::component::ResourceTableError;

use crate::call::{CallState, ContractViolation, HostFault, MemoryLimit, TooManyHostCalls};
use crate::error::{RuntimeError, RuntimeErrorKind};
use crate::limits;
use crate::meter::ProcessorTimeUsedUp;
use crate::text;

/// What to do about a driver that misbehaves.
const REPORT: &str = "nothing but this call is lost; report it to the driver's author, with the log";

/// The error of a call that did not answer.
pub(crate) fn of_call(error: wasmtime::Error, state: &CallState) -> RuntimeError {
    let (kind, message) = sort(&error, &state.memory);
    let sorted = RuntimeError::new(kind, message);
    let sorted = if kind == RuntimeErrorKind::Io { sorted } else { sorted.hint(REPORT) };
    sorted.caused_by(error.into_boxed_dyn_error())
}

/// The error of a call that was dropped at its wall deadline.
pub(crate) fn too_slow(wall: Duration) -> RuntimeError {
    let message = format!("the driver did not answer within {} ms", wall.as_millis());
    RuntimeError::new(RuntimeErrorKind::Timeout, message)
        .hint("what it asked for may or may not have happened: look at the domain's state")
        .hint(REPORT)
}

/// The error of a call that did not answer, as its worker tells it.
pub(crate) fn told(kind: RuntimeErrorKind, message: &str, cause: &str) -> RuntimeError {
    let escaped = |words: &str| text::sentence(words, limits::TEXT_BYTES);
    RuntimeError::new(kind, escaped(message)).hint(REPORT).caused_by(escaped(cause))
}

/// What kind of error it is, and the sentence for it. `memory` is what the call's memories were refused.
pub(crate) fn sort(error: &wasmtime::Error, memory: &MemoryLimit) -> (RuntimeErrorKind, String) {
    if let Some(fault) = error.downcast_ref::<HostFault>() {
        return (RuntimeErrorKind::Io, fault.to_string());
    }
    if let Some(used_up) = error.downcast_ref::<ProcessorTimeUsedUp>() {
        return (RuntimeErrorKind::Timeout, format!("the driver used {used_up}"));
    }
    if error.is::<TooManyHostCalls>() {
        return (RuntimeErrorKind::Rate, format!("the driver made {TooManyHostCalls}"));
    }
    if let Some(violation) = error.downcast_ref::<ContractViolation>() {
        return (RuntimeErrorKind::Trap, format!("the driver broke the contract: {}", violation.0));
    }
    if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        let message = format!("the driver keeps more than {} handles", memory.limits.handles);
        return (RuntimeErrorKind::Memory, message);
    }
    if let Some(refused) = &memory.refused {
        return (RuntimeErrorKind::Memory, format!("the driver wanted {refused}"));
    }
    let why = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    (RuntimeErrorKind::Trap, format!("the driver trapped: {}", text::sentence(&why, limits::TEXT_BYTES)))
}
