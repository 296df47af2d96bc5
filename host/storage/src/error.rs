//! The one error type of this crate: what was wanted, what was found, where, and what to do next.

use std::fmt;
use std::io;

use hostler_image::ImageError;

/// What went wrong, small enough to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A document or an argument is wrong.
    Invalid,
    /// The pool, the volume or its file is not there.
    NotFound,
    /// Something of that name is there already.
    Exists,
    /// The pool or the volume is not in the state for it.
    Conflict,
    /// A rule or the system's permissions refuse it.
    Denied,
    /// This version, or this machine, cannot do it.
    Unsupported,
    /// No room is left.
    Full,
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

/// A storage operation that did not succeed. `Display` is one sentence; the system's reason is the source.
#[derive(Debug)]
pub struct StorageError {
    /// What went wrong.
    pub kind: ErrorKind,
    /// What to do next, the likeliest first.
    pub hints: Vec<Hint>,
    /// What it is about: `pool`, `volume`, `path`.
    pub subject: Vec<(&'static str, String)>,
    code: &'static str,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StorageError {
    /// An error with its stable, dotted code.
    #[must_use]
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, hints: Vec::new(), subject: Vec::new(), code, message: message.into(), source: None }
    }

    /// A failed call of the operating system about `path`, met while doing `what` (an infinitive).
    pub(crate) fn io(what: &str, path: impl fmt::Display, error: io::Error) -> Self {
        let (kind, code) = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                (ErrorKind::NotFound, "storage.missing")
            }
            io::ErrorKind::AlreadyExists => (ErrorKind::Exists, "volume.exists"),
            io::ErrorKind::PermissionDenied => (ErrorKind::Denied, "storage.permission-denied"),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (ErrorKind::Full, "storage.full"),
            _ if is_escape(&error) => (ErrorKind::Denied, "storage.link"),
            _ => (ErrorKind::Io, "storage.io"),
        };
        let said = Self::new(kind, code, format!("cannot {what} '{path}'")).about("path", path.to_string());
        match kind {
            ErrorKind::Full => said.hint("free space in the pool, or ask for less"),
            ErrorKind::Denied if code == "storage.link" => {
                said.hint("it is a link or leads out of the pool; a volume is a plain entry of its directory")
            }
            _ => said,
        }
        .caused_by(error)
    }

    /// A refusal of the rules for images, about a volume.
    pub(crate) fn image(error: ImageError, volume: &str) -> Self {
        use hostler_image::ErrorKind as Image;
        let kind = match error.kind() {
            Image::Missing => ErrorKind::NotFound,
            Image::Io => ErrorKind::Io,
            _ => ErrorKind::Denied,
        };
        let mut said = Self::new(kind, error.code(), error.to_string()).about("volume", volume);
        for hint in error.hints() {
            said.hints.push(Hint { text: hint.text.clone(), command: hint.command.clone() });
        }
        said
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

    /// Tells who ran out of room that nothing is there by halves: for what is made as a draft only.
    pub(crate) fn in_a_draft(self) -> Self {
        if self.kind == ErrorKind::Full { self.hint("nothing was left half-made") } else { self }
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

/// What `openat2` answers when a link or `..` would leave the directory.
fn is_escape(error: &io::Error) -> bool {
    let codes = [rustix::io::Errno::LOOP, rustix::io::Errno::XDEV].map(rustix::io::Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StorageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_the_system_are_told_apart() {
        let of = |code| StorageError::io("open the volume", "a", io::Error::from_raw_os_error(code));
        for (errno, kind, code) in [
            (2, ErrorKind::NotFound, "storage.missing"),
            (13, ErrorKind::Denied, "storage.permission-denied"),
            (17, ErrorKind::Exists, "volume.exists"),
            (18, ErrorKind::Denied, "storage.link"),
            (28, ErrorKind::Full, "storage.full"),
            (40, ErrorKind::Denied, "storage.link"),
            (5, ErrorKind::Io, "storage.io"),
        ] {
            let error = of(errno);
            assert_eq!((error.kind, error.code()), (kind, code), "{errno}");
            assert!(std::error::Error::source(&error).is_some());
        }
        assert_eq!(of(28).to_string(), "cannot open the volume 'a'");
    }

    #[test]
    fn only_a_draft_leaves_nothing_half_made() {
        let of = |code| StorageError::io("write", "a", io::Error::from_raw_os_error(code));
        let said = |error: &StorageError| error.hints.iter().any(|hint| hint.text.contains("half-made"));
        assert!(!said(&of(28)) && said(&of(28).in_a_draft()) && !said(&of(5).in_a_draft()));
    }
}
