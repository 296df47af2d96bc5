//! From a disk of the document to the layers that a driver sees: resolved and opened, or only described.

#[cfg(test)]
mod race;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_domain::disk::Disk;
use hostler_domain::storage_source::{Backing, Location, StartupPolicy, StorageSource};
use hostler_image::{
    Access, BrokenChain, Chain, ChainRequest, DeclaredLayer, ErrorKind, FileKind, Format, Header, ImageError,
    ImagePath, OpenFailure, OpenRequest, Opened as OpenedImage, Opener, Tail, Via, explore_chain,
};
use hostler_launch::Role;
use hostler_storage::opened_image;

use crate::answer::{self, yes_no};
use crate::bindings::wit::storage::{Below, Layer};
use crate::bindings::wit::types::{Error, Fact};
use crate::encryption;
use crate::interfaces::storage::Layers;
use crate::opened::Opened;
use crate::roots::{Directories, Mark, Roots, open_beneath};

/// Resolves a disk's chain and opens every layer of it.
///
/// # Errors
/// What the chain rules refuse, with layer, reference, rule and remedy; `not-found` for an empty drive.
pub(crate) fn resolve(disk: &Disk, roots: &Roots) -> Result<Layers, Error> {
    let target = disk.target.as_str();
    let chain = walk(request(disk, roots)?, roots).map_err(|error| {
        let missing = error.kind() == ErrorKind::Missing && error.layer() == Some(0);
        if missing && may_be_missing(disk) { empty(target) } else { refused(&error, target) }
    })?;
    encryption::agree(disk, &chain)?;
    let mut opened = opened_layers(chain);
    for (layer, source) in opened.layers.iter_mut().zip(disk.source.layers()) {
        layer.facts.extend(slice_facts(source));
    }
    Ok(opened)
}

/// The files of a disk's chain, each with what its header says.
///
/// # Errors
/// As [`resolve`].
pub(crate) fn resolve_files(disk: &Disk, roots: &Roots) -> Result<Chain<ImageFile>, Error> {
    walk(request(disk, roots)?, roots).map_err(|error| refused(&error, disk.target.as_str()))
}

/// Walks a chain and opens every layer of it beneath what is granted.
fn walk(request: ChainRequest, roots: &Roots) -> Result<Chain<ImageFile>, ImageError> {
    let chain = explore(request, roots).map_err(|broken| broken.error)?;
    for note in &chain.notes {
        tracing::warn!("{note}");
    }
    Ok(chain)
}

/// The same, for whoever shows how far it came.
///
/// # Errors
/// What the chain rules refuse, with the layers above it.
pub(crate) fn explore(
    request: ChainRequest,
    roots: &Roots,
) -> Result<Chain<ImageFile>, BrokenChain<ImageFile>> {
    explore_chain(&mut Files { roots, directories: Directories::default() }, request)
}

fn may_be_missing(disk: &Disk) -> bool {
    disk.is_removable_medium() && disk.source.startup_policy == Some(StartupPolicy::Optional)
}

fn empty(target: &str) -> Error {
    let message = format!("the drive '{target}' has no medium");
    Error::NotFound(answer::problem("storage.drive-empty", message).detail("disk", target))
}

fn request(disk: &Disk, roots: &Roots) -> Result<ChainRequest, Error> {
    let target = disk.target.as_str();
    let mut declared = disk.source.layers().map(|source| declared(source, target));
    let top = declared.next().unwrap_or_else(|| Err(empty(target)))?;
    let below = declared.collect::<Result<Vec<_>, _>>()?;
    let tail = match disk.source.layers().last().map(|source| &source.backing) {
        Some(Backing::Nothing) => Tail::Nothing,
        _ => Tail::FollowHeaders,
    };
    Ok(ChainRequest {
        below,
        tail,
        read_only: disk.readonly,
        policy: roots.references(),
        ..ChainRequest::new(top)
    })
}

fn declared(source: &StorageSource, target: &str) -> Result<DeclaredLayer, Error> {
    let path = match &source.location {
        Location::File(path) | Location::Block(path) => path,
        Location::Empty => return Err(empty(target)),
        other => return Err(unsupported(target, &format!("storage of kind '{}'", kind(other)))),
    };
    if source.fd_group.is_some() {
        return Err(unsupported(target, "a group of descriptors as source"));
    }
    let format = match source.format.as_deref() {
        None => None,
        Some(name) => Some(
            Format::from_xml_name(name).ok_or_else(|| unsupported(target, &format!("format '{name}'")))?,
        ),
    };
    if source.slice.is_some() && format.is_some_and(|format| format != Format::Raw) {
        return Err(unsupported(target, "a slice of an image that is not raw"));
    }
    let path = ImagePath::new(path.as_str()).map_err(|error| refused(&error, target))?;
    let luks = is_container(source, format, target)?;
    Ok(DeclaredLayer { luks, ..DeclaredLayer::new(path, format) })
}

/// Whether a source is declared to be a LUKS container around raw bytes. Other formats say in their header how they are
/// encrypted.
fn is_container(source: &StorageSource, format: Option<Format>, target: &str) -> Result<bool, Error> {
    let Some(encryption) = &source.encryption else { return Ok(false) };
    if format.is_some_and(|format| format != Format::Raw) {
        return Ok(false);
    }
    if source.slice.is_some() {
        return Err(unsupported(target, "a slice of an encrypted image"));
    }
    match encryption.format.as_str() {
        "luks" => Ok(true),
        other => Err(unsupported(target, &format!("encryption of format '{other}' of a raw image"))),
    }
}

pub(crate) fn unsupported(target: &str, what: &str) -> Error {
    let message = format!("disk '{target}' needs {what}, which this host does not offer");
    Error::Unsupported(answer::problem("storage.unsupported", message).detail("disk", target))
}

/// What the driver, and through it the user, is told about a refused image.
pub(crate) fn refused(error: &ImageError, target: &str) -> Error {
    let mut problem = answer::host(error.code(), error).detail("disk", target);
    problem.hints = error
        .hints()
        .iter()
        .map(|hint| match &hint.command {
            Some(command) => format!("{}: {command}", hint.text),
            None => hint.text.clone(),
        })
        .collect();
    let layer = error.layer().map(|layer| answer::fact("layer", layer.to_string()));
    let path = error.path().map(|path| answer::fact("path", path.display().to_string()));
    let reference = error.reference().map(|reference| answer::fact("reference", reference));
    let offset = error.offset().map(|offset| answer::fact("offset", offset.to_string()));
    problem.details.extend([layer, path, reference, offset].into_iter().flatten());
    match error.kind() {
        ErrorKind::Missing => Error::NotFound(problem),
        ErrorKind::PermissionDenied | ErrorKind::ReferenceDenied => Error::Denied(problem),
        ErrorKind::FormatUnsupported | ErrorKind::Unsupported | ErrorKind::ReferenceUnsupported => {
            Error::Unsupported(problem)
        }
        ErrorKind::Io => Error::Host(problem),
        _ => Error::Invalid(problem),
    }
}

/// The files of a walk, opened beneath what is granted.
struct Files<'a> {
    roots: &'a Roots,
    directories: Directories,
}

/// An open image and whether it may be written.
#[derive(Debug)]
pub(crate) struct ImageFile {
    fd: File,
    writable: bool,
}

impl ImageFile {
    /// The open file.
    pub(crate) fn file(&self) -> &File {
        &self.fd
    }
}

impl Opener for Files<'_> {
    type File = ImageFile;

    fn open(&mut self, request: &OpenRequest) -> Result<OpenedImage<ImageFile>, OpenFailure> {
        let mark = match request.access {
            Access::ReadOnly => Mark::ReadOnly,
            Access::ReadWrite => Mark::ReadWrite,
        };
        let fd = match &request.via {
            Via::Declared => {
                self.roots.open_declared_from(&mut self.directories, request.path.as_path(), mark)?
            }
            Via::Granted(grant) => {
                open_beneath(&mut self.directories, &grant.directory, &grant.relative, mark)?
            }
        };
        Ok(facts(fd, mark)?)
    }

    fn read_at(&mut self, file: &ImageFile, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        file.fd.read_at(buffer, offset)
    }
}

/// Opens one file for reading, as a document would name it.
///
/// # Errors
/// Why it could not be opened.
pub(crate) fn open_declared(path: &Path, roots: &Roots) -> Result<OpenedImage<ImageFile>, OpenFailure> {
    Ok(facts(roots.open_declared(path, Mark::ReadOnly)?, Mark::ReadOnly)?)
}

/// What a walk is told about a file that was opened for reading by other means.
///
/// # Errors
/// What the operating system says.
pub(crate) fn opened(file: File) -> io::Result<OpenedImage<ImageFile>> {
    facts(file.into(), Mark::ReadOnly)
}

fn facts(fd: OwnedFd, mark: Mark) -> io::Result<OpenedImage<ImageFile>> {
    let OpenedImage { file, identity, kind, length, physical_bytes } = opened_image(File::from(fd))?;
    let file = ImageFile { fd: file, writable: mark == Mark::ReadWrite };
    Ok(OpenedImage { file, identity, kind, length, physical_bytes })
}

fn opened_layers(chain: Chain<ImageFile>) -> Layers {
    let (mut layers, mut images, mut data_files) = (Vec::new(), Vec::new(), Vec::new());
    for layer in chain.layers {
        let index = layers.len();
        layers.push(Layer {
            format: layer.format.xml_name().to_owned(),
            kind: kind_of(layer.kind).to_owned(),
            description: layer.path.to_string(),
            virtual_size: layer.header.virtual_size,
            read_only: layer.read_only,
            below: match layer.below {
                hostler_image::Below::Layer(below) => Below::Layer(index32(below)),
                hostler_image::Below::Nothing => Below::Nothing,
            },
            data_file: None,
            facts: layer_facts(&layer.header, layer.physical_bytes),
        });
        let data_apart = layer.header.data_file.is_some();
        images.push(image(layer.file, layer.format, data_apart, layer.path.as_path().to_owned()));
        data_files.extend(layer.data_file.map(|file| (index, file)));
    }
    // Data files follow the chain itself, so that references only go to higher indexes.
    for (owner, file) in data_files {
        let place = index32(layers.len());
        let read_only = layers.get(owner).is_some_and(|layer: &Layer| layer.read_only);
        if let Some(layer) = layers.get_mut(owner) {
            layer.data_file = Some(place);
        }
        layers.push(Layer {
            format: Format::Raw.xml_name().to_owned(),
            kind: kind_of(file.kind).to_owned(),
            description: file.path.to_string(),
            virtual_size: file.length,
            read_only,
            below: Below::Nothing,
            data_file: None,
            facts: Vec::new(),
        });
        images.push(image(file.file, Format::Raw, false, file.path.as_path().to_owned()));
    }
    Layers { layers, images }
}

fn image(file: ImageFile, format: Format, data_apart: bool, path: PathBuf) -> Arc<Opened> {
    let (fd, writable) = (Some(file.fd.into()), file.writable);
    Arc::new(Opened { fd, writable, role: Role::Image, format: handle_format(format), data_apart, path })
}

/// The word for a format that a handle carries. What QEMU has no driver for is plain bytes to it.
fn handle_format(format: Format) -> &'static str {
    format.qemu_name().unwrap_or("raw")
}

/// An index of a list that the walk limits to 200 layers and as many data files.
fn index32(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn kind_of(kind: FileKind) -> &'static str {
    if kind == FileKind::BlockDevice { "block" } else { "file" }
}

fn layer_facts(header: &Header, physical_bytes: u64) -> Vec<Fact> {
    let mut facts = vec![answer::fact("allocated", physical_bytes.to_string())];
    facts.extend(header.cluster_size.map(|size| answer::fact("cluster-size", size.to_string())));
    facts.extend(header.encryption.as_ref().map(|encryption| answer::fact("encryption", encryption.name())));
    facts.extend(
        (header.features.version > 0).then(|| answer::fact("version", header.features.version.to_string())),
    );
    facts.extend(header.features.dirty.then(|| answer::fact("dirty", yes_no(true))));
    facts
}

/// The chain as the document alone tells it: nothing is opened, so sizes are 0 and the end may be unknown.
pub(crate) fn describe(disk: &Disk) -> Result<Layers, Error> {
    if disk.source.location == Location::Empty {
        return Err(empty(disk.target.as_str()));
    }
    let (mut layers, mut images) = (Vec::new(), Vec::new());
    for (index, source) in disk.source.layers().enumerate() {
        let (path, read_only) = (path(&source.location), disk.readonly || index > 0);
        let format = source.format.as_deref().unwrap_or("raw");
        layers.push(Layer {
            format: format.to_owned(),
            kind: kind(&source.location).to_owned(),
            description: path.display().to_string(),
            virtual_size: 0,
            read_only,
            below: match source.backing {
                Backing::Layer(_) => Below::Layer(index32(index + 1)),
                Backing::Nothing => Below::Nothing,
                // Raw bytes name nothing.
                Backing::Unknown if format == "raw" => Below::Nothing,
                Backing::Unknown => Below::Unexamined,
            },
            data_file: None,
            facts: slice_facts(source),
        });
        let format = Format::from_xml_name(format).map_or("raw", handle_format);
        let (fd, writable, role) = (None, !read_only, Role::Image);
        images.push(Arc::new(Opened { fd, writable, role, format, data_apart: false, path }));
    }
    Ok(Layers { layers, images })
}

fn slice_facts(source: &StorageSource) -> Vec<Fact> {
    let Some(slice) = &source.slice else { return Vec::new() };
    vec![
        answer::fact("slice-offset", slice.offset.to_string()),
        answer::fact("slice-size", slice.size.to_string()),
    ]
}

fn path(location: &Location) -> PathBuf {
    match location {
        Location::File(path) | Location::Block(path) | Location::Dir(path) | Location::VhostVdpa(path) => {
            path.into()
        }
        Location::VhostUser { path, .. } => path.into(),
        Location::Volume { pool, volume, .. } => format!("{pool}/{volume}").into(),
        Location::Empty | Location::Network(_) | Location::Nvme { .. } => PathBuf::new(),
    }
}

/// The document's word for a kind of location.
fn kind(location: &Location) -> &'static str {
    match location {
        Location::Empty => "empty",
        Location::File(_) => "file",
        Location::Block(_) => "block",
        Location::Dir(_) => "dir",
        Location::Network(_) => "network",
        Location::Volume { .. } => "volume",
        Location::Nvme { .. } => "nvme",
        Location::VhostUser { .. } => "vhostuser",
        Location::VhostVdpa(_) => "vhostvdpa",
    }
}
