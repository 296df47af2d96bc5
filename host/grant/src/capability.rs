//! Capabilities: the interfaces of the contract, and how one is asked for in words.

use std::fmt;
use std::str::FromStr;

use crate::error::{GrantError, Kind, shown};

/// Longest scope, in bytes.
pub const SCOPE_MAX_BYTES: usize = 128;

/// One ability of `hostler:host`: most are an interface, by the same word as its file in `wit/host`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// The handle to the domain; every driver has it.
    Domain,
    /// Records for the log; every driver has it.
    Log,
    /// Time and randomness; every driver has it.
    Clock,
    /// The storage chains of the domain's disks.
    Storage,
    /// Firmware and the domain's variable store.
    Firmware,
    /// The far ends of character devices, and kernels and tables that the document names.
    Endpoint,
    /// Starting a program; the scope is the name of its template.
    Process,
    /// The monitor of a started QEMU.
    Qmp,
    /// Tap devices for the network interfaces that the document describes.
    Network,
    /// Passphrases of the disks that the document describes, for the domain's programs.
    Secret,
}

impl Capability {
    /// Every capability of this contract.
    pub const ALL: [Self; 10] = [
        Self::Domain,
        Self::Log,
        Self::Clock,
        Self::Storage,
        Self::Firmware,
        Self::Endpoint,
        Self::Process,
        Self::Qmp,
        Self::Network,
        Self::Secret,
    ];

    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Log => "log",
            Self::Clock => "clock",
            Self::Storage => "storage",
            Self::Firmware => "firmware",
            Self::Endpoint => "endpoint",
            Self::Process => "process",
            Self::Qmp => "qmp",
            Self::Network => "network",
            Self::Secret => "secret",
        }
    }

    /// Whether every driver has it without asking, because it reaches nothing by itself.
    #[must_use]
    pub fn is_basic(self) -> bool {
        matches!(self, Self::Domain | Self::Log | Self::Clock)
    }

    /// Whether it is granted for one named thing at a time.
    #[must_use]
    pub fn has_scope(self) -> bool {
        matches!(self, Self::Process)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A capability with its scope, written `qmp` or `process:qemu-system-x86_64`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant {
    /// The interface.
    pub capability: Capability,
    /// The one thing it is for; empty for capabilities without scope.
    pub scope: String,
}

impl Grant {
    /// Splits a written grant into its parts and checks them; `wildcard` allows a scope that ends in `*`.
    pub(crate) fn parse(text: &str, wildcard: bool) -> Result<Self, String> {
        let (name, scope) = text.split_once(':').map_or((text, None), |(name, scope)| (name, Some(scope)));
        let capability = Capability::ALL
            .into_iter()
            .find(|known| known.name() == name)
            .ok_or_else(|| format!("'{}' is no capability; there are {}", shown(name), all_names()))?;
        match (capability.has_scope(), scope) {
            (true, None) => Err(format!("'{name}' needs a scope, as in '{name}:NAME'")),
            (false, Some(_)) => Err(format!("'{name}' has no scope: write '{name}' alone")),
            (_, scope) => {
                let scope = scope.unwrap_or_default();
                let fixed = if wildcard { scope.strip_suffix('*').unwrap_or(scope) } else { scope };
                let empty = capability.has_scope() && scope.is_empty();
                if empty || scope.len() > SCOPE_MAX_BYTES || !fixed.bytes().all(is_scope_byte) {
                    let rule = "1 to 128 letters, digits, '-', '_' or '.'";
                    return Err(format!("the scope '{}' of '{name}' is not {rule}", shown(scope)));
                }
                Ok(Self { capability, scope: scope.to_owned() })
            }
        }
    }
}

fn is_scope_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn all_names() -> String {
    Capability::ALL.map(Capability::name).join(", ")
}

impl FromStr for Grant {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        Self::parse(text, false).map_err(|why| {
            GrantError::new(
                Kind::ManifestInvalid,
                why,
                "correct the grants that the driver's source asks for",
            )
        })
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope.as_str() {
            "" => f.write_str(self.capability.name()),
            scope => write!(f, "{}:{scope}", self.capability),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_grants_come_back_as_written() {
        for text in ["storage", "qmp", "firmware", "log", "process:qemu-system-x86_64"] {
            assert_eq!(text.parse::<Grant>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn wrong_grants_say_what_is_wrong() {
        let long = format!("process:{}", "x".repeat(129));
        let cases = [
            ("qpm", "no capability; there are domain, log,"),
            ("", "no capability"),
            ("process", "needs a scope"),
            ("process:", "scope"),
            ("process:/bin/sh", "scope '/bin/sh'"),
            ("process:qemu-*", "scope 'qemu-*'"),
            ("qmp:all", "has no scope"),
            (long.as_str(), "1 to 128"),
            ("\u{1b}[2J", "\\u{1b}"),
        ];
        for (text, expected) in cases {
            let error = text.parse::<Grant>().unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
    }
}
