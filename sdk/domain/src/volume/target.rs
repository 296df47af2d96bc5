//! `<target>` of a volume: its path, its format, and how it is made.

use crate::error::{XmlError, XmlErrorKind};
use crate::permissions::Permissions;
use crate::read::Element;
use crate::storage_source::{Cipher, EncryptionSecret, InitialVector, SecretReference};
use crate::units::Bytes;

keywords! {
    /// Level of qcow2 that a reader must know.
    Compat { V2 = "0.10", V3 = "1.1" }
}

/// Path, format and how a volume is made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VolumeTarget {
    /// Its path, which a pool tells and does not take.
    pub path: Option<String>,
    /// Its format, such as `qcow2`; none where the document leaves that to the pool.
    pub format: Option<String>,
    /// Who may use it.
    pub permissions: Permissions,
    /// Level of the format.
    pub compat: Option<Compat>,
    /// Size of a cluster.
    pub cluster_size: Option<Bytes>,
    /// Whether the file system is asked to write it in place (btrfs).
    pub nocow: bool,
    /// Features of the format; none without a `<features>` element.
    pub features: Option<VolumeFeatures>,
    /// How its content is encrypted.
    pub encryption: Option<VolumeEncryption>,
}

/// `<features>`: features of qcow2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VolumeFeatures {
    /// Reference counts may lag behind.
    pub lazy_refcounts: bool,
    /// Subclusters.
    pub extended_l2: bool,
}

/// `<encryption>` of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeEncryption {
    /// `luks`, `qcow` …; open, because hypervisors differ.
    pub format: String,
    /// The secrets; their values never stand in a document.
    pub secrets: Vec<EncryptionSecret>,
    /// With what it is encrypted when it is made.
    pub cipher: Option<Cipher>,
    /// How initial vectors come about when it is made.
    pub initial_vector: Option<InitialVector>,
}

impl VolumeTarget {
    pub(super) fn read(target: Element<'_>) -> Result<Self, XmlError> {
        target.keep("timestamps");
        Ok(Self {
            path: target.text_of("path"),
            format: target.maybe("format", |format| format.need_string("type"))?,
            permissions: target.maybe("permissions", Permissions::read)?.unwrap_or_default(),
            compat: target.maybe("compat", Element::content_keyword)?,
            cluster_size: target.maybe("clusterSize", read_cluster_size)?,
            nocow: target.has("nocow"),
            features: target.maybe("features", |features| {
                Ok(VolumeFeatures {
                    lazy_refcounts: features.has("lazy_refcounts"),
                    extended_l2: features.has("extended_l2"),
                })
            })?,
            encryption: target.maybe("encryption", read_encryption)?,
        })
    }
}

fn read_cluster_size(size: Element<'_>) -> Result<Bytes, XmlError> {
    let bytes = size.size("bytes")?;
    if bytes.0.is_power_of_two() {
        return Ok(bytes);
    }
    let message = format!("a cluster of {bytes} is no power of two");
    Err(size.error(XmlErrorKind::OutOfRange, message))
}

fn read_encryption(encryption: Element<'_>) -> Result<VolumeEncryption, XmlError> {
    Ok(VolumeEncryption {
        format: encryption.need_string("format")?,
        secrets: encryption.each("secret", |secret| {
            Ok(EncryptionSecret { kind: secret.need_string("type")?, secret: SecretReference::read(secret)? })
        })?,
        cipher: encryption.maybe("cipher", Cipher::read)?,
        initial_vector: encryption.maybe("ivgen", InitialVector::read)?,
    })
}
