//! An OCI image layout on disk as a package: every blob by its digest, every size known before it is read.
//!
//! What is read is described at <https://github.com/opencontainers/image-spec>, `image-layout.md`.

use std::os::fd::OwnedFd;
use std::path::Path;

use serde::Deserialize;

use crate::artifact::{
    self, ARTIFACT_TYPE, COMPONENT_LAYER, Descriptor, JSON_MAX_BYTES, MANIFEST_BLOB, MANIFEST_TYPE, Manifest,
    SIGNATURES_LAYER, SignaturesPart,
};
use crate::error::{Kind, PackageError, shown};
use crate::file::{self, Wanted};
use crate::package::{Form, Package};

/// The annotation that names a manifest in the index.
const TAG_ANNOTATION: &str = "org.opencontainers.image.ref.name";
/// The file that makes a folder a layout.
const LAYOUT_FILE: &str = "oci-layout";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutFile {
    image_layout_version: String,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

/// Whether a folder says that it is a layout.
pub(crate) fn is_layout(directory: &OwnedFd) -> bool {
    rustix::fs::statat(directory, LAYOUT_FILE, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Reads the one driver in a layout, or the one with this tag.
pub(crate) fn open(directory: &OwnedFd, path: &Path, tag: Option<&str>) -> Result<Package, PackageError> {
    let layout = Layout { directory, path };
    layout.check_version()?;
    let chosen = layout.choose(tag)?;
    let manifest =
        Manifest::parse(&layout.blob(&chosen, MANIFEST_BLOB)?).map_err(|error| error.within(path))?;
    let parts = manifest.parts().map_err(|error| error.within(path))?;
    let bytes = layout.blob(parts.component, COMPONENT_LAYER)?;
    let signatures = match parts.signatures {
        SignaturesPart::None => None,
        SignaturesPart::Layer(layer) => Some(layout.blob(layer, SIGNATURES_LAYER)?),
        SignaturesPart::Annotation(text) => Some(text.as_bytes().to_vec()),
    };
    Ok(Package::new(bytes, signatures, Form::OciLayout, path))
}

struct Layout<'a> {
    directory: &'a OwnedFd,
    path: &'a Path,
}

impl Layout<'_> {
    fn check_version(&self) -> Result<(), PackageError> {
        let layout: LayoutFile = self.json(LAYOUT_FILE)?;
        if layout.image_layout_version.starts_with("1.") {
            return Ok(());
        }
        let found = shown(&layout.image_layout_version);
        Err(self.wrong(format!("version '{found}' of the layout is not known, and 1.0.0 is")))
    }

    /// The entry of the index that is a driver, and has the tag if one is wanted.
    fn choose(&self, tag: Option<&str>) -> Result<Descriptor, PackageError> {
        let index: Index = self.json("index.json")?;
        artifact::check_count(&index.manifests, "entries of the index")
            .map_err(|error| error.within(self.path))?;
        let may_be_driver = |entry: &&Descriptor| {
            entry.media_type == MANIFEST_TYPE
                && entry.artifact_type.as_deref().is_none_or(|found| found == ARTIFACT_TYPE)
        };
        let tag_of = |entry: &Descriptor| entry.annotations.get(TAG_ANNOTATION).cloned();
        let drivers: Vec<_> = index.manifests.iter().filter(may_be_driver).collect();
        let wanted = |entry: &&&Descriptor| tag.is_none_or(|tag| tag_of(entry).as_deref() == Some(tag));
        let found: Vec<_> = drivers.iter().filter(wanted).collect();
        match found.as_slice() {
            [one] => Ok((**one).clone()),
            _ => {
                let tags: Vec<_> = drivers.iter().filter_map(|entry| tag_of(entry)).collect();
                let tags = if tags.is_empty() { "none".to_owned() } else { shown(&tags.join(", ")) };
                let why = match (tag, found.len()) {
                    (None, 0) => format!("no manifest in the index is a driver ({ARTIFACT_TYPE})"),
                    (Some(tag), 0) => format!("no driver in the index has the tag '{}'", shown(tag)),
                    (_, several) => format!("{several} manifests in the index may be meant"),
                };
                Err(self.wrong(why).hint(format!("choose one with --tag; tags there are: {tags}")))
            }
        }
    }

    /// The blob that a descriptor names, with just this size and digest.
    fn blob(&self, descriptor: &Descriptor, wanted: Wanted) -> Result<Vec<u8>, PackageError> {
        descriptor.check(wanted).map_err(|error| error.within(self.path))?;
        let name = format!("blobs/{}", descriptor.digest.replacen(':', "/", 1));
        // No more than what the descriptor says is read, and one byte to see that there is more.
        let bytes = file::read_beneath(self.directory, &name, &self.path.join(&name), wanted)?;
        descriptor.verify(&bytes, wanted.what).map_err(|error| {
            error.within(self.path).hint("fetch the layout again; what is there is not what its index names")
        })?;
        Ok(bytes)
    }

    fn json<T: for<'a> Deserialize<'a>>(&self, name: &str) -> Result<T, PackageError> {
        let wanted = Wanted { what: "part of an OCI layout", limit: JSON_MAX_BYTES };
        let bytes = file::read_beneath(self.directory, name, &self.path.join(name), wanted)?;
        artifact::parsed(&bytes, name).map_err(|error| error.within(self.path))
    }

    fn wrong(&self, why: String) -> PackageError {
        PackageError::new(Kind::Layout, why).within(self.path)
    }
}

#[cfg(test)]
mod tests;
