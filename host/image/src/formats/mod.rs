//! What a header says, and the parser of each format.

mod qcow2;
mod raw;

use std::fmt;

use crate::error::{ErrorKind, ImageError};
use crate::format::Format;
use crate::reference::redact;
use crate::windows::{Halt, Windows};

/// Longest name of another file that a header may carry, in bytes (QEMU's own limit).
pub const MAX_REFERENCE_BYTES: usize = 1023;

/// What a header says about its image. Nothing in it has been acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Size of the disk that a guest sees, in bytes.
    pub virtual_size: u64,
    /// Unit of allocation in bytes, for formats that have one.
    pub cluster_size: Option<u64>,
    /// The file that the image says it stands on.
    pub backing: Option<BackingRecord>,
    /// The file that the image says its data lies in.
    pub data_file: Option<DataFileRecord>,
    /// How the image is encrypted, if it is.
    pub encryption: Option<Encryption>,
    /// Marks and features.
    pub features: Features,
}

/// A backing reference as recorded. `Debug` shows it without its secrets, because it ends up in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct BackingRecord {
    /// The string, UTF-8 without NUL; otherwise unchecked.
    pub name: String,
    /// The format recorded beside it.
    pub format: RecordedFormat,
}

/// The format that a header records for the image below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordedFormat {
    /// None.
    Absent,
    /// The name of an image format.
    Known(Format),
    /// A name that is not an image format, stripped of control characters.
    Unknown(String),
}

impl fmt::Debug for BackingRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, format } = self;
        f.debug_struct("BackingRecord").field("name", &redact(name)).field("format", format).finish()
    }
}

/// An external data file as recorded. `Debug` shows it without its secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct DataFileRecord {
    /// The string, UTF-8 without NUL; otherwise unchecked.
    pub name: String,
    /// Whether the data file can be read as a raw image without the metadata.
    pub raw: bool,
}

impl fmt::Debug for DataFileRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, raw } = self;
        f.debug_struct("DataFileRecord").field("name", &redact(name)).field("raw", raw).finish()
    }
}

/// How an image is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// LUKS inside a qcow2 image.
    Luks,
}

/// Algorithm of compressed clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Deflate, the default.
    #[default]
    Zlib,
    /// Zstandard.
    Zstd,
}

/// Marks and features of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features {
    /// Version of the format's header, 0 for formats without one.
    pub version: u32,
    /// It was not closed cleanly; the next writer repairs it first.
    pub dirty: bool,
    /// It was found to be inconsistent; it must not be written.
    pub corrupt: bool,
    /// Reference counts may lag behind (`lazy_refcounts=on`).
    pub lazy_refcounts: bool,
    /// Subclusters (`extended_l2=on`).
    pub extended_l2: bool,
    /// It carries persistent dirty bitmaps.
    pub bitmaps: bool,
    /// Number of internal snapshots.
    pub internal_snapshots: u32,
    /// Algorithm of compressed clusters.
    pub compression: Compression,
}

/// Parses the header of an image that is declared to be of `format`.
pub(crate) fn parse(format: Format, image: &Windows) -> Result<Header, Halt> {
    match format {
        Format::Raw => Ok(raw::parse(image)),
        Format::Qcow2 => qcow2::parse(image),
        _ => Err(unsupported(format).into()),
    }
}

/// The refusal of a format that this version cannot use in a chain.
pub(crate) fn unsupported(format: Format) -> ImageError {
    let usable: Vec<_> = Format::all().filter(|format| format.is_parsed()).map(Format::xml_name).collect();
    ImageError::new(ErrorKind::FormatUnsupported, format!("format '{format}' cannot be used in a chain"))
        .hint(format!("convert the image to one of: {}", usable.join(", ")))
}
