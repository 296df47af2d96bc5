//! The host's side of an operation: it asks, makes the calls that the worker wants, and takes the answer.
//!
//! Nothing that comes is believed. Each call goes through the same code as one of a driver in this process: the same
//! table of handles, the same rates, deadlines and grants.

use std::io;

use rustix::net::{SendFlags, send};
use tokio::net::UnixStream;

use super::calls::{self, Unanswered};
use super::frame::{Asked, Finished, Incoming, Outgoing, Said, Setup};
use super::process::Worker;
use super::wire::Malformed;
use crate::call::{CallState, ContractViolation};

/// Why a worker is of no use any more.
pub(super) enum Broken {
    /// It could not set itself up, and says why.
    Refused(String),
    /// It sent what no worker sends.
    Malformed(Malformed),
    /// It closed the socket, or the socket failed.
    Gone(io::Error),
}

/// How an operation ended that has no answer.
pub(super) enum Unfinished {
    Broken(Broken),
    /// The host ended it, for what the driver did.
    Ends(wasmtime::Error),
}

/// A worker's socket while somebody waits for it. It is registered for each operation, because the next may come from
/// another async runtime.
struct Line<'a> {
    socket: UnixStream,
    incoming: &'a mut Incoming,
}

impl<'a> Line<'a> {
    fn new(worker: &'a mut Worker) -> io::Result<Self> {
        let socket = UnixStream::from_std(worker.socket.try_clone()?)?;
        Ok(Self { socket, incoming: &mut worker.incoming })
    }

    async fn send(&mut self, message: &Outgoing) -> Result<(), Broken> {
        let mut rest = message.bytes().map_err(Broken::Malformed)?;
        // Nearly always there is room for all of it, and nobody has to find out whether there is.
        let mut sent = send(&self.socket, rest, SendFlags::NOSIGNAL).map_err(io::Error::from);
        loop {
            match sent {
                Ok(length) => rest = rest.get(length..).unwrap_or_default(),
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(Broken::Gone(error)),
            }
            if rest.is_empty() {
                return Ok(());
            }
            self.socket.writable().await.map_err(Broken::Gone)?;
            sent = self.socket.try_write(rest);
        }
    }

    async fn receive(&mut self) -> Result<Vec<u8>, Broken> {
        loop {
            if let Some(message) = self.incoming.message().map_err(Broken::Malformed)? {
                return Ok(message);
            }
            self.socket.readable().await.map_err(Broken::Gone)?;
            match self.socket.try_read(self.incoming.room()) {
                Ok(0) => return Err(Broken::Gone(io::ErrorKind::UnexpectedEof.into())),
                Ok(length) => self.incoming.filled(length),
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(Broken::Gone(error)),
            }
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl Worker {
    /// Tells a new worker what it needs, and waits until it has locked itself in.
    pub(super) async fn set_up(&mut self, setup: &Setup) -> Result<(), Broken> {
        let mut line = Line::new(self).map_err(Broken::Gone)?;
        line.send(&Outgoing::of(setup)).await?;
        let message = line.receive().await?;
        match Said::read(&message).map_err(Broken::Malformed)? {
            Said::Ready => Ok(()),
            Said::Failed(why) => Err(Broken::Refused(why)),
            Said::Call(..) | Said::Finished(_) => Err(Broken::Malformed(Malformed("it was not asked anything"))),
        }
    }

    /// Carries out one operation.
    ///
    /// # Errors
    /// The worker is to be ended: it is broken, or it is in the middle of what the host has ended.
    pub(super) async fn perform(&mut self, state: &mut CallState, asked: &Asked) -> Result<Finished, Unfinished> {
        let broken = Unfinished::Broken;
        let mut line = Line::new(self).map_err(|error| broken(Broken::Gone(error)))?;
        line.send(&Outgoing::of(asked)).await.map_err(broken)?;
        loop {
            let message = line.receive().await.map_err(broken)?;
            match Said::read(&message).map_err(|malformed| broken(Broken::Malformed(malformed)))? {
                Said::Call(number, arguments) => {
                    let answer = calls::make(state, number, arguments).await.map_err(Unfinished::from)?;
                    let Some(answer) = answer else { continue };
                    if let Err(too_long) = answer.bytes() {
                        let violation = ContractViolation(format!("it asked for an answer: {too_long}"));
                        return Err(Unfinished::Ends(violation.into()));
                    }
                    line.send(&answer).await.map_err(broken)?;
                }
                Said::Finished(finished) if line.incoming.is_empty() => return Ok(finished),
                Said::Finished(_) => return Err(broken(Broken::Malformed(Malformed("more after the end")))),
                Said::Ready | Said::Failed(_) => {
                    return Err(broken(Broken::Malformed(Malformed("it was asked something else"))));
                }
            }
        }
    }
}

impl From<Unanswered> for Unfinished {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Malformed(malformed) => Self::Broken(Broken::Malformed(malformed)),
            Unanswered::Ends(error) => Self::Ends(error),
        }
    }
}
