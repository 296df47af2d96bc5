//! Clients of a shim: their connections, and what each waits for.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::io::Errno;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::outbox::Outbox;
use super::protocol::{Failure, FailureCode, Request, Response};
use super::wire::receive_some;
use crate::limits::{CLIENT_BACKLOG_BYTES, COMMANDS_MAX, LINE_MAX_BYTES, MESSAGE_FDS_MAX};
use crate::qmp::lines::Lines;

/// One connection.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Tells connections apart; never used again.
    pub(crate) key: u64,
    socket: OwnedFd,
    lines: Lines,
    outbox: Outbox,
    /// Descriptors that came and no call took yet.
    fds: Vec<OwnedFd>,
    /// Calls without an answer yet.
    pub(crate) pending: usize,
}

/// Something that a client waits for.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) peer: u64,
    pub(crate) id: u64,
    pub(crate) wanted: Wanted,
    /// When to answer with nothing.
    pub(crate) until: Option<Instant>,
}

#[derive(Debug)]
pub(crate) enum Wanted {
    Event { after: u64, names: Vec<String> },
    End,
}

impl Peer {
    pub(crate) fn new(key: u64, socket: OwnedFd) -> Self {
        Self {
            key,
            socket,
            lines: Lines::new(LINE_MAX_BYTES),
            outbox: Outbox::default(),
            fds: Vec::new(),
            pending: 0,
        }
    }

    /// Its descriptor, whether to read from it, and whether something waits to go there.
    pub(crate) fn side(&self) -> (BorrowedFd<'_>, bool, bool) {
        (self.socket.as_fd(), self.pending < COMMANDS_MAX, self.outbox.len() > 0)
    }

    /// Reads what is there; `false` when the client is gone or breaks a limit.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> bool {
        match receive_some(self.socket.as_fd(), buffer) {
            Ok((0, _)) => false,
            Ok((count, fds)) => {
                self.lines.push(buffer.get(..count).unwrap_or_default());
                self.fds.extend(fds);
                self.fds.len() <= MESSAGE_FDS_MAX
            }
            Err(error) => matches!(error, Errno::AGAIN | Errno::INTR),
        }
    }

    /// The next call, if a whole one came; an error when it is none.
    pub(crate) fn next(&mut self) -> Result<Option<(Request, Vec<OwnedFd>)>, ()> {
        if self.pending >= COMMANDS_MAX {
            return Ok(None);
        }
        let Some(line) = self.lines.pop().map_err(|_| ())? else { return Ok(None) };
        let request = serde_json::from_slice(&line).map_err(|_| ())?;
        self.pending += 1;
        Ok(Some((request, std::mem::take(&mut self.fds))))
    }

    /// Queues an answer.
    pub(crate) fn answer(&mut self, id: u64, result: Result<Box<RawValue>, Failure>) {
        self.pending = self.pending.saturating_sub(1);
        self.outbox.push(answer_line(id, result), Vec::new());
    }

    /// Sends what can be sent; `false` when the client is gone or does not read.
    pub(crate) fn flush(&mut self) -> bool {
        self.outbox.flush(self.socket.as_fd()).is_ok() && self.outbox.len() <= CLIENT_BACKLOG_BYTES
    }

    /// Whether nothing waits to be sent.
    pub(crate) fn sent(&self) -> bool {
        self.outbox.len() == 0
    }

    /// The bare connection, for a console.
    pub(crate) fn into_socket(self) -> OwnedFd {
        self.socket
    }
}

/// An answer as its line.
pub(crate) fn answer_line(id: u64, result: Result<Box<RawValue>, Failure>) -> Vec<u8> {
    let response = match result {
        Ok(value) => Response { id, value: Some(value), error: None },
        Err(error) => Response { id, value: None, error: Some(error) },
    };
    // Numbers, text and raw values always encode; an empty line would be a breach the client reports.
    let mut line = serde_json::to_vec(&response).unwrap_or_default();
    line.push(b'\n');
    line
}

/// A value as an answer.
pub(crate) fn value<T: Serialize>(value: &T) -> Result<Box<RawValue>, Failure> {
    to_raw_value(value).map_err(|error| Failure { code: FailureCode::Protocol, message: error.to_string() })
}
