//! The one error type of this crate: what kept an author from a driver, and the exact remedy.

use std::fmt;
use std::io;
use std::path::Path;

/// What went wrong, small enough to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A driver cannot have this name.
    Name,
    /// The directory for a new project has something in it.
    NotEmpty,
    /// There is no project of a driver where one was named.
    NoProject,
    /// A program that builds drivers is not installed.
    Tool,
    /// The compiler has refused the driver; it has said why itself.
    Compile,
    /// What was built, or handed over, cannot be made a component.
    Module,
    /// The manifest is missing, is there twice, or is not valid.
    Manifest,
    /// The file that was named does not exist.
    NotFound,
    /// The operating system refused or failed a call.
    Io,
    /// This program's own copy of the contract is broken.
    Contract,
}

impl Kind {
    /// The stable dotted code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Name => "author.name",
            Self::NotEmpty => "author.not-empty",
            Self::NoProject => "author.no-project",
            Self::Tool => "author.tool-missing",
            Self::Compile => "author.compile",
            Self::Module => "author.module",
            Self::Manifest => "author.manifest",
            Self::NotFound => "author.not-found",
            Self::Io => "author.io",
            Self::Contract => "author.contract",
        }
    }
}

/// Why something was not made. `Display` is one sentence.
#[derive(Debug)]
pub struct AuthorError {
    /// What went wrong.
    pub kind: Kind,
    /// What to do next, most useful first: advice, and a command that may be pasted where there is one.
    pub hints: Vec<(String, Option<String>)>,
    message: String,
    source: Option<io::Error>,
}

impl AuthorError {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, hints: Vec::new(), message: message.into(), source: None }
    }

    /// An operating-system error met while doing `what` (an infinitive: "read the module").
    pub(crate) fn io(what: &str, path: &Path, source: io::Error) -> Self {
        let kind = if source.kind() == io::ErrorKind::NotFound { Kind::NotFound } else { Kind::Io };
        Self { source: Some(source), ..Self::new(kind, format!("cannot {what} '{}'", path.display())) }
    }

    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        self.hints.push((text.into(), None));
        self
    }

    pub(crate) fn command(mut self, text: impl Into<String>, command: impl Into<String>) -> Self {
        self.hints.push((text.into(), Some(command.into())));
        self
    }
}

impl fmt::Display for AuthorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for AuthorError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
