//! What a walk asks of whoever opens files, and what it is told about them.

use crate::location::ImagePath;
use crate::policy::Grant;

/// A file that is to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRequest {
    /// The layer it belongs to, counted from the active layer, which is 0.
    pub layer: usize,
    /// What it is to that layer.
    pub role: Role,
    /// Its full name, for declared files and for display.
    pub path: ImagePath,
    /// By what right it is opened.
    pub via: Via,
    /// For reading, or for writing as well.
    pub access: Access,
}

/// What a file is to its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The image itself.
    Image,
    /// The external data file of the image.
    DataFile,
}

/// By what right a file is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// The domain declares it; open `path` beneath the caller's own granted roots.
    Declared,
    /// An image names it and the policy allows that; open it beneath the directory of the grant, without
    /// following links.
    Granted(Grant),
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For reading.
    ReadOnly,
    /// For reading and writing.
    ReadWrite,
}

/// An open file and the facts about it, taken from the open file itself.
#[derive(Debug)]
pub struct Opened<F> {
    /// Whatever stands for it.
    pub file: F,
    /// Which file it is.
    pub identity: Identity,
    /// What kind of file it is.
    pub kind: FileKind,
    /// Its length in bytes; of a block device, the size of the device.
    pub length: u64,
    /// Bytes it occupies on disk.
    pub physical_bytes: u64,
}

/// Which file it is, whatever names it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A regular file, by device and inode.
    File {
        /// `st_dev`.
        device: u64,
        /// `st_ino`.
        inode: u64,
    },
    /// A block device, by its number (`st_rdev`): several inodes may stand for one device.
    BlockDevice {
        /// `st_rdev`.
        number: u64,
    },
}

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// A FIFO, socket, character device or anything else.
    Other,
}

impl FileKind {
    /// Whether an image can be kept in it.
    #[must_use]
    pub fn can_hold_an_image(self) -> bool {
        matches!(self, Self::Regular | Self::BlockDevice)
    }

    /// What it is, in words that follow "it is".
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Regular => "a regular file",
            Self::BlockDevice => "a block device",
            Self::Directory => "a directory",
            Self::Other => "a FIFO, socket or character device",
        }
    }
}
