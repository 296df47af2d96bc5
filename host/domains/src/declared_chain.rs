//! The layers of a disk as a document declares them, and what becomes of them when layers are left out.
//!
//! A document says as much about a chain as its author wanted: what it says nothing about is found from the images' headers, and
//! stays so.

use std::path::Path;

use hostler_domain::document::escape_attribute;
use hostler_domain::{Document, NodeId};

use crate::error::{Error, Kind};
use crate::pools::is_same_file;

/// The element of what is below a layer.
const BELOW: &str = "backingStore";

/// The layer that a disk goes on with, as it was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) path: &'a Path,
    pub(crate) format: &'a str,
    pub(crate) is_file: bool,
}

/// The elements in which a document declares the layers of a disk: `<disk>`, and `<backingStore>` in each other.
pub(crate) struct DeclaredChain {
    elements: Vec<NodeId>,
}

impl DeclaredChain {
    /// The chain of the disk with this target name; nothing when the document has no such disk.
    pub(crate) fn of(document: &Document, target: &str) -> Option<Self> {
        let mut elements = vec![disk(document, target)?];
        while let Some(below) = elements.last().and_then(|last| document.child(*last, BELOW)) {
            elements.push(below);
        }
        Some(Self { elements })
    }

    /// The element of the disk itself.
    pub(crate) fn disk(&self) -> Option<NodeId> {
        self.layer(0)
    }

    /// The place of the layer that is this file, counted from the active one.
    pub(crate) fn position(&self, document: &Document, path: &Path) -> Option<usize> {
        self.elements.iter().position(|element| names(document, *element, path))
    }

    fn layer(&self, index: usize) -> Option<NodeId> {
        self.elements.get(index).copied()
    }

    /// Leaves out the layers from `top` to the one above `base`, or all that are left without one. `found` is the layer `base`.
    ///
    /// # Errors
    /// [`Kind::Invalid`] when no layer would be left, or a limit of documents is exceeded.
    pub(crate) fn leave_out(
        &self,
        document: &mut Document,
        (top, base): (usize, Option<usize>),
        found: Option<Found<'_>>,
    ) -> Result<(), Error> {
        match (top.checked_sub(1), base, found) {
            (None, Some(base), Some(found)) => self.go_on_with(document, base, found),
            (Some(above), base, _) => self.stand_on(document, above, base),
            (None, ..) => Err(Error::new(Kind::Invalid, "block.nothing-left", "no layer would be left")),
        }
    }

    /// Lets a layer stand on another one that the document declares further down.
    fn stand_on(&self, document: &mut Document, above: usize, base: Option<usize>) -> Result<(), Error> {
        let Some(old) = self.layer(above).and_then(|above| document.child(above, BELOW)) else {
            return Ok(());
        };
        let below = match base {
            // Nothing is below any more.
            None => Some(format!("<{BELOW}/>")),
            // Where the document did not declare it, the header says it.
            Some(base) => self.layer(base).map(|base| document.node_to_xml(base)),
        };
        if let Some(below) = below {
            document.insert_before(old, &below)?;
        }
        Ok(document.remove(old)?)
    }

    /// Lets the disk begin with another layer, as the document declares it or as it was found.
    fn go_on_with(&self, document: &mut Document, base: usize, found: Found<'_>) -> Result<(), Error> {
        let Some(disk) = self.disk() else { return Ok(()) };
        let declared = self.layer(base).and_then(|element| {
            let part = |name| document.child(element, name).map(|node| document.node_to_xml(node));
            let kind = document.attribute(element, "type").unwrap_or("file").to_owned();
            Some((kind, part("source")?, part(BELOW)))
        });
        let (kind, source, below) = match declared {
            Some(declared) => declared,
            None => (found.kind().to_owned(), found.source()?, None),
        };
        set_image(document, disk, (&source, &kind, found.format))?;
        let Some(old) = document.child(disk, BELOW) else { return Ok(()) };
        if let Some(below) = below {
            document.insert_before(old, &below)?;
        }
        Ok(document.remove(old)?)
    }
}

impl Found<'_> {
    fn kind(self) -> &'static str {
        if self.is_file { "file" } else { "block" }
    }

    fn source(self) -> Result<String, Error> {
        let Some(text) = self.path.to_str() else {
            let message =
                format!("'{}' cannot stand in a document, for it is not UTF-8", self.path.display());
            return Err(Error::new(Kind::Invalid, "snapshot.path", message));
        };
        let attribute = if self.is_file { "file" } else { "dev" };
        Ok(format!("<source {attribute}='{}'/>", escape_attribute(text)))
    }
}

/// Gives a disk another image, and says nothing of what is below it.
///
/// # Errors
/// A path that cannot stand in a document; a limit of documents.
pub(crate) fn set_found(document: &mut Document, disk: NodeId, image: Found<'_>) -> Result<(), Error> {
    set_image(document, disk, (&image.source()?, image.kind(), image.format))
}

fn set_image(
    document: &mut Document,
    disk: NodeId,
    (source, kind, format): (&str, &str, &str),
) -> Result<(), Error> {
    document.set_attribute(disk, "type", kind)?;
    let driver = match document.child(disk, "driver") {
        Some(driver) => driver,
        None => document.append_child(disk, "<driver name='qemu'/>")?,
    };
    document.set_attribute(driver, "type", format)?;
    match document.child(disk, "source") {
        Some(old) => {
            document.insert_before(old, source)?;
            document.remove(old)?;
        }
        None => drop(document.append_child(disk, source)?),
    }
    Ok(())
}

/// Whether the source of a layer is this file.
fn names(document: &Document, layer: NodeId, path: &Path) -> bool {
    let Some(source) = document.child(layer, "source") else { return false };
    let named = document.attribute(source, "file").or_else(|| document.attribute(source, "dev"));
    named.is_some_and(|named| is_same_file(Path::new(named), path))
}

/// The disks of a document.
pub(crate) fn disks(document: &Document) -> Vec<NodeId> {
    let devices = document.child(document.root(), "devices");
    let devices = devices.into_iter().flat_map(|devices| document.elements(devices));
    devices.filter(|device| document.name(*device) == "disk").collect()
}

fn disk(document: &Document, target: &str) -> Option<NodeId> {
    let named = |disk: &NodeId| {
        let node = document.child(*disk, "target");
        node.and_then(|node| document.attribute(node, "dev")) == Some(target)
    };
    disks(document).into_iter().find(named)
}
