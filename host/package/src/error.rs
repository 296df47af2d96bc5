//! The one error type of this crate: what is wrong with a package, where, and what to do next.

use std::fmt;
use std::io;
use std::path::Path;

use hostler_grant::GrantError;

/// What went wrong, small enough to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// There is nothing under this name.
    NotFound,
    /// It is a link, a pipe, a device or a directory in the place of a file.
    NotAFile,
    /// It is larger than it may be.
    TooLarge,
    /// The operating system refused or failed a call.
    Io,
    /// It is no driver component, or a damaged one.
    Component,
    /// The driver was made for a contract that this host does not offer.
    Contract,
    /// The component imports what no driver may have.
    Import,
    /// A folder or an OCI layout is not put together as it should be.
    Layout,
    /// A blob is not the one that its digest names.
    Digest,
    /// A driver in a registry is not named as it should be.
    Reference,
    /// A registry cannot be reached, refuses, or answers what is of no use.
    Registry,
    /// A key file cannot be used.
    Key,
    /// A manifest, a key or a signature is refused; the code says why.
    Grant(hostler_grant::Kind),
}

impl Kind {
    /// The stable dotted code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotFound => "package.not-found",
            Self::NotAFile => "package.not-a-file",
            Self::TooLarge => "package.too-large",
            Self::Io => "package.io",
            Self::Component => "package.component",
            Self::Contract => "package.contract",
            Self::Import => "package.import",
            Self::Layout => "package.layout",
            Self::Digest => "package.digest",
            Self::Reference => "package.reference",
            Self::Registry => "package.registry",
            Self::Key => "package.key",
            Self::Grant(kind) => kind.code(),
        }
    }
}

/// What is wrong with a package, and what to do next. `Display` is one sentence; the operating system's reason is
/// the source.
#[derive(Debug)]
pub struct PackageError {
    /// What went wrong.
    pub kind: Kind,
    /// What to do next, most useful first; may be empty.
    pub hints: Vec<String>,
    message: String,
    source: Option<io::Error>,
}

impl PackageError {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, hints: Vec::new(), message: message.into(), source: None }
    }

    /// An operating-system error met while doing `what` (an infinitive: "read the driver").
    pub(crate) fn io(what: &str, path: &Path, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Io,
        };
        let message = format!("cannot {what} '{}'", path.display());
        Self { source: Some(source), ..Self::new(kind, message) }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same problem with the reason for it.
    #[cfg(feature = "registry")]
    pub(crate) fn because(self, source: io::Error) -> Self {
        Self { source: Some(source), ..self }
    }

    /// The same problem, found in this file.
    #[must_use]
    pub fn within(mut self, path: &Path) -> Self {
        self.message = format!("'{}': {}", path.display(), self.message);
        self
    }

    /// The operating system's reason, taken out.
    #[must_use]
    pub fn into_source(self) -> Option<io::Error> {
        self.source
    }
}

impl From<GrantError> for PackageError {
    fn from(error: GrantError) -> Self {
        let mut converted = Self::new(Kind::Grant(error.kind), error.to_string());
        converted.hints = error.hints;
        converted
    }
}

impl fmt::Display for PackageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PackageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// Untrusted text as it may be shown: escaped, and cut after 200 characters.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_MAX_CHARS: usize = 200;
    let cut: String = text.chars().take(SHOWN_MAX_CHARS).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{more}", cut.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_stable_and_those_of_grants_are_kept() {
        assert_eq!(Kind::NotAFile.code(), "package.not-a-file");
        assert_eq!(Kind::Grant(hostler_grant::Kind::Unsigned).code(), "grant.unsigned");
    }

    #[test]
    fn untrusted_text_is_escaped_and_cut() {
        assert_eq!(shown("a\u{1b}"), "a\\u{1b}");
        assert_eq!(shown(&"x".repeat(201)).chars().count(), 201);
    }
}
