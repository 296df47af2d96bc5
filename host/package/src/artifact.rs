//! A driver as an OCI artifact: its manifest, and which of its blobs are what. Where they lie is for others to know.
//!
//! What is read is described at <https://github.com/opencontainers/image-spec>, `manifest.md` and `descriptor.md`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Kind, PackageError, shown};
use crate::file::Wanted;
use crate::package::{COMPONENT_MAX_BYTES, SIGNATURES, digest};

/// What kind of artifact a driver is.
pub const ARTIFACT_TYPE: &str = "application/vnd.hostler.driver.v1+wasm";
/// The layer that is the component.
pub const COMPONENT_TYPE: &str = "application/wasm";
/// The layer that has the text of signatures.
pub const SIGNATURES_TYPE: &str = "application/vnd.hostler.driver.signatures.v1";
/// The annotation of the manifest that has it instead.
pub const SIGNATURES_ANNOTATION: &str = "hostler.driver.signatures";
/// The kind of manifest that is read.
pub(crate) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// Largest index or manifest, in bytes.
pub(crate) const JSON_MAX_BYTES: u64 = 256 << 10;
/// Most entries of an index, and layers of a manifest.
pub(crate) const ENTRIES_MAX: usize = 64;

/// What is said about a blob by what names it.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) artifact_type: Option<String>,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// The manifest of an artifact, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    schema_version: u32,
    #[serde(default)]
    artifact_type: Option<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// The blobs of a driver.
pub(crate) struct Parts<'a> {
    pub(crate) component: &'a Descriptor,
    pub(crate) signatures: SignaturesPart<'a>,
}

/// Where the text of signatures is.
pub(crate) enum SignaturesPart<'a> {
    None,
    Layer(&'a Descriptor),
    Annotation(&'a str),
}

/// How a component is read out of an artifact.
pub(crate) const COMPONENT_LAYER: Wanted = Wanted { what: "driver", limit: COMPONENT_MAX_BYTES };
/// How a text of signatures is.
pub(crate) const SIGNATURES_LAYER: Wanted = SIGNATURES;
/// How a manifest is.
pub(crate) const MANIFEST_BLOB: Wanted = Wanted { what: "manifest", limit: JSON_MAX_BYTES };

impl Manifest {
    /// Reads a manifest that has to be a driver's.
    ///
    /// # Errors
    /// [`Kind::Layout`] with what it is instead.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, PackageError> {
        let manifest: Self = parsed(bytes, "the manifest")?;
        check_count(&manifest.layers, "layers")?;
        let kind = manifest.artifact_type.as_deref().unwrap_or(&manifest.config.media_type);
        if manifest.schema_version != 2 || kind != ARTIFACT_TYPE {
            let found = shown(kind);
            return Err(wrong(format!(
                "the artifact is of type '{found}', and a driver is of type '{ARTIFACT_TYPE}'"
            )));
        }
        Ok(manifest)
    }

    /// The component and the signatures among the layers; others, such as a bill of materials, are passed over.
    pub(crate) fn parts(&self) -> Result<Parts<'_>, PackageError> {
        let of = |kind: &str| -> Vec<&Descriptor> {
            self.layers.iter().filter(|layer| layer.media_type == kind).collect()
        };
        let component = match of(COMPONENT_TYPE).as_slice() {
            [one] => *one,
            found => {
                let count = found.len();
                return Err(wrong(format!(
                    "{count} layers are components ({COMPONENT_TYPE}), and one should be"
                )));
            }
        };
        let annotation = self.annotations.get(SIGNATURES_ANNOTATION);
        let signatures = match (of(SIGNATURES_TYPE).as_slice(), annotation) {
            ([], None) => SignaturesPart::None,
            ([], Some(text)) => SignaturesPart::Annotation(text),
            ([one], None) => SignaturesPart::Layer(one),
            _ => return Err(wrong("there are several texts of signatures, and one may be")),
        };
        Ok(Parts { component, signatures })
    }
}

impl Descriptor {
    /// Whether what it names can be asked for: a digest of the kind that is known, and a size within the limit.
    ///
    /// # Errors
    /// [`Kind::Layout`] for the digest, [`Kind::TooLarge`] for the size.
    pub(crate) fn check(&self, wanted: Wanted) -> Result<(), PackageError> {
        if !hostler_grant::is_digest(&self.digest) {
            let found = shown(&self.digest);
            return Err(wrong(format!("'{found}' is no digest: 'sha256:' and 64 hexadecimal digits")));
        }
        let Wanted { what, limit } = wanted;
        if self.size <= limit {
            return Ok(());
        }
        let message = format!("the {what} has {} bytes, more than the limit of {limit}", self.size);
        Err(PackageError::new(Kind::TooLarge, message))
    }

    /// Whether these are the bytes that it names.
    ///
    /// # Errors
    /// [`Kind::Digest`] when they are not.
    pub(crate) fn verify(&self, bytes: &[u8], what: &str) -> Result<(), PackageError> {
        let (size, found) = (bytes.len(), digest(bytes));
        if size as u64 == self.size && found == self.digest {
            return Ok(());
        }
        let message = format!(
            "the {what} has the digest {found} and {size} bytes, and should have {} and {}",
            self.digest, self.size
        );
        Err(PackageError::new(Kind::Digest, message))
    }
}

/// Whether there are not too many of them.
pub(crate) fn check_count(list: &[Descriptor], what: &str) -> Result<(), PackageError> {
    if list.len() <= ENTRIES_MAX {
        return Ok(());
    }
    Err(wrong(format!("there are {} {what}; the limit is {ENTRIES_MAX}", list.len())))
}

/// JSON that somebody else wrote.
pub(crate) fn parsed<T: for<'a> Deserialize<'a>>(bytes: &[u8], name: &str) -> Result<T, PackageError> {
    serde_json::from_slice(bytes)
        .map_err(|error| wrong(format!("{name} cannot be read: {}", shown(&error.to_string()))))
}

fn wrong(why: impl Into<String>) -> PackageError {
    PackageError::new(Kind::Layout, why)
}
