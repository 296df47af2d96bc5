//! The chain of a disk with its files open, for verbs that give a hypervisor other descriptors for them.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use hostler_domain::disk::Disk;
use hostler_image::{Below, Chain, ImagePath, relative_name};
use hostler_launch::FileId;
use hostler_storage::Translations;
use rustix::fs::{Mode, OFlags, open};

use crate::answer;
use crate::bindings::wit::types::Error;
use crate::chain::{self, ImageFile};
use crate::error::{RuntimeError, RuntimeErrorKind};
use crate::roots::Roots;
use crate::volumes;

/// A disk's chain as a start would resolve it. The files are those whose headers were checked.
pub struct OpenChain {
    chain: Chain<ImageFile>,
    layers: Vec<OpenLayer>,
}

/// One layer, from the active one down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenLayer {
    /// Where it is.
    pub path: PathBuf,
    /// Its format, by its name in documents.
    pub format: String,
    /// Whether it is a file; else it is a block device.
    pub is_file: bool,
    /// Whether its data is in another file.
    pub data_apart: bool,
    /// Which file it is.
    pub file: FileId,
    /// What it records for the layer below.
    pub recorded: Option<String>,
    /// What the guest sees, in bytes.
    pub virtual_size: u64,
}

/// Resolves a disk's chain and opens its files. Blocks on small reads.
///
/// # Errors
/// What the chain rules refuse, with layer, reference, rule and remedy; not found for an empty drive.
pub fn open_chain(
    disk: &Disk,
    roots: &Roots,
    translations: &Translations,
) -> Result<OpenChain, RuntimeError> {
    let answered = |error: Error| RuntimeError::from_problem(error.into());
    let disk = volumes::translated(disk, translations).map_err(answered)?;
    let chain = chain::resolve_files(&disk, roots).map_err(answered)?;
    let mut layers = Vec::new();
    let mut next = Some(0);
    while let Some(layer) = next.and_then(|index: usize| chain.layers.get(index)) {
        layers.push(OpenLayer {
            path: layer.path.as_path().to_owned(),
            format: layer.format.xml_name().to_owned(),
            is_file: layer.kind != hostler_image::FileKind::BlockDevice,
            data_apart: layer.data_file.is_some() || !layer.header.extents.is_empty(),
            file: FileId::of(layer.file.file()).map_err(|error| unopened(layer.path.as_path(), error))?,
            recorded: layer.header.backing.as_ref().map(|record| record.name.clone()),
            virtual_size: layer.header.virtual_size,
        });
        next = match layer.below {
            Below::Layer(below) => Some(below),
            Below::Nothing => None,
        };
    }
    Ok(OpenChain { chain, layers })
}

impl OpenChain {
    /// The layers, from the active one down.
    #[must_use]
    pub fn layers(&self) -> &[OpenLayer] {
        &self.layers
    }

    /// Fresh descriptors for the file of a layer: for reading, and before that for reading and writing if wanted. They
    /// share nothing with any other, locks least of all.
    ///
    /// # Errors
    /// What the operating system says; a layer that there is not.
    pub fn descriptors(&self, index: usize, writable: bool) -> Result<Vec<OwnedFd>, RuntimeError> {
        let layer = self.chain.layers.get(index).ok_or_else(|| no_layer(index))?;
        fresh(&layer.file, writable).map_err(|error| unopened(layer.path.as_path(), error))
    }

    /// The files that the guest writes to, each with fresh descriptors as [`Self::descriptors`] gives them.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn written(&self) -> Result<Vec<(FileId, Vec<OwnedFd>)>, RuntimeError> {
        let Some(active) = self.chain.layers.first().filter(|layer| !layer.read_only) else {
            return Ok(Vec::new());
        };
        let apart = active.data_file.as_ref().map(|apart| &apart.file);
        [Some(&active.file), apart]
            .into_iter()
            .flatten()
            .map(|file| Ok((FileId::of(file.file())?, fresh(file, true)?)))
            .collect::<io::Result<_>>()
            .map_err(|error| unopened(active.path.as_path(), error))
    }

    /// What the header of the layer `above` is to record for the layer `base` further down: relative where every name on
    /// the way is, else the full path.
    ///
    /// # Errors
    /// `denied` where a start would refuse that name; a layer that there is not.
    pub fn reference(&self, above: usize, base: usize, roots: &Roots) -> Result<String, RuntimeError> {
        let between = self.layers.get(above..base).unwrap_or_default();
        let relative = |layer: &OpenLayer| layer.recorded.clone().filter(|name| is_relative(name));
        let recorded: Vec<_> = between.iter().map(relative).collect();
        let named = relative_name(recorded.iter().map(Option::as_deref));
        let (Some(overlay), Some(target)) = (self.chain.layers.get(above), self.chain.layers.get(base))
        else {
            return Err(no_layer(base));
        };
        let target: &ImagePath = &target.path;
        if roots.references().judge(&overlay.path, target).is_none() {
            let message = format!("a start would refuse '{}': it may not name '{target}'", overlay.path);
            let problem = answer::problem("image.reference-denied", message)
                .hint(format!("an image may name {}", roots.references().describe()));
            return Err(RuntimeError::from_problem(Error::Denied(problem).into()));
        }
        Ok(named.unwrap_or_else(|| target.to_string()))
    }
}

fn fresh(file: &ImageFile, writable: bool) -> io::Result<Vec<OwnedFd>> {
    let name = format!("/proc/self/fd/{}", file.file().as_raw_fd());
    [OFlags::RDWR, OFlags::RDONLY]
        .into_iter()
        .filter(|mode| writable || *mode == OFlags::RDONLY)
        .map(|mode| Ok(open(name.as_str(), mode | OFlags::CLOEXEC, Mode::empty())?))
        .collect()
}

/// Whether a recorded name is that of a file, seen from the directory of who records it.
fn is_relative(name: &str) -> bool {
    let first = name.split('/').next().unwrap_or_default();
    !name.is_empty() && !name.starts_with('/') && !first.contains(':')
}

fn no_layer(index: usize) -> RuntimeError {
    RuntimeError::new(RuntimeErrorKind::Io, format!("the chain has no layer {index}"))
}

fn unopened(path: &Path, error: io::Error) -> RuntimeError {
    RuntimeError::new(RuntimeErrorKind::Io, format!("cannot open '{}'", path.display())).caused_by(error)
}
