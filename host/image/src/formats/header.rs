//! What a header says about its image, in one shape for all formats. Nothing in it has been acted on.

use std::fmt;

use crate::format::Format;
use crate::reference::redact;

/// Longest name of another file that a header may carry, in bytes (QEMU's own limit).
pub const MAX_REFERENCE_BYTES: usize = 1023;

/// What a header says about its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Size of the disk that a guest sees, in bytes.
    pub virtual_size: u64,
    /// Unit of allocation in bytes, for formats that have one (clusters, grains, blocks).
    pub cluster_size: Option<u64>,
    /// Variant of the format, in QEMU's words: `monolithicSparse`, `dynamic`, `fixed` …
    pub subformat: Option<&'static str>,
    /// Level of the format that a reader must know, in QEMU's words: `0.10` or `1.1` for qcow2.
    pub compat: Option<&'static str>,
    /// The file that the image says it stands on.
    pub backing: Option<BackingRecord>,
    /// The file that the image says its data lies in.
    pub data_file: Option<DataFileRecord>,
    /// Other files that hold pieces of the disk, in order. Pieces inside the image itself are not listed.
    pub extents: Vec<ExtentRecord>,
    /// How the image is encrypted, if it is.
    pub encryption: Option<Encryption>,
    /// Marks and features.
    pub features: Features,
}

impl Header {
    /// A header that says nothing but its size; parsers add what they find.
    pub(crate) fn of_size(virtual_size: u64) -> Self {
        Self {
            virtual_size,
            cluster_size: None,
            subformat: None,
            compat: None,
            backing: None,
            data_file: None,
            extents: Vec::new(),
            encryption: None,
            features: Features::default(),
        }
    }
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

/// A piece of a disk in another file, as recorded. `Debug` shows it without its secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct ExtentRecord {
    /// The string, UTF-8 without NUL; otherwise unchecked.
    pub name: String,
    /// The kind of piece in the words of the format: `FLAT`, `SPARSE` …
    pub kind: &'static str,
}

impl fmt::Debug for ExtentRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, kind } = self;
        f.debug_struct("ExtentRecord").field("name", &redact(name)).field("kind", kind).finish()
    }
}

/// How an image is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// The built-in AES of qcow and early qcow2, which is broken; such an image is shown, never used.
    Aes,
    /// LUKS, around a raw disk or inside a qcow2 image.
    Luks(Luks),
}

impl Encryption {
    /// The word for it in documents and answers.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Aes => "aes",
            Self::Luks(_) => "luks",
        }
    }
}

/// What a LUKS header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Luks {
    /// Version of the header: 1 or 2.
    pub version: u16,
    /// Where the encrypted disk starts, in bytes from the start of the container.
    pub payload_offset: u64,
    /// Cipher with its mode, as `aes-xts-plain64`.
    pub cipher: String,
    /// Bits of the key of the disk.
    pub key_bits: u32,
    /// How many key slots can open it.
    pub active_slots: u32,
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
    /// The feature words as they stand, for formats that have them.
    pub bits: FeatureBits,
}

/// Feature words of qcow2 and QED.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeatureBits {
    /// A reader that does not know one of these must refuse the image.
    pub incompatible: u64,
    /// May be ignored.
    pub compatible: u64,
    /// A writer that does not know one of these must clear it.
    pub autoclear: u64,
}
