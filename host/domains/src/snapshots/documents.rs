//! What snapshots change in a domain's document: the images of its disks, and nothing else.

use std::path::Path;

use hostler_domain::document::escape_attribute;
use hostler_domain::{Document, NodeId};

use crate::error::{Error, Kind};
use crate::pools::is_same_file;

/// The document with a disk on an overlay over the image that it has now. What the document says below that image it goes
/// on to say; where it says nothing the overlay's header does.
///
/// # Errors
/// [`Kind::Invalid`] when there is no such disk, or a limit of documents is exceeded.
pub(crate) fn on_overlay(xml: &str, target: &str, overlay: &Path) -> Result<String, Error> {
    let mut document = Document::parse(xml)?;
    let disk = disk(&document, target)?;
    if let Some(below) = document.child(disk, "backingStore") {
        let kind = document.attribute(disk, "type").unwrap_or("file").to_owned();
        let format = format_of(&document, disk);
        let parts = [document.child(disk, "source"), Some(below)].into_iter().flatten();
        let parts: String = parts.map(|part| document.node_to_xml(part)).collect();
        let (kind, format) = (escape_attribute(&kind), escape_attribute(&format));
        let nested = format!("<backingStore type='{kind}'><format type='{format}'/>{parts}</backingStore>");
        document.insert_before(below, &nested)?;
        document.remove(below)?;
    }
    set_image(&mut document, disk, &source_of(overlay)?, "file", "qcow2")?;
    Ok(document.to_xml())
}

/// The document with a disk that no longer has the layer `gone`, whose content is in `into`, the one below it.
///
/// # Errors
/// As [`on_overlay`].
pub(crate) fn without_layer(
    xml: &str,
    target: &str,
    gone: &Path,
    (into, format): (&Path, &str),
) -> Result<String, Error> {
    let mut document = Document::parse(xml)?;
    let disk = disk(&document, target)?;
    let mut level = disk;
    loop {
        let below = document.child(level, "backingStore");
        if names(&document, level, gone) {
            take_out(&mut document, disk, level, below, (into, format))?;
            return Ok(document.to_xml());
        }
        match below {
            Some(below) => level = below,
            None => return Ok(document.to_xml()),
        }
    }
}

fn take_out(
    document: &mut Document,
    disk: NodeId,
    level: NodeId,
    below: Option<NodeId>,
    (into, format): (&Path, &str),
) -> Result<(), Error> {
    let described = below.filter(|below| document.child(*below, "source").is_some());
    if level != disk {
        match described {
            Some(described) => {
                let text = document.node_to_xml(described);
                document.insert_before(level, &text)?;
                document.remove(level)?;
            }
            None => {
                let source = source_of(into)?;
                set_source(document, level, &source)?;
                set_child_type(document, level, "format", format)?;
                document.set_attribute(level, "type", kind_of(into))?;
            }
        }
        return Ok(());
    }
    let Some(described) = described else {
        return set_image(document, disk, &source_of(into)?, kind_of(into), format);
    };
    let kind = document.attribute(described, "type").unwrap_or("file").to_owned();
    let source = document.child(described, "source").map(|source| document.node_to_xml(source));
    let inner = document.child(described, "backingStore").map(|inner| document.node_to_xml(inner));
    set_image(document, disk, &source.unwrap_or_default(), &kind, format)?;
    if let Some(inner) = inner {
        document.insert_before(described, &inner)?;
    }
    document.remove(described)?;
    Ok(())
}

/// What a document says apart from the images of its disks: two that say the same are one machine.
///
/// # Errors
/// [`Kind::Invalid`] for what is no document.
pub(crate) fn beside_images(xml: &str) -> Result<String, Error> {
    let mut document = Document::parse(xml)?;
    for disk in disks(&document) {
        document.remove_attribute(disk, "type")?;
        if let Some(driver) = document.child(disk, "driver") {
            document.remove_attribute(driver, "type")?;
        }
        for name in ["source", "backingStore"] {
            if let Some(part) = document.child(disk, name) {
                document.remove(part)?;
            }
        }
    }
    Ok(document.to_xml())
}

fn set_image(
    document: &mut Document,
    disk: NodeId,
    source: &str,
    kind: &str,
    format: &str,
) -> Result<(), Error> {
    document.set_attribute(disk, "type", kind)?;
    if document.child(disk, "driver").is_none() {
        document.append_child(disk, "<driver name='qemu'/>")?;
    }
    set_child_type(document, disk, "driver", format)?;
    set_source(document, disk, source)
}

fn set_source(document: &mut Document, holder: NodeId, source: &str) -> Result<(), Error> {
    match document.child(holder, "source") {
        Some(old) => {
            document.insert_before(old, source)?;
            document.remove(old)?;
        }
        None => drop(document.append_child(holder, source)?),
    }
    Ok(())
}

fn set_child_type(document: &mut Document, holder: NodeId, child: &str, format: &str) -> Result<(), Error> {
    let node = match document.child(holder, child) {
        Some(node) => node,
        None => document.append_child(holder, &format!("<{child}/>"))?,
    };
    Ok(document.set_attribute(node, "type", format)?)
}

fn format_of(document: &Document, disk: NodeId) -> String {
    let driver = document.child(disk, "driver");
    driver.and_then(|driver| document.attribute(driver, "type")).unwrap_or("raw").to_owned()
}

/// Whether the source of a level is this file.
fn names(document: &Document, level: NodeId, path: &Path) -> bool {
    let Some(source) = document.child(level, "source") else { return false };
    let named = document.attribute(source, "file").or_else(|| document.attribute(source, "dev"));
    named.is_some_and(|named| is_same_file(Path::new(named), path))
}

fn source_of(image: &Path) -> Result<String, Error> {
    let Some(text) = image.to_str() else {
        let message = format!("'{}' cannot stand in a document, for it is not UTF-8", image.display());
        return Err(Error::new(Kind::Invalid, "snapshot.path", message));
    };
    let attribute = if kind_of(image) == "block" { "dev" } else { "file" };
    Ok(format!("<source {attribute}='{}'/>", escape_attribute(text)))
}

/// The type of a disk with this image.
fn kind_of(image: &Path) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    let is_device = std::fs::metadata(image).is_ok_and(|facts| facts.file_type().is_block_device());
    if is_device { "block" } else { "file" }
}

fn disks(document: &Document) -> Vec<NodeId> {
    let devices = document.child(document.root(), "devices");
    let devices = devices.into_iter().flat_map(|devices| document.elements(devices));
    devices.filter(|device| document.name(*device) == "disk").collect()
}

fn disk(document: &Document, target: &str) -> Result<NodeId, Error> {
    let named = |disk: &NodeId| {
        let node = document.child(*disk, "target");
        node.and_then(|node| document.attribute(node, "dev")) == Some(target)
    };
    disks(document).into_iter().find(named).ok_or_else(|| {
        Error::new(Kind::Invalid, "snapshot.disk", format!("the document has no disk '{target}'"))
            .about("disk", target)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(disk: &str) -> String {
        format!("<domain><devices>\n  {disk}\n  <disk><target dev='vdb'/></disk></devices></domain>")
    }

    const PLAIN: &str = "<disk type='volume'><source pool='p' volume='v'/><target dev='vda'/></disk>";

    #[test]
    fn overlay_takes_the_place_of_the_image_and_the_rest_stays() {
        let xml = on_overlay(&machine(PLAIN), "vda", Path::new("/i/a&b.s1")).unwrap();
        assert_eq!(
            xml,
            machine(
                "<disk type='file'><source file='/i/a&amp;b.s1'/><target dev='vda'/>\
                 <driver name='qemu' type='qcow2'/></disk>"
            )
        );
        assert_eq!(on_overlay(&xml, "vdz", Path::new("/x")).unwrap_err().code(), "snapshot.disk");
        assert_eq!(
            beside_images(&xml).unwrap(),
            beside_images(&on_overlay(&xml, "vda", Path::new("/x")).unwrap()).unwrap()
        );
    }

    #[test]
    fn chain_that_is_written_down_grows_and_shrinks_with_the_overlays() {
        let top = "<disk type='file'><driver type='qcow2'/><source file='/i/a'/>\
                   <backingStore type='file'><format type='raw'/><source file='/i/base'/><backingStore/></backingStore>\
                   <target dev='vda'/></disk>";
        let one = on_overlay(&machine(top), "vda", Path::new("/i/a.1")).unwrap();
        let two = on_overlay(&one, "vda", Path::new("/i/a.2")).unwrap();
        let nested = "<backingStore type='file'><format type='qcow2'/><source file='/i/a.1'/>\
                      <backingStore type='file'><format type='qcow2'/><source file='/i/a'/>";
        assert!(two.contains(nested), "{two}");
        let into = (Path::new("/i/a"), "qcow2");
        let middle = without_layer(&two, "vda", Path::new("/i/a.1"), into).unwrap();
        assert!(
            !middle.contains("/i/a.1") && middle.contains("'/i/a.2'") && middle.contains("'/i/base'"),
            "{middle}"
        );
        assert_eq!(without_layer(&middle, "vda", Path::new("/i/a.2"), into).unwrap(), machine(top));
    }

    #[test]
    fn layer_goes_out_of_a_document_that_does_not_say_what_is_below() {
        let over = on_overlay(&machine(PLAIN), "vda", Path::new("/i/o")).unwrap();
        let xml = without_layer(&over, "vda", Path::new("/i/o"), (Path::new("/i/v"), "raw")).unwrap();
        assert!(xml.contains("<source file='/i/v'/>") && xml.contains("type='raw'"), "{xml}");
        assert_eq!(without_layer(&xml, "vda", Path::new("/i/o"), (Path::new("/i/v"), "raw")).unwrap(), xml);
    }
}
