//! The worker's side of an operation: its host calls go out through the socket.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;

use super::frame::{Incoming, Outgoing};
use super::spin::Spin;
use super::wire::{Reader, Wire};
use crate::call::MemoryLimit;
use crate::limits;
use crate::linked::Limited;

/// The socket to the host, as the worker uses it: it has nothing else to do while it waits.
pub(crate) struct Line {
    socket: UnixStream,
    incoming: Incoming,
}

impl Line {
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self { socket, incoming: Incoming::new(limits::ANSWER_BYTES) }
    }

    /// # Errors
    /// The host is gone, or it is too long to be sent.
    pub(crate) fn send(&mut self, message: &Outgoing) -> io::Result<()> {
        self.socket.write_all(message.bytes().map_err(io::Error::other)?)
    }

    /// Sends what is no message.
    #[cfg(test)]
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// The next message of the host; none when the host is gone.
    ///
    /// # Errors
    /// The socket fails, or the message is too long.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.receive_with(Spin::none())
    }

    /// The answer to a call, which most often comes at once; none when the host is gone.
    fn answer(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.receive_with(Spin::begin())
    }

    fn receive_with(&mut self, mut spin: Spin) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(message) = self.incoming.message().map_err(io::Error::other)? {
                return Ok(Some(message));
            }
            let room = self.incoming.room();
            let received = match spin.receive(&self.socket, room) {
                Some(received) => received,
                None => self.socket.read(room),
            };
            match received {
                Ok(0) => return Ok(None),
                Ok(length) => self.incoming.filled(length),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The data of one call inside a worker. Handles are places in the host's table, which alone knows what they stand for.
pub(crate) struct WorkerState {
    pub(crate) line: Line,
    pub(crate) memory: MemoryLimit,
    /// The socket failed: nothing can be done any more.
    pub(crate) lost: Option<io::Error>,
}

impl WorkerState {
    /// Makes a host call, and waits for its answer.
    pub(super) fn asked<T: Wire>(&mut self, number: u8, arguments: &impl Wire) -> wasmtime::Result<T> {
        self.told(number, arguments)?;
        let received = self.line.answer();
        let message = received.and_then(|message| message.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()));
        let message = message.map_err(|error| self.lose(error))?;
        Reader::of_host(&message).whole().map_err(|malformed| self.lose(io::Error::other(malformed)))
    }

    /// Makes a host call that has no answer.
    pub(super) fn told(&mut self, number: u8, arguments: &impl Wire) -> wasmtime::Result<()> {
        self.line.send(&Outgoing::call(number, arguments)).map_err(|error| self.lose(error))
    }

    fn lose(&mut self, error: io::Error) -> wasmtime::Error {
        let told = wasmtime::Error::msg(format!("the host is gone: {error}"));
        self.lost.get_or_insert(error);
        told
    }
}

impl Limited for WorkerState {
    fn memory(&mut self) -> &mut MemoryLimit {
        &mut self.memory
    }
}
