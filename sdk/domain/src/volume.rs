//! `<volume>`: one piece of storage of a pool.

mod target;

use crate::document::Document;
use crate::error::{XmlError, XmlErrorKind};
use crate::permissions::Permissions;
use crate::read::Element;
use crate::storage_name::StorageName;
use crate::trace::{Trace, Unmodelled};
use crate::units::Bytes;

pub use target::{Compat, VolumeEncryption, VolumeFeatures, VolumeTarget};

keywords! {
    /// What a volume is on this host.
    VolumeType {
        File = "file", Block = "block", Dir = "dir", Network = "network", Netdir = "netdir", Ploop = "ploop",
    }
}

/// A volume: a document, and what it says.
#[derive(Debug, Clone)]
pub struct StorageVolume {
    document: Document,
    /// What it is; none where the document leaves that to the pool.
    pub kind: Option<VolumeType>,
    /// Its name.
    pub name: StorageName,
    /// Its size as a guest sees it; 0 for that of the volume below it.
    pub capacity: Bytes,
    /// How much of it is set aside at once; none where the document leaves that to the format.
    pub allocation: Option<Bytes>,
    /// Path, format and how it is made.
    pub target: VolumeTarget,
    /// What it stands on.
    pub backing: Option<VolumeBacking>,
    unmodelled: Vec<Unmodelled>,
}

/// `<backingStore>` of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeBacking {
    /// The path of the image below.
    pub path: String,
    /// Its format; none where the document is silent.
    pub format: Option<String>,
    /// Who may use it.
    pub permissions: Permissions,
}

impl StorageVolume {
    /// Parses a volume document.
    ///
    /// # Errors
    /// The text is not well-formed, exceeds a limit, is no volume, or says something that cannot be.
    pub fn parse(text: &str) -> Result<Self, XmlError> {
        Self::from_document(Document::parse(text)?)
    }

    /// Reads a volume from a document.
    ///
    /// # Errors
    /// As [`StorageVolume::parse`].
    pub fn from_document(document: Document) -> Result<Self, XmlError> {
        let trace = Trace::default();
        let root = Element::new(&document, &trace, document.root());
        root.require_root("volume")?;
        let read = read(root)?;
        let unmodelled = trace.unread(&document)?;
        Ok(Self { document, unmodelled, ..read })
    }

    /// The document as text; byte for byte what was parsed.
    pub fn to_xml(&self) -> String {
        self.document.to_xml()
    }

    /// What the model does not read, in document order: kept verbatim, and of no effect.
    pub fn unmodelled(&self) -> &[Unmodelled] {
        &self.unmodelled
    }
}

fn read(root: Element<'_>) -> Result<StorageVolume, XmlError> {
    // Measured, or known to the pool alone.
    for told in ["key", "source", "physical"] {
        root.keep(told);
    }
    let backing = root.maybe("backingStore", read_backing)?.flatten();
    Ok(StorageVolume {
        document: Document::placeholder(),
        kind: root.keyword("type")?,
        name: read_name(root.need_child("name")?)?,
        capacity: read_capacity(root, backing.is_some())?,
        allocation: root.maybe("allocation", |allocation| allocation.size("bytes"))?,
        target: root.maybe("target", VolumeTarget::read)?.unwrap_or_default(),
        backing,
        unmodelled: Vec::new(),
    })
}

fn read_name(name: Element<'_>) -> Result<StorageName, XmlError> {
    StorageName::parse(&name.content())
        .map_err(|wrong| name.error(XmlErrorKind::InvalidValue, format!("the name of the volume {wrong}")))
}

/// Only a volume that stands on another one may leave its size to that.
fn read_capacity(root: Element<'_>, has_backing: bool) -> Result<Bytes, XmlError> {
    match root.maybe("capacity", |capacity| capacity.size("bytes"))? {
        Some(capacity) => Ok(capacity),
        None if has_backing => Ok(Bytes(0)),
        None => root.need_child("capacity")?.size("bytes"),
    }
}

fn read_backing(backing: Element<'_>) -> Result<Option<VolumeBacking>, XmlError> {
    let Some(path) = backing.text_of("path") else { return Ok(None) };
    backing.keep("timestamps");
    Ok(Some(VolumeBacking {
        path,
        format: backing.maybe("format", |format| format.need_string("type"))?,
        permissions: backing.maybe("permissions", Permissions::read)?.unwrap_or_default(),
    }))
}

#[cfg(test)]
mod tests;
