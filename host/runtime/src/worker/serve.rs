//! The host's side of an operation: it asks, makes the calls that the worker wants, and takes the answer.
//!
//! Nothing that comes is believed. Each call goes through the same code as one of a driver in this process: the same
//! table of handles, the same rates, deadlines and grants.

use std::io;
use std::os::unix::net;

use rustix::net::{SendFlags, send};
use tokio::net::UnixStream;

use super::calls::{self, Unanswered};
use super::frame::{Asked, Finished, Incoming, Outgoing, Said, Setup};
use super::process::Worker;
use super::spin::Spin;
use super::wire::Malformed;
use crate::call::{CallState, ContractViolation};

/// Why a worker is of no use any more.
#[derive(Debug)]
pub(crate) enum Broken {
    /// It could not set itself up, and says why.
    Refused(String),
    /// It sent what no worker sends.
    Malformed(Malformed),
    /// It closed the socket, or the socket failed.
    Gone(io::Error),
}

/// How an operation ended that has no answer.
#[derive(Debug)]
pub(crate) enum Unfinished {
    Broken(Broken),
    /// The host ended it, for what the driver did.
    Ends(wasmtime::Error),
}

/// A worker's socket while somebody waits for it.
pub(crate) struct Line<'a> {
    socket: &'a net::UnixStream,
    /// Registered when somebody has to sleep, and for this operation only: the next may come from another async runtime.
    registered: Option<UnixStream>,
    incoming: &'a mut Incoming,
    /// The process at the other end, for the log.
    pid: u32,
}

impl<'a> Line<'a> {
    fn new(worker: &'a mut Worker) -> Self {
        let pid = worker.id();
        Self::over(&worker.socket, &mut worker.incoming, pid)
    }

    /// The line to the worker of this process number over this socket, which does not block.
    pub(crate) fn over(socket: &'a net::UnixStream, incoming: &'a mut Incoming, pid: u32) -> Self {
        Self { socket, registered: None, incoming, pid }
    }

    async fn send(&mut self, message: &Outgoing) -> Result<(), Broken> {
        let mut rest = message.bytes()?;
        loop {
            // Nearly always there is room for all of it, and nobody has to find out whether there is.
            match send(self.socket, rest, SendFlags::NOSIGNAL).map_err(io::Error::from) {
                Ok(length) => rest = rest.get(length..).unwrap_or_default(),
                Err(error) if is_passing(&error) => break,
                Err(error) => return Err(Broken::Gone(error)),
            }
            if rest.is_empty() {
                return Ok(());
            }
        }
        let socket = self.registered().map_err(Broken::Gone)?;
        while !rest.is_empty() {
            socket.writable().await.map_err(Broken::Gone)?;
            match socket.try_write(rest) {
                Ok(length) => rest = rest.get(length..).unwrap_or_default(),
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(Broken::Gone(error)),
            }
        }
        Ok(())
    }

    async fn receive(&mut self) -> Result<Vec<u8>, Broken> {
        let mut spin = Spin::begin();
        loop {
            if let Some(message) = self.incoming.message()? {
                return Ok(message);
            }
            let received = match spin.receive(self.socket, self.incoming.room()) {
                Some(received) => received,
                None => {
                    self.registered().map_err(Broken::Gone)?.readable().await.map_err(Broken::Gone)?;
                    let room = self.incoming.room();
                    self.registered.as_ref().map_or(Ok(0), |socket| socket.try_read(room))
                }
            };
            match received {
                Ok(0) => return Err(Broken::Gone(io::ErrorKind::UnexpectedEof.into())),
                Ok(length) => self.incoming.filled(length),
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(Broken::Gone(error)),
            }
        }
    }

    /// The socket as the async runtime of this operation knows it.
    fn registered(&mut self) -> io::Result<&UnixStream> {
        if self.registered.is_none() {
            self.registered = Some(UnixStream::from_std(self.socket.try_clone()?)?);
        }
        self.registered.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl Worker {
    /// Tells a new worker what it needs, and waits until it has locked itself in.
    pub(super) async fn set_up(&mut self, setup: &Setup) -> Result<(), Broken> {
        let mut line = Line::new(self);
        line.send(&Outgoing::of(setup)).await?;
        let message = line.receive().await?;
        match Said::read(&message)? {
            Said::Ready => Ok(()),
            Said::Failed(why) => Err(Broken::Refused(why)),
            Said::Call(..) | Said::Finished(_) => Err(Malformed("it was not asked anything").into()),
        }
    }

    /// Carries out one operation.
    ///
    /// # Errors
    /// The worker is to be ended: it is broken, or it is in the middle of what the host has ended.
    pub(super) async fn perform(
        &mut self,
        state: &mut CallState,
        asked: &Asked,
    ) -> Result<Finished, Unfinished> {
        Line::new(self).perform(state, asked).await
    }
}

impl Line<'_> {
    /// See [`Worker::perform`].
    pub(crate) async fn perform(
        &mut self,
        state: &mut CallState,
        asked: &Asked,
    ) -> Result<Finished, Unfinished> {
        self.send(&Outgoing::of(asked)).await?;
        loop {
            let message = self.receive().await?;
            match Said::read(&message)? {
                Said::Call(number, arguments) => {
                    let call = calls::name(number);
                    tracing::trace!(pid = self.pid, call, "a driver's process makes a host call");
                    if let Some(answer) = calls::make(state, number, arguments).await? {
                        self.answer(&answer).await?;
                    }
                }
                Said::Finished(finished) if self.incoming.is_empty() => return Ok(finished),
                Said::Finished(_) => return Err(Malformed("it goes on after the end").into()),
                Said::Ready | Said::Failed(_) => return Err(Malformed("it was asked something else").into()),
            }
        }
    }

    async fn answer(&mut self, answer: &Outgoing) -> Result<(), Unfinished> {
        if let Err(too_long) = answer.bytes() {
            let violation = ContractViolation(format!("it asked for an answer: {too_long}"));
            return Err(Unfinished::Ends(violation.into()));
        }
        Ok(self.send(answer).await?)
    }
}

impl From<Malformed> for Broken {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<Broken> for Unfinished {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<Malformed> for Unfinished {
    fn from(malformed: Malformed) -> Self {
        Self::Broken(malformed.into())
    }
}

impl From<Unanswered> for Unfinished {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Malformed(malformed) => malformed.into(),
            Unanswered::Ends(error) => Self::Ends(error),
        }
    }
}
