//! Looking at images without a driver: the same resolution as for a start, for whoever shows it.

mod access;
mod facts;
mod probe;

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use hostler_domain::disk::Disk;
use hostler_image::{
    Below, ChainRequest, DeclaredLayer, ErrorKind, FileKind, Format, FormatOrigin, ImageError, ImagePath,
    Layer, Note, OpenFailure, Opened, RECOGNISE_BYTES, recognise,
};
use hostler_storage::Translations;

use crate::bindings::wit::types::Error;
use crate::chain::{self, ImageFile};
use crate::error::RuntimeError;
use crate::roots::Roots;
use crate::volumes;

pub use access::{Barrier, Needs, User, barrier};
pub(crate) use facts::header_of;
pub use facts::{ImageFacts, inspect_header, screen_image};
pub use probe::{Probe, ProbeVerdict, probe_image};

/// One layer of a chain, as far as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectedLayer {
    /// Where it is.
    pub path: PathBuf,
    /// Its format, by its name in documents.
    pub format: String,
    /// Who said so: `declared`, `recorded` in the header above, `assumed`, or `recognised` by content.
    pub format_origin: &'static str,
    /// What the guest sees, in bytes.
    pub virtual_size_bytes: u64,
    /// What it occupies, in bytes.
    pub physical_bytes: u64,
    /// Whether a start opens it for reading only.
    pub read_only: bool,
    /// The layer below, by index; none for nothing.
    pub below: Option<usize>,
    /// Its external data file.
    pub data_file: Option<PathBuf>,
    /// Marks that are worth showing: `dirty`, `corrupt`, `encrypted`.
    pub marks: Vec<&'static str>,
    /// What is known of its file beside that, where it was asked for.
    pub file: Option<FileFacts>,
}

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What a start looks at.
    Chain,
    /// The owner and the first bytes of each file as well.
    Files,
}

/// What is known of a file, and decides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// What its first bytes look like; none for no format in particular.
    pub content: Option<Format>,
    /// `st_uid`.
    pub uid: u32,
    /// `st_gid`.
    pub gid: u32,
    /// The lower twelve bits of `st_mode`.
    pub mode: u32,
}

/// A chain as far as it could be resolved.
#[derive(Debug)]
pub struct InspectedChain {
    /// The layers that were found sound, active layer first.
    pub layers: Vec<InspectedLayer>,
    /// Differences between what is declared and what headers say, each in one sentence.
    pub notes: Vec<String>,
    /// Why it does not go on, if it does not.
    pub refusal: Option<ImageError>,
}

/// Resolves a disk's chain as a start would. Blocks on small reads.
///
/// # Errors
/// What the chain rules refuse, with layer, reference, rule and remedy; not found for an empty drive.
pub fn inspect_disk(
    disk: &Disk,
    roots: &Roots,
    translations: &Translations,
) -> Result<Vec<InspectedLayer>, RuntimeError> {
    let disk = volumes::translated(disk, translations).map_err(answered)?;
    let chain = chain::resolve_files(&disk, roots).map_err(answered)?;
    let shown = |layer| inspected(layer, None, Detail::Chain);
    let layers: Result<_, _> = chain.layers.iter().map(shown).collect();
    layers.map_err(|error| answered(chain::refused(&error, disk.target.as_str())))
}

/// Resolves the chain of one image, whose own format is read from its header unless it is given: whoever asks
/// decides nothing for a guest. Everything below follows the rules of a start. Blocks on small reads.
///
/// # Errors
/// A format that is not known, a path that cannot be one. What the chain rules refuse is in the answer, with the
/// layers above it.
pub fn inspect_image(
    path: &Path,
    given: Option<&str>,
    detail: Detail,
    roots: &Roots,
) -> Result<InspectedChain, ImageError> {
    let declared = ImagePath::new(path)?;
    let (format, guessed) = match given {
        Some(CONTAINER) => (Format::Raw, None),
        Some(name) => (format_named(name)?, None),
        None => (recognised(path, roots), Some("recognised")),
    };
    let top = DeclaredLayer { luks: given == Some(CONTAINER), ..DeclaredLayer::new(declared, Some(format)) };
    let request = ChainRequest { read_only: true, policy: roots.references(), ..ChainRequest::new(top) };
    let (layers, notes, refusal) = match chain::explore(request, roots) {
        Ok(chain) => (chain.layers, chain.notes, None),
        Err(broken) => (broken.layers, Vec::new(), Some(broken.error)),
    };
    let shown = |(index, layer)| inspected(layer, guessed.filter(|_| index == 0), detail);
    Ok(InspectedChain {
        layers: layers.iter().enumerate().map(shown).collect::<Result<_, _>>()?,
        notes: notes.iter().map(Note::to_string).collect(),
        refusal,
    })
}

/// The word for a raw image whose content is a LUKS container, as `image probe` has it.
const CONTAINER: &str = "luks";

/// The format that documents call `name`.
fn format_named(name: &str) -> Result<Format, ImageError> {
    Format::from_xml_name(name).ok_or_else(|| {
        let known: Vec<_> = Format::all().map(Format::xml_name).collect();
        ImageError::new(ErrorKind::FormatUnknown, format!("'{name}' is not the name of an image format"))
            .hint(format!("use one of: {}", known.join(", ")))
    })
}

/// What the image's first bytes look like; raw where they cannot be read, for then the walk says why.
fn recognised(path: &Path, roots: &Roots) -> Format {
    let opened = open_image(path, roots).ok();
    opened.and_then(|image| content(image.file.file()).ok()).flatten().unwrap_or(Format::Raw)
}

/// What the first bytes of an open image look like.
fn content(file: &File) -> io::Result<Option<Format>> {
    let mut start = [0; RECOGNISE_BYTES];
    let length = file.read_at(&mut start, 0)?;
    Ok(start.get(..length).and_then(recognise))
}

fn file_facts(file: &File) -> io::Result<FileFacts> {
    /// The permission bits of `st_mode`, with set-user-ID and its kind.
    const PERMISSIONS: u32 = 0o7777;
    let facts = file.metadata()?;
    let (uid, gid, mode) = (facts.uid(), facts.gid(), facts.mode() & PERMISSIONS);
    Ok(FileFacts { content: content(file)?, uid, gid, mode })
}

/// Opens one image as a document would name it.
fn open_image(path: &Path, roots: &Roots) -> Result<Opened<ImageFile>, ImageError> {
    let opened = chain::open_declared(path, roots).map_err(|failure| not_opened(path, failure))?;
    if opened.kind.can_hold_an_image() { Ok(opened) } else { Err(not_an_image(path, opened.kind)) }
}

fn not_an_image(path: &Path, kind: FileKind) -> ImageError {
    let message = format!("it is {}, which cannot hold an image", kind.describe());
    ImageError::new(ErrorKind::NotAnImage, message).in_layer(0, path)
}

fn not_opened(path: &Path, failure: OpenFailure) -> ImageError {
    let new = |kind, message: &str| ImageError::new(kind, message).in_layer(0, path);
    match failure {
        OpenFailure::Missing => new(ErrorKind::Missing, "the file does not exist"),
        OpenFailure::Escapes => {
            let message = "the file is reached through a link or lies outside what was granted";
            new(ErrorKind::ReferenceDenied, message).hint("name the file itself instead of a link")
        }
        OpenFailure::PermissionDenied(error) => {
            new(ErrorKind::PermissionDenied, "the file may not be opened by this user").caused_by(error)
        }
        OpenFailure::Io(error) => new(ErrorKind::Io, "the file could not be opened").caused_by(error),
    }
}

fn not_read(path: &Path, error: io::Error) -> ImageError {
    ImageError::new(ErrorKind::Io, "the file could not be read").in_layer(0, path).caused_by(error)
}

fn inspected(
    layer: &Layer<ImageFile>,
    origin: Option<&'static str>,
    detail: Detail,
) -> Result<InspectedLayer, ImageError> {
    let features = layer.header.features;
    let marks = [
        (features.dirty, "dirty"),
        (features.corrupt, "corrupt"),
        (layer.header.encryption.is_some(), "encrypted"),
    ];
    let file = match detail {
        Detail::Chain => None,
        Detail::Files => {
            let facts = file_facts(layer.file.file());
            Some(facts.map_err(|error| not_read(layer.path.as_path(), error))?)
        }
    };
    Ok(InspectedLayer {
        path: layer.path.as_path().to_owned(),
        format: layer.format.xml_name().to_owned(),
        format_origin: origin.unwrap_or_else(|| word(layer.format_origin)),
        virtual_size_bytes: layer.header.virtual_size,
        physical_bytes: layer.physical_bytes,
        read_only: layer.read_only,
        below: match layer.below {
            Below::Layer(index) => Some(index),
            Below::Nothing => None,
        },
        data_file: layer.data_file.as_ref().map(|file| file.path.as_path().to_owned()),
        marks: marks.iter().filter(|(set, _)| *set).map(|(_, mark)| *mark).collect(),
        file,
    })
}

fn word(origin: FormatOrigin) -> &'static str {
    match origin {
        FormatOrigin::Declared => "declared",
        FormatOrigin::Recorded => "recorded",
        FormatOrigin::Assumed => "assumed",
    }
}

fn answered(error: Error) -> RuntimeError {
    RuntimeError::from_problem(error.into())
}
