//! An OCI image layout on disk as a package: every blob by its digest, every size known before it is read.
//!
//! What is read is described at <https://github.com/opencontainers/image-spec>, `image-layout.md` and `manifest.md`.
//! A registry over HTTP is not read.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;

use serde::Deserialize;

use crate::error::{Kind, PackageError, shown};
use crate::file::{self, Wanted};
use crate::package::{COMPONENT_MAX_BYTES, Form, Package, SIGNATURES, digest};

/// What kind of artifact a driver is.
pub const ARTIFACT_TYPE: &str = "application/vnd.hostler.driver.v1+wasm";
/// The layer that is the component.
pub const COMPONENT_TYPE: &str = "application/wasm";
/// The layer that has the text of signatures.
pub const SIGNATURES_TYPE: &str = "application/vnd.hostler.driver.signatures.v1";
/// The annotation of the manifest that has it instead.
pub const SIGNATURES_ANNOTATION: &str = "hostler.driver.signatures";
/// The kind of manifest that is read.
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The annotation that names a manifest in the index.
const TAG_ANNOTATION: &str = "org.opencontainers.image.ref.name";
/// The file that makes a folder a layout.
const LAYOUT_FILE: &str = "oci-layout";
/// Largest index or manifest, in bytes.
const JSON_MAX_BYTES: u64 = 256 << 10;
/// Most entries of an index, and layers of a manifest.
const ENTRIES_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutFile {
    image_layout_version: String,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    #[serde(default)]
    artifact_type: Option<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
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
    let manifest = layout.manifest(&chosen)?;
    let (component, signatures) = parts(&manifest).map_err(|why| layout.wrong(why))?;
    let limit = Wanted { what: "driver", limit: COMPONENT_MAX_BYTES };
    let bytes = layout.blob(component, limit)?;
    let signatures = match signatures {
        Some(layer) => Some(layout.blob(layer, SIGNATURES)?),
        None => manifest.annotations.get(SIGNATURES_ANNOTATION).map(|text| text.clone().into_bytes()),
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
        check_count(&index.manifests, "entries of the index").map_err(|why| self.wrong(why))?;
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

    fn manifest(&self, chosen: &Descriptor) -> Result<Manifest, PackageError> {
        let bytes = self.blob(chosen, Wanted { what: "manifest", limit: JSON_MAX_BYTES })?;
        let manifest: Manifest = self.parsed(&bytes, "the manifest")?;
        check_count(&manifest.layers, "layers").map_err(|why| self.wrong(why))?;
        let kind = manifest.artifact_type.as_deref().unwrap_or(&manifest.config.media_type);
        if manifest.schema_version != 2 || kind != ARTIFACT_TYPE {
            let why = format!(
                "the artifact is of type '{}', and a driver is of type '{ARTIFACT_TYPE}'",
                shown(kind)
            );
            return Err(self.wrong(why));
        }
        Ok(manifest)
    }

    /// The blob that a descriptor names, with just this size and digest.
    fn blob(&self, descriptor: &Descriptor, wanted: Wanted) -> Result<Vec<u8>, PackageError> {
        if !hostler_grant::is_digest(&descriptor.digest) {
            let why =
                format!("'{}' is no digest: 'sha256:' and 64 hexadecimal digits", shown(&descriptor.digest));
            return Err(self.wrong(why));
        }
        let Wanted { what, limit } = wanted;
        if descriptor.size > limit {
            let message = format!("the {what} has {} bytes, more than the limit of {limit}", descriptor.size);
            return Err(PackageError::new(Kind::TooLarge, message).within(self.path));
        }
        let name = format!("blobs/{}", descriptor.digest.replacen(':', "/", 1));
        // No more than what the descriptor says is read, and one byte to see that there is more.
        let bytes = file::read_beneath(self.directory, &name, &self.path.join(&name), wanted)?;
        let found = digest(&bytes);
        if bytes.len() as u64 != descriptor.size || found != descriptor.digest {
            let message = format!(
                "the {what} has the digest {found} and {} bytes, and should have {} and {}",
                bytes.len(),
                descriptor.digest,
                descriptor.size
            );
            return Err(PackageError::new(Kind::Digest, message)
                .within(self.path)
                .hint("fetch the layout again; what is there is not what its index names"));
        }
        Ok(bytes)
    }

    fn json<T: for<'a> Deserialize<'a>>(&self, name: &str) -> Result<T, PackageError> {
        let wanted = Wanted { what: "part of an OCI layout", limit: JSON_MAX_BYTES };
        let bytes = file::read_beneath(self.directory, name, &self.path.join(name), wanted)?;
        self.parsed(&bytes, name)
    }

    fn parsed<T: for<'a> Deserialize<'a>>(&self, bytes: &[u8], name: &str) -> Result<T, PackageError> {
        serde_json::from_slice(bytes)
            .map_err(|error| self.wrong(format!("{name} cannot be read: {}", shown(&error.to_string()))))
    }

    fn wrong(&self, why: String) -> PackageError {
        PackageError::new(Kind::Layout, why).within(self.path)
    }
}

/// The component and the signatures among the layers; others, such as a bill of materials, are passed over.
fn parts(manifest: &Manifest) -> Result<(&Descriptor, Option<&Descriptor>), String> {
    let of = |kind: &str| -> Vec<&Descriptor> {
        manifest.layers.iter().filter(|layer| layer.media_type == kind).collect()
    };
    let component = match of(COMPONENT_TYPE).as_slice() {
        [one] => *one,
        found => {
            return Err(format!(
                "{} layers are components ({COMPONENT_TYPE}), and one should be",
                found.len()
            ));
        }
    };
    let annotated = manifest.annotations.contains_key(SIGNATURES_ANNOTATION);
    match of(SIGNATURES_TYPE).as_slice() {
        [] => Ok((component, None)),
        [one] if !annotated => Ok((component, Some(*one))),
        _ => Err("there are several texts of signatures, and one may be".to_owned()),
    }
}

fn check_count(list: &[Descriptor], what: &str) -> Result<(), String> {
    if list.len() <= ENTRIES_MAX {
        return Ok(());
    }
    Err(format!("there are {} {what}; the limit is {ENTRIES_MAX}", list.len()))
}

#[cfg(test)]
mod tests;
