//! The two flash images of a machine: code, read-only, and the template of the variable store.

use std::path::PathBuf;

use crate::error::{ErrorKind, FirmwareError};

/// Formats that a flash device takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlashFormat {
    /// Plain bytes.
    Raw,
    /// QEMU copy-on-write. Can name a backing file, so its node must say that nothing is below it.
    Qcow2,
}

/// One flash image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlashImage {
    /// Where it is.
    pub path: PathBuf,
    /// Its format.
    pub format: FlashFormat,
}

/// What a machine with split flash is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PflashPair {
    /// Unit 0: the code, always read-only.
    pub code: FlashImage,
    /// What the variable store (unit 1) is copied from; `None` for firmware that keeps no variables.
    pub template: Option<FlashImage>,
}

impl FlashFormat {
    /// The format called `name` in descriptors and in domain XML.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "raw" => Some(Self::Raw),
            "qcow2" => Some(Self::Qcow2),
            _ => None,
        }
    }

    /// The same for what a document says about its `element`.
    pub(crate) fn named(name: &str, element: &str) -> Result<Self, FirmwareError> {
        Self::from_name(name).ok_or_else(|| {
            let message = format!(
                "the format '{}' of {element} is none that a flash device takes",
                name.escape_debug()
            );
            FirmwareError::new(ErrorKind::FormatUnknown, message).hint("formats are raw and qcow2")
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }

    /// Whether the node of such an image must carry an explicit "nothing below" (behaviour S0). Without it
    /// QEMU opens whatever the image names; with it on a raw node QEMU refuses.
    #[must_use]
    pub fn needs_terminator(self) -> bool {
        self == Self::Qcow2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_formats_with_backing_need_a_terminator() {
        assert!(FlashFormat::Qcow2.needs_terminator());
        assert!(!FlashFormat::Raw.needs_terminator());
        for format in [FlashFormat::Raw, FlashFormat::Qcow2] {
            assert_eq!(FlashFormat::from_name(format.name()), Some(format));
        }
        assert_eq!(FlashFormat::from_name("vmdk"), None);
    }
}
