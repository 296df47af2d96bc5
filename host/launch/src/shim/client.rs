//! Talking to a shim. Every call has a connection to itself, so calls never wait for each other and an
//! answer that comes too late is nobody's (see `spare.rs`).

use std::collections::HashMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hostler_state::{RunDir, RunLock, RunRecord};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::door::Door;
use super::protocol::{Call, Failure, FailureCode, Response, StatusAnswer};
use super::record::{Ending, ExitRecord};
use super::spare::Connection;
use super::wire::after;
use crate::error::{QmpError, QmpErrorKind, ShimError, ShimErrorKind};
use crate::limits::{ANSWERS_MAX_BYTES, COMMANDS_MAX, MESSAGE_FDS_MAX, SHIM_TIMEOUT};
use crate::qmp::QmpEvent;

/// The name of a shim's socket in its run directory.
pub(crate) const SOCKET_NAME: &str = "shim.sock";

/// A shim that answered once. Cheap to clone; may be used from several threads.
#[derive(Clone, Debug)]
pub struct ShimClient {
    directory: PathBuf,
    lock: PathBuf,
}

/// What a shim says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShimStatus {
    /// The hypervisor's process number.
    pub pid: u32,
    /// When the hypervisor was started, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// The place of the newest event.
    pub cursor: u64,
    /// How the hypervisor ended; nothing while it runs.
    pub ended: Option<Ending>,
    /// Whether it has a monitor that tells what happens: without one, no new event means nothing.
    pub monitored: bool,
}

impl ShimClient {
    /// Connects to the shim of a running domain.
    ///
    /// # Errors
    /// [`ShimErrorKind::NotRunning`] when the run lock is free, [`ShimErrorKind::Orphaned`] when it is held
    /// and no shim answers, [`ShimErrorKind::TimedOut`] when the shim is there and silent.
    pub fn connect(run: &RunDir) -> Result<Self, ShimError> {
        let client = Self::of(run);
        // A connection that is open is the shim's word as well: it closes none before it goes.
        if !Connection::is_kept(&client.directory, SOCKET_NAME) {
            client.status()?;
        }
        Ok(client)
    }

    /// A client that has not asked anything yet: for a caller whose first call tells as well as
    /// [`ShimClient::connect`] whether anybody answers.
    #[must_use]
    pub fn of(run: &RunDir) -> Self {
        Self { directory: run.path().to_owned(), lock: run.lock_path() }
    }

    /// How things stand.
    ///
    /// # Errors
    /// As [`ShimClient::connect`].
    pub fn status(&self) -> Result<ShimStatus, ShimError> {
        let answer: StatusAnswer = self.ask(Call::Status, SHIM_TIMEOUT)?;
        let StatusAnswer { pid, started_unix_ms, cursor, ended, monitored } = answer;
        Ok(ShimStatus { pid, started_unix_ms, cursor, ended, monitored })
    }

    /// Sends one QMP command with its descriptors, and waits for the answer. No policy is applied here:
    /// [`crate::render_arguments`] does that.
    ///
    /// # Errors
    /// See [`QmpErrorKind`].
    pub fn execute(
        &self,
        command: &str,
        arguments: Option<&Value>,
        fds: &[BorrowedFd<'_>],
        timeout: Duration,
    ) -> Result<Value, QmpError> {
        if fds.len() > MESSAGE_FDS_MAX {
            let message = format!("{} descriptors with one command, at most {MESSAGE_FDS_MAX}", fds.len());
            return Err(QmpError::new(QmpErrorKind::Protocol, message));
        }
        command_result(self.call(execute_call(command, arguments)?, fds, after(timeout))?)
    }

    /// Sends all commands at once and waits for all answers, which come in the same order. One that fails does
    /// not keep back those after it.
    ///
    /// # Errors
    /// When the shim cannot be asked, or the answers are too much together ([`ANSWERS_MAX_BYTES`]): the commands may
    /// have been carried out all the same. The hypervisor's refusals are inside.
    pub fn execute_all(
        &self,
        commands: Vec<(String, Option<Value>)>,
        timeout: Duration,
    ) -> Result<Vec<Result<Value, QmpError>>, ShimError> {
        let calls = commands
            .iter()
            .map(|(command, arguments)| Ok((execute_call(command, arguments.as_ref())?, None)));
        self.call_all(calls.collect::<Result<_, ShimError>>()?, timeout)
    }

    /// The same with commands of which each has a descriptor that goes with it.
    ///
    /// # Errors
    /// As for [`ShimClient::execute_all`].
    pub fn give_all(
        &self,
        commands: &[(&str, Value, BorrowedFd<'_>)],
        timeout: Duration,
    ) -> Result<Vec<Result<Value, QmpError>>, ShimError> {
        let calls = commands
            .iter()
            .map(|(command, arguments, fd)| Ok((execute_call(command, Some(arguments))?, Some(*fd))));
        self.call_all(calls.collect::<Result<_, ShimError>>()?, timeout)
    }

    /// Either each has a descriptor, or none: what is read at once of some without and one with it would give the
    /// descriptor to the first.
    fn call_all(
        &self,
        calls: Vec<(Call, Option<BorrowedFd<'_>>)>,
        timeout: Duration,
    ) -> Result<Vec<Result<Value, QmpError>>, ShimError> {
        let count = calls.len();
        if count > COMMANDS_MAX {
            let message = format!("{count} commands at once, at most {COMMANDS_MAX}");
            return Err(ShimError::new(ShimErrorKind::Protocol, message));
        }
        let deadline = after(timeout);
        let mut connection = self.open()?;
        let mut awaited = HashMap::new();
        for (index, (call, fd)) in calls.into_iter().enumerate() {
            let fds: Vec<_> = fd.into_iter().collect();
            let sent = connection.send(call, &fds, deadline).map_err(|error| self.failed(error))?;
            awaited.insert(sent, index);
        }
        let mut results: Vec<_> = std::iter::repeat_with(|| None).take(count).collect();
        let mut room = ANSWERS_MAX_BYTES;
        for _ in 0..count {
            let line = connection.receive(deadline).map_err(|error| self.failed(error))?;
            room = room.checked_sub(line.len()).ok_or_else(too_much)?;
            let response = response_of(&line)?;
            let slot = awaited.remove(&response.id).and_then(|index| results.get_mut(index));
            *slot.ok_or_else(|| broken("an answer to a call that was not made"))? =
                Some(command_result(response));
        }
        connection.keep();
        results
            .into_iter()
            .map(|result| result.ok_or_else(|| broken("one call was answered twice")))
            .collect()
    }

    /// The place of the newest event.
    ///
    /// # Errors
    /// As [`ShimClient::connect`].
    pub fn cursor(&self) -> Result<u64, ShimError> {
        Ok(self.status()?.cursor)
    }

    /// Waits for the first event after `after` that has one of `names` (any, when empty). Nothing when
    /// `timeout` passed or the hypervisor ended.
    ///
    /// # Errors
    /// [`ShimErrorKind::EventsLost`] when events after `after` are gone; else as [`ShimClient::connect`].
    pub fn wait_event(
        &self,
        names: &[String],
        after: u64,
        timeout: Duration,
    ) -> Result<Option<QmpEvent>, ShimError> {
        let call = Call::WaitEvent { after, names: names.to_vec(), timeout_ms: milliseconds(timeout) };
        self.ask(call, timeout.saturating_add(SHIM_TIMEOUT))
    }

    /// Answers the next event of this name with these commands, unless one of `unless` comes first; without commands it is
    /// answered as the launch says. They are not checked here: see [`crate::check_reaction`].
    ///
    /// # Errors
    /// As [`ShimClient::connect`].
    pub fn answer_once(&self, event: &str, commands: &[String], unless: &[String]) -> Result<(), ShimError> {
        let (event, commands, unless) = (event.to_owned(), commands.to_vec(), unless.to_vec());
        self.ask(Call::AnswerOnce { event, commands, unless }, SHIM_TIMEOUT)
    }

    /// Has connections to a display reach the program from now on: those that come to the socket, and those that
    /// are brought. What it is told is not checked here: see [`crate::render_arguments`].
    ///
    /// # Errors
    /// As [`ShimClient::connect`].
    pub fn open_door(&self, door: &Door, socket: Option<BorrowedFd<'_>>) -> Result<(), ShimError> {
        let fds: Vec<_> = socket.into_iter().collect();
        let call = Call::OpenDoor { door: Box::new(door.clone()) };
        value_of(self.call(call, &fds, after(SHIM_TIMEOUT))?)
    }

    /// Has the shim keep one more console, by this end of it.
    ///
    /// # Errors
    /// [`ShimErrorKind::Console`] when it takes no more; else as [`ShimClient::connect`].
    pub fn keep_console(&self, alias: &str, end: BorrowedFd<'_>) -> Result<(), ShimError> {
        let call = Call::KeepConsole { alias: alias.to_owned() };
        value_of(self.call(call, &[end], after(SHIM_TIMEOUT))?)
    }

    /// Hands a connection over to a display; one that is `trusted` need not prove to the program who it is.
    ///
    /// # Errors
    /// [`ShimErrorKind::Display`] when it takes none, or the hypervisor not this one; else as [`ShimClient::connect`].
    pub fn connect_display(
        &self,
        alias: &str,
        connection: BorrowedFd<'_>,
        trusted: bool,
        timeout: Duration,
    ) -> Result<(), ShimError> {
        let call = Call::Connect { alias: alias.to_owned(), trusted };
        let response = self.call(call, &[connection], after(timeout))?;
        if let Some(Failure { code: FailureCode::Hypervisor(_), message }) = &response.error {
            let message = format!("the hypervisor does not take the connection: {}", message.escape_debug());
            return Err(ShimError::new(ShimErrorKind::Display, message));
        }
        value_of::<Value>(response).map(drop)
    }

    /// All remembered events after `after`.
    ///
    /// # Errors
    /// As [`ShimClient::wait_event`].
    pub fn events_since(&self, after: u64) -> Result<Vec<QmpEvent>, ShimError> {
        self.ask(Call::Events { after }, SHIM_TIMEOUT)
    }

    /// Waits for the hypervisor's end; nothing when `timeout` passed.
    ///
    /// # Errors
    /// As [`ShimClient::connect`].
    pub fn wait(&self, timeout: Duration) -> Result<Option<Ending>, ShimError> {
        let call = Call::Wait { timeout_ms: milliseconds(timeout) };
        self.ask(call, timeout.saturating_add(SHIM_TIMEOUT)).or_else(|error| self.recorded(error).map(Some))
    }

    /// Ends the hypervisor and waits for its end: asked first (SIGTERM) when `graceful`, killed after
    /// `timeout`; killed at once otherwise.
    ///
    /// # Errors
    /// As [`ShimClient::connect`].
    pub fn end(&self, graceful: bool, timeout: Duration) -> Result<Ending, ShimError> {
        let call = Call::End { graceful, timeout_ms: milliseconds(timeout) };
        self.ask(call, timeout.saturating_add(SHIM_TIMEOUT)).or_else(|error| self.recorded(error))
    }

    /// How it ended, from the record, when the shim has left after the end; else the error stands.
    fn recorded(&self, error: ShimError) -> Result<Ending, ShimError> {
        if !matches!(error.kind, ShimErrorKind::NotRunning | ShimErrorKind::Closed) {
            return Err(error);
        }
        let run = RunDir::open(&self.directory);
        let record = run.and_then(|run| Ok((run.is_held()?, run.read::<ExitRecord>(RunRecord::Exit)?)));
        match record {
            Ok((false, Some(record))) => Ok(record.ending),
            Ok((false, None)) => Ok(Ending::Unknown),
            _ => Err(error),
        }
    }

    /// The last lines that the program wrote to its outputs: untrusted text, at most 16 KiB.
    ///
    /// # Errors
    /// As [`ShimClient::connect`].
    pub fn output_tail(&self) -> Result<String, ShimError> {
        self.ask(Call::OutputTail, SHIM_TIMEOUT)
    }

    /// Attaches to a console: raw bytes both ways from here on, after the last 64 KiB when `replay`.
    ///
    /// # Errors
    /// [`ShimErrorKind::Console`] when there is none of this alias; else as [`ShimClient::connect`].
    pub fn console(&self, alias: &str, replay: bool) -> Result<UnixStream, ShimError> {
        let deadline = after(SHIM_TIMEOUT);
        let mut connection = self.open()?;
        let call = Call::Console { alias: alias.to_owned(), replay };
        connection.send(call, &[], deadline).map_err(|error| self.failed(error))?;
        let received = connection.into_wire().receive_exactly(deadline);
        let (line, socket) = received.map_err(|error| self.failed(error))?;
        value_of::<bool>(response_of(&line)?)?;
        Ok(UnixStream::from(socket))
    }

    fn ask<T: DeserializeOwned>(&self, call: Call, timeout: Duration) -> Result<T, ShimError> {
        value_of(self.call(call, &[], after(timeout))?)
    }

    /// Makes one call and waits for its answer.
    fn call(&self, call: Call, fds: &[BorrowedFd<'_>], deadline: Instant) -> Result<Response, ShimError> {
        let mut connection = self.open()?;
        let id = connection.send(call, fds, deadline).map_err(|error| self.failed(error))?;
        let line = connection.receive(deadline).map_err(|error| self.failed(error))?;
        let response = response_of(&line)?;
        if response.id != id {
            return Err(broken("an answer to a call that was not made"));
        }
        connection.keep();
        Ok(response)
    }

    fn open(&self) -> Result<Connection, ShimError> {
        Connection::to(&self.directory, SOCKET_NAME, SHIM_TIMEOUT).map_err(|error| self.absent(error))
    }

    /// Why nobody can be connected to: the run lock tells what lives. Any other failure than that nobody listens
    /// says nothing about the shim, and must not make an orphan of a guest in good order.
    fn absent(&self, error: io::Error) -> ShimError {
        if error.kind() == io::ErrorKind::TimedOut {
            return ShimError::new(ShimErrorKind::TimedOut, "the shim took no connection in time");
        }
        if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) {
            return ShimError::io("connect to the shim", error);
        }
        match RunLock::is_held(&self.lock) {
            Ok(true) => ShimError::new(
                ShimErrorKind::Orphaned,
                "the hypervisor runs but its shim is gone, so it can only be ended",
            )
            .hint("destroy the domain: its process is still known and will be ended"),
            Ok(false) => ShimError::new(ShimErrorKind::NotRunning, "the domain does not run"),
            Err(_) => ShimError::io("connect to the shim", error),
        }
    }

    fn failed(&self, error: io::Error) -> ShimError {
        match error.kind() {
            io::ErrorKind::TimedOut => {
                ShimError::new(ShimErrorKind::TimedOut, "no answer from the shim in time")
            }
            io::ErrorKind::InvalidData => broken("a line above the limit"),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                ShimError::new(ShimErrorKind::Closed, "the shim closed the connection")
            }
            _ => ShimError::io(format!("talk to the shim in {}", self.directory.display()), error),
        }
    }
}

fn response_of(line: &[u8]) -> Result<Response, ShimError> {
    serde_json::from_slice(line).map_err(|_| broken("an answer that is none"))
}

fn execute_call(command: &str, arguments: Option<&Value>) -> Result<Call, ShimError> {
    let raw: Option<Box<RawValue>> = arguments
        .map(to_raw_value)
        .transpose()
        .map_err(|error| ShimError::io("encode a command's arguments", error))?;
    Ok(Call::Execute { command: command.to_owned(), arguments: raw })
}

/// A QMP answer: the hypervisor's own refusal keeps its class.
fn command_result(response: Response) -> Result<Value, QmpError> {
    match response.error {
        Some(Failure { code: FailureCode::Hypervisor(class), message }) => {
            Err(QmpError::new(QmpErrorKind::Hypervisor { class }, message))
        }
        _ => Ok(value_of(response)?),
    }
}

fn value_of<T: DeserializeOwned>(response: Response) -> Result<T, ShimError> {
    if let Some(failure) = response.error {
        return Err(failure.into());
    }
    let text = response.value.as_ref().map_or("null", |value| value.get());
    serde_json::from_str(text).map_err(|_| broken("an answer of another kind than asked for"))
}

fn broken(what: &str) -> ShimError {
    ShimError::new(ShimErrorKind::Protocol, format!("the shim sent {what}"))
        .hint("the shim may be of another version of hostler; restart the domain when convenient")
}

fn too_much() -> ShimError {
    let message = format!("the answers have more than {} MiB together", ANSWERS_MAX_BYTES >> 20);
    ShimError::new(ShimErrorKind::Protocol, message).hint("send fewer commands at once")
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl From<Failure> for ShimError {
    fn from(failure: Failure) -> Self {
        let kind = match failure.code {
            FailureCode::Closed => ShimErrorKind::Closed,
            FailureCode::EventsLost => ShimErrorKind::EventsLost,
            FailureCode::Console => ShimErrorKind::Console,
            FailureCode::Display => ShimErrorKind::Display,
            FailureCode::Protocol | FailureCode::Hypervisor(_) => ShimErrorKind::Protocol,
        };
        Self::new(kind, failure.message)
    }
}
