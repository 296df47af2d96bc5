//! The one error type of this crate: what failed, on which path, and what to do next.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What went wrong, small enough to match on. Each kind has a stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Another process holds the lock; trying again later can succeed.
    Busy,
    /// The content on disk is not what was written; it is set aside, never deleted.
    Corrupt,
    /// The operating system refused or failed a call.
    Io,
    /// The file system has no room (or no quota) left; the old state is intact.
    Full,
    /// The directory was written by a newer hostler.
    TooNew,
    /// The thing asked for does not exist.
    NotFound,
    /// A name has characters or a length that are not allowed.
    InvalidName,
    /// A document exceeds its limit.
    TooLarge,
    /// The directory belongs to somebody else or others may write to it.
    Insecure,
    /// An earlier fsync failed, so nothing is written until the directory is opened again.
    ReadOnly,
}

impl Kind {
    /// The stable dotted code, for machines and documentation.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Busy => "state.busy",
            Self::Corrupt => "state.corrupt",
            Self::Io => "state.io",
            Self::Full => "state.full",
            Self::TooNew => "state.too-new",
            Self::NotFound => "state.not-found",
            Self::InvalidName => "state.invalid-name",
            Self::TooLarge => "state.too-large",
            Self::Insecure => "state.insecure",
            Self::ReadOnly => "state.read-only",
        }
    }

    /// Whether the same call can succeed later without anybody changing anything.
    #[must_use]
    pub fn retryable(self) -> bool {
        matches!(self, Self::Busy)
    }
}

/// A failed state operation. `Display` says what and where; the operating system's reason is the source.
#[derive(Debug)]
pub struct StateError {
    /// What went wrong.
    pub kind: Kind,
    /// The file or directory it is about.
    pub path: PathBuf,
    /// What to do next, most useful first; may be empty.
    pub hints: Vec<String>,
    /// The address of the daemon that holds the lock, as it has announced it.
    pub daemon: Option<String>,
    detail: String,
    source: Option<io::Error>,
}

impl StateError {
    pub(crate) fn new(kind: Kind, path: &Path, detail: impl Into<String>) -> Self {
        Self {
            kind,
            path: path.to_owned(),
            hints: Vec::new(),
            daemon: None,
            detail: detail.into(),
            source: None,
        }
    }

    /// An operating-system error met while doing `what` (an infinitive: "write the record").
    pub(crate) fn io(path: &Path, what: &str, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::Full,
            io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Io,
        };
        let mut error = Self::new(kind, path, format!("cannot {what}"));
        if kind == Kind::Full {
            error.hints.push("free space or inodes on this file system; nothing was changed".to_owned());
        }
        error.source = Some(source);
        error
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(crate) fn caused_by(mut self, source: io::Error) -> Self {
        self.source = Some(source);
        self
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ('{}')", self.detail, self.path.display())
    }
}

impl std::error::Error for StateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    #[test]
    fn codes_are_stable_and_distinct() {
        let kinds = [
            (Kind::Busy, "state.busy"),
            (Kind::Corrupt, "state.corrupt"),
            (Kind::Io, "state.io"),
            (Kind::Full, "state.full"),
            (Kind::TooNew, "state.too-new"),
            (Kind::NotFound, "state.not-found"),
            (Kind::InvalidName, "state.invalid-name"),
            (Kind::TooLarge, "state.too-large"),
            (Kind::Insecure, "state.insecure"),
            (Kind::ReadOnly, "state.read-only"),
        ];
        for (kind, code) in kinds {
            assert_eq!(kind.code(), code);
        }
        assert!(Kind::Busy.retryable() && !Kind::Corrupt.retryable());
    }

    #[test]
    fn display_names_the_path_and_keeps_the_source_apart() {
        let cause = io::Error::from(io::ErrorKind::StorageFull);
        let error = StateError::io(Path::new("/s/definition"), "write the record", cause);
        assert_eq!(error.kind, Kind::Full);
        assert_eq!(error.to_string(), "cannot write the record ('/s/definition')");
        assert!(error.source().is_some());
        assert_eq!(error.hints.len(), 1);
    }
}
