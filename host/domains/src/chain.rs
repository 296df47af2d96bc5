//! Chains as the verbs show them.

use std::path::{Path, PathBuf};

use hostler_domain::Domain;
use hostler_domain::disk::Disk;
use hostler_domain::storage_source::Location;
use hostler_image::Format;
use hostler_runtime::{Barrier, InspectedLayer, Needs, Roots, User, barrier, inspect_disk};
use hostler_storage::Translations;

use crate::error::{Error, Kind};
use crate::image_summary::ImageLayer;
use crate::summary::{DiskChain, LayerSummary};

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

/// The full path of an image that was named on a command line. The directory is the user's to name as they like,
/// links included; the image itself must not be a link.
pub(crate) fn full_path(path: &Path) -> Result<PathBuf, Error> {
    let full = std::path::absolute(path).and_then(|path| match (path.parent(), path.file_name()) {
        (Some(directory), Some(name)) => Ok(std::fs::canonicalize(directory)?.join(name)),
        _ => Ok(path),
    });
    full.map_err(|error| no_path(path, error))
}

/// The refusal of a path whose directory is not there.
pub(crate) fn no_path(path: &Path, error: std::io::Error) -> Error {
    let kind = if error.kind() == std::io::ErrorKind::NotFound { Kind::NotFound } else { Kind::Invalid };
    let directory = path.parent().unwrap_or(path).display();
    Error::new(kind, "image.missing", format!("there is no directory '{directory}'")).caused_by(error)
}

/// One layer as the verbs about images show it. `user` is whose way to it is looked at.
pub(crate) fn image_layer(layer: &InspectedLayer, user: Option<&User>) -> Result<ImageLayer, Error> {
    let file = layer.file;
    let barrier = user.map(|user| way_to(layer, user)).transpose()?.flatten();
    Ok(ImageLayer {
        path: layer.path.clone(),
        format: layer.format.clone(),
        format_origin: layer.format_origin,
        content: file.and_then(|file| file.content).map(Format::xml_name),
        virtual_size: layer.virtual_size_bytes,
        allocated: layer.physical_bytes,
        below: layer.below,
        data_file: layer.data_file.clone(),
        flags: layer.marks.clone(),
        uid: file.map_or(0, |file| file.uid),
        gid: file.map_or(0, |file| file.gid),
        mode: file.map_or_else(String::new, |file| format!("{:04o}", file.mode)),
        barrier,
    })
}

/// What keeps `user` from a layer and from its data file.
fn way_to(layer: &InspectedLayer, user: &User) -> Result<Option<String>, Error> {
    // A guest writes to its active layer; this one is looked at alone, so nobody has said that it is read-only.
    let needs = if layer.format_origin == "recorded" { Needs::Read } else { Needs::ReadWrite };
    for path in std::iter::once(&layer.path).chain(&layer.data_file) {
        let found = barrier(path, needs, user).map_err(|error| {
            let message = format!("the way to '{}' cannot be looked at", path.display());
            Error::new(Kind::Host, "image.way", message).caused_by(error)
        })?;
        if let Some(found) = found {
            return Ok(Some(sentence(&found, user)));
        }
    }
    Ok(None)
}

fn sentence(barrier: &Barrier, user: &User) -> String {
    let Barrier { path, lacks, uid, gid, mode, has_access_list } = barrier;
    let list = if *has_access_list { ", and has an access control list that may say otherwise" } else { "" };
    format!(
        "user {} may not {lacks} '{}', which belongs to {uid}:{gid} with mode {mode:04o}{list}",
        user.uid,
        path.display()
    )
}

fn summary(layer: &InspectedLayer) -> LayerSummary {
    LayerSummary {
        path: layer.path.clone(),
        format: layer.format.clone(),
        virtual_size: layer.virtual_size_bytes,
        allocated: layer.physical_bytes,
        read_only: layer.read_only,
        below: layer.below,
        flags: layer.marks.iter().map(|mark| (*mark).to_owned()).collect(),
    }
}
