//! What clients and the shim say to each other: one JSON object in a line each, descriptors beside it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::door::Door;
use super::record::Ending;

/// A call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Chosen by the client, repeated in the answer.
    pub(crate) id: u64,
    pub(crate) call: Call,
}

/// What can be asked of a shim.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Call {
    Status,
    /// One QMP command; descriptors that came with the line go with it.
    Execute {
        command: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        arguments: Option<Box<RawValue>>,
    },
    /// The first event after `after` with one of `names` (any when empty); `null` after `timeout_ms`.
    WaitEvent {
        after: u64,
        names: Vec<String>,
        timeout_ms: u64,
    },
    /// All events after `after`.
    Events {
        after: u64,
    },
    /// Answers the next such event with these commands, unless one of `unless` comes first.
    AnswerOnce {
        event: String,
        commands: Vec<String>,
        unless: Vec<String>,
    },
    /// The ending; `null` after `timeout_ms`.
    Wait {
        timeout_ms: u64,
    },
    /// Ends the program: asks it first when `graceful`, kills it after `timeout_ms`. Answers with the ending.
    End {
        graceful: bool,
        timeout_ms: u64,
    },
    OutputTail,
    /// From now on connections to this display reach the program so; they come to the socket beside it, if there is one.
    OpenDoor {
        door: Box<Door>,
    },
    /// Hands the connection beside it over to this display; one that is `trusted` need not prove to the program who it is.
    Connect {
        alias: String,
        trusted: bool,
    },
    /// Keeps one more console from now on; the end of it that is not the program's comes beside.
    KeepConsole {
        alias: String,
    },
    /// After the answer the connection carries the console's bytes, both ways.
    Console {
        alias: String,
        replay: bool,
    },
}

/// The answer to the call with the same id: one of both.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Response {
    pub(crate) id: u64,
    #[serde(rename = "return", skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Failure>,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) code: FailureCode,
    pub(crate) message: String,
}

/// The kinds of failures that travel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FailureCode {
    /// The hypervisor's own error class.
    Hypervisor(String),
    /// The hypervisor has ended, or its monitor is closed.
    Closed,
    EventsLost,
    Console,
    Display,
    Protocol,
}

/// The answer to [`Call::Status`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct StatusAnswer {
    pub(crate) pid: u32,
    pub(crate) started_unix_ms: u64,
    pub(crate) cursor: u64,
    pub(crate) ended: Option<Ending>,
    /// A shim that an earlier version has started does not say.
    #[serde(default)]
    pub(crate) monitored: bool,
}
