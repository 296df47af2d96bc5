//! A resolved chain: fully known, every layer opened and checked, an explicit answer to "what is below".

use std::fmt;
use std::path::PathBuf;

use crate::format::Format;
use crate::formats::Header;
use crate::location::ImagePath;
use crate::walk::{FileKind, Identity};

/// A resolved chain, active layer first. It has at least one layer. `F` is whatever the opener handed out.
#[derive(Debug)]
pub struct Chain<F> {
    /// The layers, active layer first.
    pub layers: Vec<Layer<F>>,
    /// What is worth telling the operator, although it is no reason to refuse.
    pub notes: Vec<Note>,
}

/// One image of a chain.
#[derive(Debug)]
pub struct Layer<F> {
    /// The open file: the very one whose header was checked.
    pub file: F,
    /// The name it was reached by; for display.
    pub path: ImagePath,
    /// Which file it is.
    pub identity: Identity,
    /// What kind of file it is.
    pub kind: FileKind,
    /// The format it is used as.
    pub format: Format,
    /// Who said so.
    pub format_origin: FormatOrigin,
    /// What its header says; for raw images the size of the file in whole sectors, or what the LUKS header says where
    /// the content is declared to be a container.
    pub header: Header,
    /// Bytes it occupies on disk.
    pub physical_bytes: u64,
    /// Whether it was opened for reading only.
    pub read_only: bool,
    /// What is below it: never unknown.
    pub below: Below,
    /// Its external data file.
    pub data_file: Option<DataFile<F>>,
}

/// What is below a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Below {
    /// The layer with this index.
    Layer(usize),
    /// Nothing, and the hypervisor must be told so.
    Nothing,
}

/// Who said what the format of a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormatOrigin {
    /// The domain.
    Declared,
    /// The header of the layer above.
    Recorded,
    /// Nobody: an active layer without a declared format is raw, whatever it contains.
    Assumed,
}

/// The file that holds the data of a layer.
#[derive(Debug)]
pub struct DataFile<F> {
    /// The open file.
    pub file: F,
    /// The name it was reached by; for display.
    pub path: ImagePath,
    /// Which file it is.
    pub identity: Identity,
    /// What kind of file it is.
    pub kind: FileKind,
    /// Its length in bytes.
    pub length: u64,
    /// Bytes it occupies on disk.
    pub physical_bytes: u64,
}

/// A difference between what is declared and what a header says. What is declared counts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The active layer has no declared format and is used as raw.
    FormatAssumed,
    /// The header names another image than the one declared below.
    ReferenceDiffers {
        /// The layer whose header it is.
        layer: usize,
        /// What the header names, safe to show; `None` when it names nothing.
        recorded: Option<String>,
        /// What is declared; `None` when nothing is declared to be below.
        declared: Option<PathBuf>,
    },
    /// The header records another format for the image below than the one declared.
    FormatDiffers {
        /// The layer whose header it is.
        layer: usize,
        /// The recorded format.
        recorded: Format,
        /// The declared format.
        declared: Format,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FormatAssumed => f.write_str("the active layer has no declared format and is used as raw"),
            Self::ReferenceDiffers { layer, recorded, declared } => {
                let recorded = recorded.as_deref().map_or("nothing".to_owned(), |name| format!("'{name}'"));
                let declared =
                    declared.as_ref().map_or("nothing".to_owned(), |path| format!("'{}'", path.display()));
                write!(f, "layer {layer} records {recorded} below it, {declared} is declared and used")
            }
            Self::FormatDiffers { layer, recorded, declared } => {
                write!(f, "layer {layer} records format {recorded} below it, {declared} is declared and used")
            }
        }
    }
}
