//! The shim's end of the control connection.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use serde_json::value::RawValue;

use super::kept::Begun;
use super::outbox::Outbox;
use super::wire::receive_some;
use crate::limits::REACTIONS_STOP_AT;
use crate::qmp::session::{Breach, Incoming, Session};

/// Whose command an answer belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Peer { key: u64, id: u64 },
    Reaction(String),
    Kept(String, Begun),
    HandedOver(String),
}

/// The connection and its state.
#[derive(Debug)]
pub(crate) struct Monitor {
    socket: OwnedFd,
    session: Session<Owner>,
    outbox: Outbox,
}

/// The connection is of no more use.
#[derive(Debug)]
pub(crate) enum Broken {
    Closed,
    Breach(Breach),
}

impl Monitor {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket, session: Session::default(), outbox: Outbox::default() }
    }

    /// Its descriptor, and whether something waits to go there.
    pub(crate) fn side(&self) -> (BorrowedFd<'_>, bool) {
        (self.socket.as_fd(), self.outbox.len() > 0)
    }

    pub(crate) fn ready(&self) -> bool {
        self.session.ready()
    }

    /// Whether so many commands wait for an answer that nothing may be added unasked.
    pub(crate) fn overloaded(&self) -> bool {
        self.session.waiting() >= REACTIONS_STOP_AT
    }

    /// Reads once; `true` when something came.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<bool, Broken> {
        match receive_some(self.socket.as_fd(), buffer) {
            Ok((0, _)) => Err(Broken::Closed),
            Ok((count, _)) => {
                self.session.push(buffer.get(..count).unwrap_or_default());
                Ok(true)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(_) => Err(Broken::Closed),
        }
    }

    /// The next thing that came in. Negotiation is done here.
    pub(crate) fn take_next(&mut self) -> Result<Option<Incoming<Owner>>, Broken> {
        match self.session.take_next().map_err(Broken::Breach)? {
            Some(Incoming::Negotiate(line)) => {
                self.outbox.push(line, Vec::new());
                self.flush()?;
                self.next_after_negotiation()
            }
            other => Ok(other),
        }
    }

    fn next_after_negotiation(&mut self) -> Result<Option<Incoming<Owner>>, Broken> {
        // A second greeting is a breach, so this does not come here again.
        self.session.take_next().map_err(Broken::Breach)
    }

    /// Sends a command; its descriptors travel with its first byte, which is what the hypervisor expects.
    pub(crate) fn send(
        &mut self,
        command: &str,
        arguments: Option<&RawValue>,
        fds: Vec<OwnedFd>,
        owner: Owner,
    ) -> Result<(), Broken> {
        let line =
            self.session.command(command, arguments, owner).map_err(|_| Broken::Breach(Breach::Malformed))?;
        self.outbox.push(line, fds);
        self.flush()
    }

    pub(crate) fn flush(&mut self) -> Result<(), Broken> {
        self.outbox.flush(self.socket.as_fd()).map_err(|_| Broken::Closed)
    }

    /// Whose commands will get no answer.
    pub(crate) fn abandon(mut self) -> Vec<Owner> {
        self.session.abandon()
    }
}
