//! Why a source cannot be described to a block driver.

use std::fmt;

/// What about a source is in the way of describing it; matchable, with a remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceFaultKind {
    /// It has no servers, or more of them than its protocol knows.
    Hosts,
    /// Its server is reached in a way that its protocol does not know.
    Transport,
    /// Its name is missing, or has not the parts that its protocol wants.
    Name,
    /// The user or group that an NFS server is asked as is no number.
    Identity,
    /// It is no source by itself: something else stands behind it.
    Kind,
}

impl SourceFaultKind {
    /// A word for programs, such as `hosts`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Hosts => "hosts",
            Self::Transport => "transport",
            Self::Name => "name",
            Self::Identity => "identity",
            Self::Kind => "kind",
        }
    }

    /// What to do about it in the document.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Hosts => {
                "write <host name='…' port='…'/> into <source>, once for each server of the protocol"
            }
            Self::Transport => "use <host name='…' port='…'/>, which is transport 'tcp'",
            Self::Name => {
                "correct the name of <source>: 'POOL/IMAGE' for rbd, 'VOLUME/PATH' for gluster, 'TARGET/LUN' for iscsi"
            }
            Self::Identity => "write <identity user='+1000' group='+1000'/>",
            Self::Kind => "name a file, a device or a server in its place",
        }
    }
}

/// Why a source cannot be described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFault {
    /// What is in the way.
    pub kind: SourceFaultKind,
    /// What is wrong, as a part of a sentence; it holds no credential.
    pub message: String,
}

impl SourceFault {
    pub(super) fn new(kind: SourceFaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl fmt::Display for SourceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SourceFault {}
