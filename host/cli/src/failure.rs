//! Why a command failed, in the one shape that text, JSON and exit status are made from.

use std::fmt::Display;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::exit::Exit;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hint {
    /// The advice, lower-case, no final stop.
    pub(crate) text: String,
    /// A command that may be pasted into a shell.
    pub(crate) command: Option<String>,
}

/// A failed command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Stable dotted code.
    pub(crate) code: String,
    /// What, where and why; lower-case, no final stop.
    pub(crate) message: String,
    /// Who can mend it: `user`, `config`, `driver`, `hypervisor` or `host`.
    pub(crate) fault: &'static str,
    /// Whether trying again unchanged can help.
    pub(crate) retryable: bool,
    /// How the process ends.
    pub(crate) exit: Exit,
    /// What it is about: domain, disk, path, position.
    pub(crate) subject: Vec<(String, String)>,
    /// The chain of causes, outermost first.
    pub(crate) causes: Vec<String>,
    /// What to do next.
    pub(crate) hints: Vec<Hint>,
}

/// Why a command stopped before it could reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It failed.
    Failed(Box<Failure>),
    /// Nobody reads standard output any more: the end of the command, and no failure.
    PipeClosed,
    /// A daemon owns the state directory: it is to do this. With its address, and the failure for when it cannot.
    Served(String, Box<Failure>),
}

impl Failure {
    /// A failure with a code and a message; the rest is added by the methods below.
    pub(crate) fn new(code: &str, exit: Exit, message: impl Into<String>) -> Self {
        let fault = if exit == Exit::Failed { "host" } else { "user" };
        Self {
            code: code.to_owned(),
            message: message.into(),
            fault,
            retryable: matches!(exit, Exit::Busy | Exit::TimedOut),
            exit,
            subject: Vec::new(),
            causes: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// A failed operation of the operating system.
    pub(crate) fn io(what: impl Display, error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{NotFound, PermissionDenied};
        let (code, exit) = match error.kind() {
            NotFound => ("cli.not-found", Exit::NotFound),
            PermissionDenied => ("cli.permission-denied", Exit::Failed),
            _ => ("cli.io", Exit::Failed),
        };
        Self::new(code, exit, format!("cannot {what}")).cause(error)
    }

    /// The same failure, laid at the door of whoever wrote the command or the document.
    pub(crate) fn users(self) -> Self {
        Self { fault: "user", ..self }
    }

    /// The members that JSON output has for it.
    pub(crate) fn to_json(&self) -> Value {
        let subject: Map<String, Value> =
            self.subject.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let hints: Vec<Value> =
            self.hints.iter().map(|hint| json!({"text": hint.text, "command": hint.command})).collect();
        json!({
            "code": self.code,
            "message": self.message,
            "fault": self.fault,
            "retryable": self.retryable,
            "exit": self.exit.status(),
            "subject": subject,
            "causes": self.causes,
            "hints": hints,
        })
    }

    /// Adds what it is about.
    pub(crate) fn about(mut self, name: &str, value: impl Display) -> Self {
        self.subject.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds a cause below the ones already there.
    pub(crate) fn cause(mut self, cause: &dyn std::error::Error) -> Self {
        self.causes.extend(chain(cause));
        self
    }

    /// Adds advice.
    pub(crate) fn hint(mut self, text: impl Into<String>, command: Option<String>) -> Self {
        self.hints.push(Hint { text: text.into(), command });
        self
    }
}

/// The messages of an error and of all its sources. A message that only repeats the one above is
/// left out; the length is bounded against sources that go in circles.
pub(crate) fn chain(error: &dyn std::error::Error) -> Vec<String> {
    const LONGEST_CHAIN: usize = 16;
    let mut messages: Vec<String> = std::iter::successors(Some(error), |error| error.source())
        .take(LONGEST_CHAIN)
        .map(ToString::to_string)
        .collect();
    messages.dedup();
    messages
}

impl From<hostler_domains::Error> for Failure {
    fn from(error: hostler_domains::Error) -> Self {
        let hints =
            error.hints.iter().map(|hint| Hint { text: hint.text.clone(), command: hint.command.clone() });
        Self {
            code: error.code().to_owned(),
            message: error.message.clone(),
            fault: error.fault().word(),
            retryable: error.retryable(),
            exit: exit_of(error.kind),
            subject: error.subject.clone(),
            causes: std::error::Error::source(&error).map(chain).unwrap_or_default(),
            hints: hints.collect(),
        }
    }
}

impl From<hostler_domains::Error> for Stop {
    fn from(error: hostler_domains::Error) -> Self {
        let daemon = error.subject.iter().find(|(what, _)| what == hostler_domains::DAEMON_SUBJECT);
        match daemon.map(|(_, address)| address.clone()) {
            Some(address) if error.kind == hostler_domains::Kind::Busy => {
                Self::Served(address, Box::new(error.into()))
            }
            _ => Failure::from(error).into(),
        }
    }
}

/// The exit status for each kind of error; a kind that is newer than this program is a plain failure.
fn exit_of(kind: hostler_domains::Kind) -> Exit {
    use hostler_domains::Kind;
    match kind {
        Kind::NotFound => Exit::NotFound,
        Kind::Denied => Exit::Refused,
        Kind::Busy | Kind::Conflict | Kind::Exists => Exit::Busy,
        Kind::TimedOut => Exit::TimedOut,
        Kind::Driver => Exit::Driver,
        _ => Exit::Failed,
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

impl Stop {
    /// The same, with what it is about, unless it says so itself.
    pub(crate) fn about(mut self, name: &str, value: impl Display) -> Self {
        if let Self::Failed(failure) = &mut self
            && failure.subject.is_empty()
        {
            failure.subject.push((name.to_owned(), value.to_string()));
        }
        self
    }

    /// The same, with the file that a position in a document belongs to.
    pub(crate) fn in_file(mut self, file: &Path) -> Self {
        if let Self::Failed(failure) = &mut self
            && failure.subject.iter().any(|(name, _)| name == "line")
        {
            let shown = if file == Path::new("-") { "standard input".into() } else { file.to_string_lossy() };
            failure.subject.insert(0, ("file".to_owned(), shown.into_owned()));
        }
        self
    }

    /// A failed write to standard output.
    pub(crate) fn writing(error: &std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::PipeClosed
        } else {
            Failure::io("write to standard output", error).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[derive(Debug)]
    struct Outer(Error);
    impl Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("outer")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn chain_lists_every_source_outermost_first() {
        assert_eq!(chain(&Outer(Error::other("inner"))), ["outer", "inner"]);
    }

    #[test]
    fn errors_of_the_library_keep_all_they_say() {
        let error = hostler_domains::Error::new(hostler_domains::Kind::Denied, "grant.denied", "no")
            .about("driver", "qemu")
            .hint_command("allow it", "edit policy")
            .caused_by(Outer(Error::other("inner")));
        let failure = Failure::from(error);
        assert_eq!(
            (failure.code.as_str(), failure.exit, failure.fault),
            ("grant.denied", Exit::Refused, "config")
        );
        assert_eq!(failure.subject, [("driver".to_owned(), "qemu".to_owned())]);
        assert_eq!(failure.causes, ["outer", "inner"]);
        assert_eq!(failure.hints[0].command.as_deref(), Some("edit policy"));
    }

    #[test]
    fn positions_get_their_file_and_other_failures_do_not() {
        let plain = Failure::new("domain.busy", Exit::Busy, "busy");
        let placed = plain.clone().about("line", 4);
        for (failure, expected) in [(plain, None), (placed, Some("web.xml"))] {
            let Stop::Failed(failure) = Stop::from(failure).in_file(Path::new("web.xml")) else {
                panic!("a failure")
            };
            let file =
                failure.subject.iter().find(|(name, _)| name == "file").map(|(_, value)| value.as_str());
            assert_eq!(file, expected);
        }
    }

    #[test]
    fn every_kind_of_error_has_its_exit_status() {
        use hostler_domains::Kind;
        let expected = [
            (Kind::Invalid, 1),
            (Kind::NotFound, 3),
            (Kind::Exists, 5),
            (Kind::Conflict, 5),
            (Kind::Busy, 5),
            (Kind::Denied, 4),
            (Kind::TimedOut, 6),
            (Kind::Unsupported, 1),
            (Kind::Driver, 7),
            (Kind::Hypervisor, 1),
            (Kind::Host, 1),
        ];
        for (kind, status) in expected {
            assert_eq!(exit_of(kind).status(), status, "{kind:?}");
        }
    }

    #[test]
    fn a_missing_file_is_not_found_and_a_closed_pipe_is_no_failure() {
        let missing = Failure::io("read 'x'", &Error::from(ErrorKind::NotFound));
        assert_eq!((missing.exit, missing.code.as_str()), (Exit::NotFound, "cli.not-found"));
        assert_eq!(Stop::writing(&Error::from(ErrorKind::BrokenPipe)), Stop::PipeClosed);
        let Stop::Failed(full) = Stop::writing(&Error::from(ErrorKind::StorageFull)) else {
            panic!("a failure")
        };
        assert_eq!(full.exit, Exit::Failed);
    }
}
