//! How connections to a display reach a program that cannot listen for them: the shim accepts, and hands over one at a time.
//!
//! The shim knows no hypervisor: which command gives the program a connection and which says what it is for is data of the
//! program's template.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::net::{SocketFlags, accept_with};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::calls::closed;
use super::kept::raw;
use super::monitor::{Monitor, Owner};
use super::protocol::{Failure, FailureCode};
use super::server::Server;

/// Displays of one domain: one of each kind, and some to spare.
const DOORS_MAX: usize = 16;
/// Connections that the program has been handed and has not taken yet. Others wait where they come to, so that no crowd of
/// them can use up what the shim needs.
const UNDER_WAY_MAX: usize = 16;

/// What the program is told of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    /// The display's alias.
    pub alias: String,
    /// The command that gives the program a connection, and its arguments.
    pub give: String,
    /// Its arguments.
    pub given: Value,
    /// The command that says what the connection is for.
    pub command: String,
    /// Its arguments.
    pub arguments: Value,
    /// Its arguments for a connection that need not prove to the program who it is.
    pub trusting: Value,
}

/// A door, and where connections come to by themselves.
#[derive(Debug)]
pub(crate) struct OpenDoor {
    door: Door,
    socket: Option<OwnedFd>,
}

impl OpenDoor {
    /// The socket that is listened on.
    pub(crate) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(OwnedFd::as_fd)
    }

    /// The next connection that came; nothing when it is gone already.
    fn accept(&self) -> Option<OwnedFd> {
        accept_with(self.socket.as_ref()?, SocketFlags::CLOEXEC).ok()
    }
}

impl Server {
    /// Opens a door, in the place of another of that display.
    pub(crate) fn open_door(&mut self, door: Door, fds: Vec<OwnedFd>) -> Result<(), Failure> {
        let refused = |message: String| Failure { code: FailureCode::Protocol, message };
        let mut fds = fds.into_iter();
        let (socket, None) = (fds.next(), fds.next()) else {
            return Err(refused("a display has one socket at most".to_owned()));
        };
        if let Some(socket) = &socket {
            // Who came may be gone before it is accepted, and nothing else may wait then.
            fcntl_getfl(socket)
                .and_then(|flags| fcntl_setfl(socket, flags | OFlags::NONBLOCK))
                .map_err(|error| refused(format!("cannot listen: {error}")))?;
        }
        self.doors.retain(|open| open.door.alias != door.alias);
        if self.doors.len() == DOORS_MAX {
            return Err(refused("the domain has too many displays".to_owned()));
        }
        self.doors.push(OpenDoor { door, socket });
        Ok(())
    }

    /// Whether a connection can be handed over now: the program answers, and not too much is under way.
    pub(crate) fn doors_are_open(&self) -> bool {
        self.monitor.as_ref().is_some_and(|monitor| monitor.ready() && !monitor.overloaded())
            && self.handed_over < UNDER_WAY_MAX
    }

    /// Hands over the connection that came.
    pub(crate) fn admit(&mut self, index: usize) {
        let Some(open) = self.doors.get(index) else { return };
        // Who came is gone already, or there is no descriptor left: the next turn tries again.
        let Some(connection) = open.accept() else { return };
        let door = open.door.clone();
        self.handed_over += 1;
        let owner = Owner::HandedOver(door.command.clone());
        self.hand_over(&door, connection, false, owner);
    }

    /// The door of a display, and the connection that is brought to it.
    pub(crate) fn connection(&self, alias: &str, fds: Vec<OwnedFd>) -> Result<(Door, OwnedFd), Failure> {
        let mut fds = fds.into_iter();
        let (Some(connection), None) = (fds.next(), fds.next()) else {
            let message = "one connection is handed over at a time".to_owned();
            return Err(Failure { code: FailureCode::Protocol, message });
        };
        if !self.monitor.as_ref().is_some_and(Monitor::ready) {
            return Err(closed());
        }
        let open = self.doors.iter().find(|open| open.door.alias == alias).ok_or_else(|| Failure {
            code: FailureCode::Display,
            message: format!("nobody takes connections to '{}'", alias.escape_debug()),
        })?;
        Ok((open.door.clone(), connection))
    }

    /// Gives the program a connection and says what it is for; the answer to the latter is the owner's.
    pub(crate) fn hand_over(&mut self, door: &Door, connection: OwnedFd, trusted: bool, owner: Owner) {
        let given = raw(&door.given.to_string());
        let arguments = raw(&if trusted { &door.trusting } else { &door.arguments }.to_string());
        self.send(&door.give, given.as_deref(), vec![connection], Owner::Reaction(door.give.clone()));
        self.send(&door.command, arguments.as_deref(), Vec::new(), owner);
    }
}
