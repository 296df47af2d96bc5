//! What snapshots change in a domain's document: the images of its disks, and nothing else.

use std::path::Path;

use hostler_domain::document::escape_attribute;
use hostler_domain::{Document, NodeId};

use crate::declared_chain::{DeclaredChain, Found, disks, set_found};
use crate::error::{Error, Kind};

/// The document with a disk on an overlay over the image that it has now. What the document says below that image it goes
/// on to say; where it says nothing the overlay's header does.
///
/// # Errors
/// [`Kind::Invalid`] when there is no such disk, or a limit of documents is exceeded.
pub(crate) fn on_overlay(xml: &str, target: &str, overlay: &Path) -> Result<String, Error> {
    let mut document = Document::parse(xml)?;
    let chain = DeclaredChain::of(&document, target);
    let disk = chain.and_then(|chain| chain.disk()).ok_or_else(|| no_disk(target))?;
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
    set_found(&mut document, disk, Found { path: overlay, format: "qcow2", is_file: true })?;
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
    let chain = DeclaredChain::of(&document, target).ok_or_else(|| no_disk(target))?;
    let Some(top) = chain.position(&document, gone) else { return Ok(document.to_xml()) };
    let found = Found { path: into, format, is_file: !is_device(into) };
    chain.leave_out(&mut document, (top, Some(top + 1)), Some(found))?;
    Ok(document.to_xml())
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
    Ok(document.to_xml().trim().to_owned())
}

fn format_of(document: &Document, disk: NodeId) -> String {
    let driver = document.child(disk, "driver");
    driver.and_then(|driver| document.attribute(driver, "type")).unwrap_or("raw").to_owned()
}

fn is_device(image: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    std::fs::metadata(image).is_ok_and(|facts| facts.file_type().is_block_device())
}

fn no_disk(target: &str) -> Error {
    Error::new(Kind::Invalid, "snapshot.disk", format!("the document has no disk '{target}'"))
        .about("disk", target)
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
