//! What the verbs about images answer.

use std::path::PathBuf;

use serde::Serialize;

use crate::error::Error;

/// A chain as far as it could be resolved.
#[derive(Debug)]
pub struct ImageChain {
    /// The layers, the active one first; not all of them when there is a refusal.
    pub layers: Vec<ImageLayer>,
    /// Differences that are no reason to refuse, each in one sentence.
    pub notes: Vec<String>,
    /// Why a start would not take it.
    pub refusal: Option<Error>,
}

/// One layer of a chain, with everything that is known of its file.
#[derive(Clone, Debug, Serialize)]
pub struct ImageLayer {
    /// Where it is.
    pub path: PathBuf,
    /// The format it is used as.
    pub format: String,
    /// Who said so: `declared`, `recorded` in the header above, `recognised` by content.
    pub format_origin: &'static str,
    /// What its first bytes look like; none for no format in particular, as raw data does.
    pub content: Option<&'static str>,
    /// What the guest sees, in bytes.
    pub virtual_size: u64,
    /// What it takes on the disk, in bytes.
    pub allocated: u64,
    /// What lies below, by index; none for nothing.
    pub below: Option<usize>,
    /// Its external data file.
    pub data_file: Option<PathBuf>,
    /// Marks such as `dirty`, `corrupt`, `encrypted`.
    pub flags: Vec<&'static str>,
    /// The user that owns it.
    pub uid: u32,
    /// The group that owns it.
    pub gid: u32,
    /// Its permission bits, in octal digits.
    pub mode: String,
    /// What keeps the user that was asked about from opening it, in one sentence.
    pub barrier: Option<String>,
}

/// One image by itself.
#[derive(Clone, Debug, Serialize)]
pub struct ImageReport {
    /// Where it is.
    pub path: PathBuf,
    /// The format its header was read as.
    pub format: &'static str,
    /// Whether that was told by its content, because none was declared.
    pub recognised: bool,
    /// What its first bytes look like; none for no format in particular.
    pub content: Option<&'static str>,
    /// What the guest sees, in bytes.
    pub virtual_size: u64,
    /// Length of the file in bytes.
    pub length: u64,
    /// What it takes on the disk, in bytes.
    pub allocated: u64,
    /// Unit of allocation in bytes.
    pub cluster_size: Option<u64>,
    /// Variant of the format: `monolithicSparse`, `dynamic` …
    pub subformat: Option<&'static str>,
    /// Level of the format that a reader must know.
    pub compat: Option<&'static str>,
    /// What it says that it stands on.
    pub backing: Option<ReferenceReport>,
    /// Where it says that its data lies.
    pub data_file: Option<ReferenceReport>,
    /// Other files that hold pieces of the disk.
    pub extents: Vec<ReferenceReport>,
    /// How it is encrypted.
    pub encryption: Option<String>,
    /// Features and marks, by name.
    pub features: Vec<String>,
    /// Number of internal snapshots.
    pub internal_snapshots: u32,
    /// The user that owns it.
    pub uid: u32,
    /// The group that owns it.
    pub gid: u32,
    /// Its permission bits, in octal digits.
    pub mode: String,
    /// Why a start would not take it, whatever is below.
    pub refusal: Option<String>,
}

/// A name of something else in an image.
#[derive(Clone, Debug, Serialize)]
pub struct ReferenceReport {
    /// The name as it stands there, without its secrets.
    pub recorded: String,
    /// The format recorded beside it; of an extent, its kind.
    pub format: Option<String>,
    /// The `<source>` element that it describes; none when it describes nothing.
    pub source: Option<String>,
    /// What it carries beside that, by name, or why it describes nothing.
    pub problem: Option<String>,
}

/// The verdict on a chain.
#[derive(Debug)]
pub struct ImageCheck {
    /// The chain, as far as it goes.
    pub chain: ImageChain,
    /// What was found behind the header of each layer, in their order; none where the tables are sound.
    pub tables: Vec<Option<Error>>,
}

impl ImageCheck {
    /// Whether a start would take the chain, and its tables are sound, and nobody is kept from it.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.chain.refusal.is_none()
            && self.tables.iter().all(Option::is_none)
            && self.chain.layers.iter().all(|layer| layer.barrier.is_none())
    }
}

/// The verdict on a file that somebody hands over.
#[derive(Debug, Serialize)]
pub struct ImageProbe {
    /// `safe`, `must-refuse` or `unsupported`.
    pub verdict: &'static str,
    /// What it is: what was declared, or what it looks like.
    pub format: &'static str,
    /// Size of the disk that a guest would see, in bytes, as far as it is known.
    pub virtual_size: Option<u64>,
    /// The other files that it names.
    pub refs: Vec<NamedFileReport>,
    /// Why it is not safe.
    #[serde(skip)]
    pub refusal: Option<Error>,
}

/// Another file that an image names.
#[derive(Clone, Debug, Serialize)]
pub struct NamedFileReport {
    /// What it is to the image: `backing`, `data-file`, `extent`, `parent`.
    pub kind: &'static str,
    /// Its name as it stands there, without its secrets.
    pub target: String,
    /// The format recorded for it, or the kind of the extent.
    pub format: Option<String>,
}

/// An image that was written.
#[derive(Clone, Debug, Serialize)]
pub struct ImageWritten {
    /// Where it is.
    pub path: PathBuf,
    /// Its format.
    pub format: &'static str,
    /// What a guest sees, in bytes.
    pub virtual_size: u64,
    /// What it takes on the disk, in bytes.
    pub allocated: u64,
    /// What it says that it stands on.
    pub backing: Option<String>,
}

/// An image that was resized.
#[derive(Clone, Debug, Serialize)]
pub struct ImageResized {
    /// The image.
    #[serde(flatten)]
    pub image: ImageWritten,
    /// What a guest saw before, in bytes.
    pub virtual_size_before: u64,
}
