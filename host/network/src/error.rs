//! The one error type of this crate: what was wanted, what was found, where, and what to do next.

use std::fmt;
use std::io;

/// What went wrong, small enough to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A document or an argument is wrong.
    Invalid,
    /// A device, a bridge or a program is not there.
    NotFound,
    /// Something of that name or with that address is there already.
    Conflict,
    /// The system's permissions refuse it.
    Denied,
    /// This version, or this machine, cannot do it.
    Unsupported,
    /// The operating system or a program failed.
    Io,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// In words.
    pub text: String,
    /// A command that can be pasted, if there is one.
    pub command: Option<String>,
}

/// A network operation that did not succeed. `Display` is one sentence; the system's reason is the source.
#[derive(Debug)]
pub struct NetworkError {
    /// What went wrong.
    pub kind: ErrorKind,
    /// What to do next, the likeliest first.
    pub hints: Vec<Hint>,
    /// What it is about: `network`, `device`, `bridge`.
    pub subject: Vec<(&'static str, String)>,
    code: &'static str,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl NetworkError {
    /// An error with its stable, dotted code.
    #[must_use]
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, hints: Vec::new(), subject: Vec::new(), code, message: message.into(), source: None }
    }

    /// A failed call of the operating system about `what`, met while doing `doing` (an infinitive).
    pub(crate) fn io(doing: &str, what: impl fmt::Display, error: io::Error) -> Self {
        let (kind, code) = match error.kind() {
            io::ErrorKind::NotFound => (ErrorKind::NotFound, "network.missing"),
            io::ErrorKind::AlreadyExists => (ErrorKind::Conflict, "network.device-exists"),
            io::ErrorKind::PermissionDenied => (ErrorKind::Denied, "network.permission-denied"),
            _ if error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => {
                (ErrorKind::NotFound, "network.missing")
            }
            _ => (ErrorKind::Io, "network.io"),
        };
        let said = Self::new(kind, code, format!("cannot {doing} '{what}'"));
        match kind {
            ErrorKind::Denied => said.hint(
                "networks of the host are root's to change: run hostler as root, or use <interface type='user'>",
            ),
            _ => said,
        }
        .caused_by(error)
    }

    /// Adds what it is about.
    #[must_use]
    pub fn about(mut self, what: &'static str, value: impl Into<String>) -> Self {
        self.subject.push((what, value.into()));
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hints.push(Hint { text: text.into(), command: None });
        self
    }

    /// Adds what to do next, with a command for it.
    #[must_use]
    pub fn hint_command(mut self, text: impl Into<String>, command: impl Into<String>) -> Self {
        self.hints.push(Hint { text: text.into(), command: Some(command.into()) });
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The stable, dotted code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The cause, taken out.
    #[must_use]
    pub fn into_source(self) -> Option<Box<dyn std::error::Error + Send + Sync>> {
        self.source
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for NetworkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
