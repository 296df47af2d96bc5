//! The one error type of this crate.

use std::fmt;

/// What went wrong, small enough to match on. Each kind has a stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The driver's manifest is not valid.
    ManifestInvalid,
    /// The operator's policy, or a tenant's rules, are not valid.
    PolicyInvalid,
    /// The driver was made for a contract that this host does not offer.
    ContractVersion,
    /// The policy pins another build of this driver.
    DigestMismatch,
    /// The driver is not signed by anybody whom the policy names.
    Unsigned,
    /// A signature or a key cannot be read, or a signature is not over this driver.
    SignatureInvalid,
    /// The policy has revoked this build.
    Revoked,
    /// The driver used a capability that was not granted.
    Denied,
}

impl Kind {
    /// The stable dotted code, for machines and documentation.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::ManifestInvalid => "grant.manifest-invalid",
            Self::PolicyInvalid => "grant.policy-invalid",
            Self::ContractVersion => "grant.contract-version",
            Self::DigestMismatch => "grant.digest-mismatch",
            Self::Unsigned => "grant.unsigned",
            Self::SignatureInvalid => "grant.signature-invalid",
            Self::Revoked => "grant.revoked",
            Self::Denied => "grant.denied",
        }
    }
}

/// Why something was refused, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantError {
    /// What went wrong.
    pub kind: Kind,
    /// What to do next, most useful first.
    pub hints: Vec<String>,
    message: String,
}

impl GrantError {
    pub(crate) fn new(kind: Kind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind, hints: vec![hint.into()], message: message.into() }
    }

    /// The same problem, found while reading `place`.
    pub(crate) fn within(mut self, place: &str) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }
}

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for GrantError {}

/// Untrusted text as it may be shown: escaped, and cut after 64 characters.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_MAX_CHARS: usize = 64;
    match text.char_indices().nth(SHOWN_MAX_CHARS) {
        Some((end, _)) => escaped(text.get(..end).unwrap_or_default()) + "…",
        None => escaped(text),
    }
}

/// Text without anything that a terminal acts on; quotes stay, as messages have their own.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\'' => safe.push(character),
            other => safe.extend(other.escape_debug()),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_stable() {
        let codes = [
            (Kind::ManifestInvalid, "grant.manifest-invalid"),
            (Kind::PolicyInvalid, "grant.policy-invalid"),
            (Kind::ContractVersion, "grant.contract-version"),
            (Kind::DigestMismatch, "grant.digest-mismatch"),
            (Kind::Unsigned, "grant.unsigned"),
            (Kind::SignatureInvalid, "grant.signature-invalid"),
            (Kind::Revoked, "grant.revoked"),
            (Kind::Denied, "grant.denied"),
        ];
        for (kind, code) in codes {
            assert_eq!(kind.code(), code);
        }
    }

    #[test]
    fn untrusted_text_is_escaped_and_cut() {
        assert_eq!(shown("a\n\u{1b}[31m"), "a\\n\\u{1b}[31m");
        assert_eq!(shown(&"x".repeat(65)).chars().count(), 65);
    }
}
