//! Looking at chains without a driver: the same resolution as for a start, for whoever shows it.

use std::path::{Path, PathBuf};

use hostler_domain::disk::Disk;
use hostler_image::{ChainRequest, DeclaredLayer, Format, ImageError, ImagePath};

use crate::bindings::wit::storage::{Below, Layer};
use crate::bindings::wit::types::Error;
use crate::chain;
use crate::error::RuntimeError;
use crate::interfaces::storage::Layers;
use crate::roots::{Mark, Roots};

/// One layer of a chain, as far as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectedLayer {
    /// Where it is.
    pub path: PathBuf,
    /// Its format, by its name in documents.
    pub format: String,
    /// What the guest sees, in bytes.
    pub virtual_size_bytes: u64,
    /// Whether a start opens it for reading only.
    pub read_only: bool,
    /// The layer below, by index; none for nothing.
    pub below: Option<usize>,
    /// What else is known, as (key, value): `allocated`, `cluster-size`, `dirty`.
    pub facts: Vec<(String, String)>,
}

/// Resolves a disk's chain as a start would. Blocks on small reads.
///
/// # Errors
/// What the chain rules refuse, with layer, reference, rule and remedy; not found for an empty drive.
pub fn inspect_disk(disk: &Disk, roots: &Roots) -> Result<Vec<InspectedLayer>, RuntimeError> {
    chain::resolve(disk, roots).map(inspected).map_err(answered)
}

/// Resolves the chain of one image, whose own format is read from its header unless it is given: whoever asks
/// decides nothing for a guest. Everything below follows the rules of a start. Blocks on small reads.
///
/// # Errors
/// As [`inspect_disk`].
pub fn inspect_image(
    path: &Path,
    format: Option<&str>,
    roots: &Roots,
) -> Result<Vec<InspectedLayer>, RuntimeError> {
    let shown = path.display().to_string();
    let refused = |error: ImageError| answered(chain::refused(&error, &shown));
    let declared = ImagePath::new(path).map_err(refused)?;
    let format = match format {
        Some(name) => Format::from_xml_name(name)
            .ok_or_else(|| answered(chain::unsupported(&shown, &format!("format '{name}'"))))?,
        None => recognised(path, roots),
    };
    let request = ChainRequest {
        read_only: true,
        policy: roots.references(),
        ..ChainRequest::new(DeclaredLayer::new(declared, Some(format)))
    };
    chain::walk(request, roots).map(inspected).map_err(refused)
}

/// What the image looks like; raw where it cannot be read, for then the walk says why.
fn recognised(path: &Path, roots: &Roots) -> Format {
    let opened = roots.open_declared(path, Mark::ReadOnly).ok();
    let format = opened.and_then(|fd| chain::looks_like(fd).ok().flatten());
    format.map_or(Format::Raw, Format::opened_as)
}

fn inspected(layers: Layers) -> Vec<InspectedLayer> {
    let opened = layers.images.iter().map(|image| image.path.clone());
    layers.layers.into_iter().zip(opened).map(|(layer, path)| one(layer, path)).collect()
}

fn one(layer: Layer, path: PathBuf) -> InspectedLayer {
    InspectedLayer {
        path,
        format: layer.format,
        virtual_size_bytes: layer.virtual_size,
        read_only: layer.read_only,
        below: match layer.below {
            Below::Layer(index) => usize::try_from(index).ok(),
            Below::Nothing | Below::Unexamined => None,
        },
        facts: layer.facts.into_iter().map(|fact| (fact.key, fact.value)).collect(),
    }
}

fn answered(error: Error) -> RuntimeError {
    RuntimeError::from_problem(error.into())
}
