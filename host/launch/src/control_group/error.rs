//! What goes wrong with a control group.

use std::error::Error as StdError;
use std::fmt;
use std::io;

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupErrorKind {
    /// The host has no such controller, or this user may not use it.
    Unavailable,
    /// The kernel does not take the value.
    Refused,
    /// What was named is no block device.
    Device,
    /// The process is in no group of ours.
    NoGroup,
    /// The operating system refused a call.
    Io,
}

/// A limit that does not hold. `Display` says which and where; the cause is the source.
#[derive(Debug)]
pub struct GroupError {
    /// What went wrong.
    pub kind: GroupErrorKind,
    message: String,
    source: Option<io::Error>,
}

impl GroupError {
    pub(super) fn new(kind: GroupErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(super) fn caused_by(mut self, error: io::Error) -> Self {
        self.source = Some(error);
        self
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.kind {
            GroupErrorKind::Unavailable => {
                "take the limit out of the document, or run hostler as root where the controller is mounted: \
                 hostler doctor"
            }
            GroupErrorKind::Refused => "give it a value that the kernel takes: see cgroups(7)",
            GroupErrorKind::Device => "name the device of the host that the image lies on, such as /dev/sda",
            GroupErrorKind::NoGroup => {
                "the guest was started without one: by another user, or by an earlier version; start it anew"
            }
            GroupErrorKind::Io => "hostler doctor says what this host can do",
        }
    }
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl StdError for GroupError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source as &(dyn StdError + 'static))
    }
}
