//! `<pool>`: a place that volumes come from.

mod rules;
mod source;
mod target;

use crate::document::Document;
use crate::error::{XmlError, XmlErrorKind};
use crate::fragment::Fragment;
use crate::identity::DomainUuid;
use crate::read::Element;
use crate::storage_name::StorageName;
use crate::trace::{Trace, Unmodelled};

pub use source::{Adapter, PoolDevice, PoolSource};
pub use target::PoolTarget;

keywords! {
    /// What kind of place a pool is.
    PoolType {
        Dir = "dir", Fs = "fs", Netfs = "netfs", Logical = "logical", Disk = "disk", Iscsi = "iscsi",
        IscsiDirect = "iscsi-direct", Scsi = "scsi", Mpath = "mpath", Rbd = "rbd", Sheepdog = "sheepdog",
        Gluster = "gluster", Zfs = "zfs", Vstorage = "vstorage",
    }
}

impl PoolType {
    /// Whether its volumes are named beneath a directory of this host.
    pub fn has_target(self) -> bool {
        !matches!(self, Self::IscsiDirect | Self::Rbd | Self::Sheepdog | Self::Gluster)
    }
}

/// A pool: a document, and what it says.
#[derive(Debug, Clone)]
pub struct StoragePool {
    document: Document,
    /// What kind of place it is.
    pub kind: PoolType,
    /// Its name; the name of its source where the document gives none.
    pub name: StorageName,
    /// Its UUID; none when still to be chosen.
    pub uuid: Option<DomainUuid>,
    /// Where the storage is.
    pub source: PoolSource,
    /// Where it shows on this host.
    pub target: PoolTarget,
    unmodelled: Vec<Unmodelled>,
}

impl StoragePool {
    /// Parses a pool document.
    ///
    /// # Errors
    /// The text is not well-formed, exceeds a limit, is no pool, or lacks what its type needs.
    pub fn parse(text: &str) -> Result<Self, XmlError> {
        Self::from_document(Document::parse(text)?)
    }

    /// Reads a pool from a document.
    ///
    /// # Errors
    /// As [`StoragePool::parse`].
    pub fn from_document(document: Document) -> Result<Self, XmlError> {
        let trace = Trace::default();
        let root = Element::new(&document, &trace, document.root());
        root.require_root("pool")?;
        let read = read(root)?;
        rules::check(root, &read)?;
        let unmodelled = trace.unread(&document)?;
        Ok(Self { document, unmodelled, ..read })
    }

    /// The document as text; byte for byte what was parsed, apart from edits.
    pub fn to_xml(&self) -> String {
        self.document.to_xml()
    }

    /// What the model does not read, in document order: kept verbatim, and of no effect.
    pub fn unmodelled(&self) -> &[Unmodelled] {
        &self.unmodelled
    }

    /// Sets the UUID; a new element follows the name.
    ///
    /// # Errors
    /// A limit of the document is exceeded.
    pub fn set_uuid(&mut self, uuid: &DomainUuid) -> Result<(), XmlError> {
        let root = self.document.root();
        self.uuid = Some(*uuid);
        if let Some(node) = self.document.child(root, "uuid") {
            return self.document.set_text(node, &uuid.to_string());
        }
        let fragment = Fragment::new("uuid").text(uuid).to_xml();
        let next = self.document.elements(root).skip_while(|node| self.document.name(*node) != "name").nth(1);
        match next {
            Some(next) => self.document.insert_before(next, &fragment).map(drop),
            None => self.document.append_child(root, &fragment).map(drop),
        }
    }
}

fn read(root: Element<'_>) -> Result<StoragePool, XmlError> {
    // Measured, not configured: libvirt prints them into every pool it shows.
    for measured in ["capacity", "allocation", "available"] {
        root.keep(measured);
    }
    root.keep("metadata");
    let kind: PoolType = root.need_keyword("type")?;
    let source = root.maybe("source", PoolSource::read)?.unwrap_or_default();
    let target = root.maybe("target", PoolTarget::read)?.unwrap_or_default();
    Ok(StoragePool {
        document: Document::placeholder(),
        kind,
        name: read_name(root, &source)?,
        uuid: root.maybe("uuid", read_uuid)?,
        target: target.completed(kind, &source),
        source,
        unmodelled: Vec::new(),
    })
}

fn read_name(root: Element<'_>, source: &PoolSource) -> Result<StorageName, XmlError> {
    let Some(name) = root.child("name") else {
        let taken = source.name.as_deref().and_then(|name| StorageName::parse(name).ok());
        return taken
            .ok_or_else(|| root.error(XmlErrorKind::MissingElement, "element 'name' is missing in 'pool'"));
    };
    StorageName::parse(&name.content())
        .map_err(|wrong| name.error(XmlErrorKind::InvalidValue, format!("the name of the pool {wrong}")))
}

fn read_uuid(uuid: Element<'_>) -> Result<DomainUuid, XmlError> {
    DomainUuid::parse(&uuid.word())
        .map_err(|wrong| uuid.error(XmlErrorKind::InvalidValue, format!("the text of 'uuid' {wrong}")))
}

#[cfg(test)]
mod tests;
