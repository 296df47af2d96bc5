//! What an operation writes to or reads from: `domain.output` and `domain.input`.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use hostler_launch::Role;
use wasmtime::component::Resource;

use super::domain::Subject;
use super::endpoint::File;
use crate::answer;
use crate::bindings::wit::types::Error;
use crate::call::{CallState, HostFault};
use crate::context::Transfer;
use crate::opened::Opened;

/// Which way the bytes go, seen from the hypervisor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Out,
    In,
}

impl CallState {
    /// The file of this operation, for a driver to name.
    pub(crate) fn transfer(
        &mut self,
        subject: &Subject,
        wanted: Direction,
    ) -> wasmtime::Result<Result<Resource<File>, Error>> {
        let (fd, path, role) = match (&subject.context.transfer, wanted) {
            (Some(Transfer::Output(fd, path)), Direction::Out) => (fd, path, Role::Output),
            (Some(Transfer::Input(fd, path)), Direction::In) => (fd, path, Role::Input),
            _ => return Ok(Err(none(wanted))),
        };
        let fd = fd.try_clone().map_err(|error| HostFault(format!("duplicating a descriptor: {error}")))?;
        let opened = opened(fd, path.clone(), role);
        Ok(Ok(self.table.push(File(std::sync::Arc::new(opened)))?))
    }
}

fn opened(fd: OwnedFd, path: PathBuf, role: Role) -> Opened {
    let writable = role == Role::Output;
    Opened { fd: Some(fd), writable, role, format: "raw", data_apart: false, path }
}

fn none(wanted: Direction) -> Error {
    let (code, message) = match wanted {
        Direction::Out => ("domain.no-output", "this operation writes nothing"),
        Direction::In => ("domain.no-input", "this operation reads nothing"),
    };
    Error::Conflict(answer::problem(code, message))
}
