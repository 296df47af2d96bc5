//! The error that every verb returns: what, whose turn it is, about what, what to do next.

use std::fmt;

/// What an error says of the daemon that owns the state directory: its address.
pub const DAEMON_SUBJECT: &str = "daemon";

/// What went wrong, small enough to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A document or an argument is wrong; nothing was changed.
    Invalid,
    /// The thing named does not exist.
    NotFound,
    /// A thing of that name exists already.
    Exists,
    /// The domain is not in the state for it.
    Conflict,
    /// Somebody else is at work on it; trying again can succeed.
    Busy,
    /// A policy, a grant or the image rules refuse it.
    Denied,
    /// A deadline passed.
    TimedOut,
    /// This driver, hypervisor or host cannot do it.
    Unsupported,
    /// The driver broke: a trap, a deadline, a violated contract.
    Driver,
    /// The hypervisor refused or failed.
    Hypervisor,
    /// The host failed: I/O, a full disk, a process that could not be made.
    Host,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Whoever wrote the document or the command.
    User,
    /// Whoever configures this host.
    Config,
    /// The driver's author.
    Driver,
    /// The hypervisor.
    Hypervisor,
    /// The host.
    Host,
}

impl Fault {
    /// The lower-case word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Config => "config",
            Self::Driver => "driver",
            Self::Hypervisor => "hypervisor",
            Self::Host => "host",
        }
    }
}

/// What the reader can do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// In words.
    pub text: String,
    /// A command that can be pasted, if there is one.
    pub command: Option<String>,
}

/// A verb that did not succeed. `Display` is one sentence without the cause; [`std::error::Error::source`]
/// has that.
#[derive(Debug)]
pub struct Error {
    /// What went wrong.
    pub kind: Kind,
    /// What was wanted, what was found, where. Lower-case start, no final stop. May hold text of a driver
    /// or a guest: escape it before it reaches a terminal.
    pub message: String,
    /// What it is about: `domain`, `disk`, `line`, `column`, `driver`, `operation`.
    pub subject: Vec<(String, String)>,
    /// What to do next, the likeliest first.
    pub hints: Vec<Hint>,
    code: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with its stable, dotted code.
    #[must_use]
    pub fn new(kind: Kind, code: impl Into<String>, message: impl Into<String>) -> Self {
        let (code, message) = (code.into(), message.into());
        Self { kind, message, subject: Vec::new(), hints: Vec::new(), code, source: None }
    }

    /// Adds what it is about.
    #[must_use]
    pub fn about(mut self, what: &str, value: impl Into<String>) -> Self {
        self.subject.push((what.to_owned(), value.into()));
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

    /// The stable, dotted code: `domain.not-found`.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Whose turn it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self.kind {
            Kind::Invalid | Kind::NotFound | Kind::Exists | Kind::Conflict | Kind::Busy => Fault::User,
            Kind::Denied | Kind::Unsupported => Fault::Config,
            Kind::Driver => Fault::Driver,
            Kind::Hypervisor | Kind::TimedOut => Fault::Hypervisor,
            Kind::Host => Fault::Host,
        }
    }

    /// Whether the same command can succeed later without anybody changing anything.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self.kind, Kind::Busy | Kind::TimedOut)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// A command about a domain that can be pasted, whatever the domain is called.
pub(crate) fn command(verb: &str, domain: &str) -> String {
    format!("hostler {verb} {}", hostler_image::shell_quote(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pasted_command_gives_the_shell_nothing_to_do() {
        assert_eq!(command("start", "web-1"), "hostler start web-1");
        assert_eq!(command("destroy", "a; rm -rf $HOME"), "hostler destroy 'a; rm -rf $HOME'");
    }

    #[test]
    fn fault_follows_from_kind() {
        assert_eq!(Error::new(Kind::Driver, "driver.trap", "x").fault().word(), "driver");
        assert!(Error::new(Kind::Busy, "state.busy", "x").retryable());
        assert!(!Error::new(Kind::Denied, "image.loop", "x").retryable());
    }
}
