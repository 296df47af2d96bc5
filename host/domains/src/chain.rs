//! Chains as the verbs show them.

use std::path::Path;

use hostler_domain::Domain;
use hostler_domain::disk::Disk;
use hostler_domain::storage_source::Location;
use hostler_runtime::{InspectedLayer, Roots, inspect_disk, inspect_image};

use hostler_storage::Translations;

use crate::error::{Error, Kind};
use crate::summary::{DiskChain, LayerSummary};

/// Facts of a layer that are shown as marks, and the value that makes them worth showing.
const MARKS: [(&str, &str); 3] = [("dirty", "yes"), ("corrupt", "yes"), ("encrypted", "yes")];

/// The chain of one disk, as a start would hand it over. Blocks on small reads.
pub(crate) fn of_disk(disk: &Disk, roots: &Roots, volumes: &Translations) -> Result<DiskChain, Error> {
    let layers = match disk.source.location {
        Location::Empty => Vec::new(),
        _ => inspect_disk(disk, roots, volumes)?,
    };
    Ok(DiskChain { target: disk.target.to_string(), layers: layers.iter().map(summary).collect() })
}

/// The chains of all disks of a document that was started just now: what cannot be resolved is left out,
/// for the driver has not asked for it.
pub(crate) fn of_domain(domain: &Domain, roots: &Roots, volumes: &Translations) -> Vec<DiskChain> {
    domain.devices.disks.iter().filter_map(|disk| of_disk(disk, roots, volumes).ok()).collect()
}

/// The chain of one image by itself. Blocks on small reads.
pub(crate) fn of_image(path: &Path, format: Option<&str>, roots: &Roots) -> Result<DiskChain, Error> {
    let path = std::path::absolute(path).and_then(|path| match path.parent() {
        // The directory is the user's to name as they like; the image itself must not be a link.
        Some(directory) => Ok(std::fs::canonicalize(directory)?.join(path.file_name().unwrap_or_default())),
        None => Ok(path),
    });
    let path = path.map_err(|error| {
        let kind = if error.kind() == std::io::ErrorKind::NotFound { Kind::NotFound } else { Kind::Invalid };
        Error::new(kind, "image.missing", "there is no such directory").caused_by(error)
    })?;
    let layers = inspect_image(&path, format, roots)?;
    Ok(DiskChain { target: String::new(), layers: layers.iter().map(summary).collect() })
}

fn summary(layer: &InspectedLayer) -> LayerSummary {
    let fact =
        |wanted: &str| layer.facts.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str());
    let marked =
        MARKS.iter().filter(|(key, value)| fact(key) == Some(value)).map(|(key, _)| (*key).to_owned());
    LayerSummary {
        path: layer.path.clone(),
        format: layer.format.clone(),
        virtual_size: layer.virtual_size_bytes,
        allocated: fact("allocated").and_then(|bytes| bytes.parse().ok()).unwrap_or(0),
        read_only: layer.read_only,
        below: layer.below,
        flags: marked.collect(),
    }
}
