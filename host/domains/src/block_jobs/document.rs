//! A disk in a document, before and after layers of its chain are left out.

use hostler_domain::Document;

use super::record::Place;
use crate::declared_chain::{DeclaredChain, Found};
use crate::error::{Error, Kind};

/// Which layers are left out: those from `top` to the one above `base`, or all that are left without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeftOut {
    pub(crate) top: usize,
    pub(crate) base: Option<usize>,
}

/// The document with these layers left out of a disk's chain. What it says about the layers that stay, stays; what it says
/// nothing about is found from the headers as before.
///
/// # Errors
/// A document that cannot be read, or has no such disk.
pub(crate) fn without_layers(
    xml: &str,
    target: &str,
    left_out: LeftOut,
    chain: &[Place],
) -> Result<String, Error> {
    let mut document = Document::parse(xml)?;
    let declared = DeclaredChain::of(&document, target).ok_or_else(|| no_disk(target))?;
    let base = left_out.base.and_then(|base| chain.get(base));
    let found = base.map(|base| Found { path: &base.path, format: &base.format, is_file: base.is_file });
    declared.leave_out(&mut document, (left_out.top, left_out.base), found)?;
    Ok(document.to_xml())
}

fn no_disk(target: &str) -> Error {
    Error::new(Kind::NotFound, "block.no-disk", format!("the document has no disk '{target}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(disk: &str) -> String {
        format!(
            "<domain type='qemu'><name>n</name><memory>1024</memory><os><type>hvm</type></os><devices>\
             <disk type='file' device='disk'>{disk}<target dev='vda' bus='virtio'/></disk></devices></domain>"
        )
    }

    fn chain() -> Vec<Place> {
        let place = |name: &str, format: &str| Place {
            path: format!("/srv/{name}").into(),
            format: format.to_owned(),
            is_file: true,
            file: hostler_launch::FileId::of(std::io::stdin()).unwrap(),
        };
        vec![place("top", "qcow2"), place("middle", "qcow2"), place("base", "raw")]
    }

    fn without(disk: &str, top: usize, base: Option<usize>) -> String {
        without_layers(&document(disk), "vda", LeftOut { top, base }, &chain()).unwrap()
    }

    const SILENT: &str = "<driver name='qemu' type='qcow2' cache='none'/><source file='/srv/top'/>";
    const SAID: &str = "<driver name='qemu' type='qcow2'/><source file='/srv/top'/>\
        <backingStore type='file'><format type='qcow2'/><source file='/srv/middle'/>\
        <backingStore type='file'><format type='raw'/><source file='/srv/base' x='kept'/><backingStore/>\
        </backingStore></backingStore>";

    #[test]
    fn guest_goes_on_with_a_layer_as_it_was_found_or_declared() {
        let found = without(SILENT, 0, Some(2));
        assert!(found.contains("type='raw' cache='none'") && found.contains("file='/srv/base'"), "{found}");
        assert!(!found.contains("/srv/top") && !found.contains("backingStore"), "{found}");
        let declared = without(SAID, 0, Some(2));
        assert!(declared.contains("x='kept'") && declared.contains("<backingStore/>"), "{declared}");
        assert!(!declared.contains("/srv/top") && !declared.contains("/srv/middle"), "{declared}");
        let one = without(SAID, 0, Some(1));
        assert!(
            one.contains("/srv/middle") && one.contains("/srv/base") && !one.contains("/srv/top"),
            "{one}"
        );
    }

    #[test]
    fn layers_between_are_left_out_where_they_are_declared() {
        assert_eq!(without(SILENT, 1, Some(2)), document(SILENT));
        let between = without(SAID, 1, Some(2));
        assert!(between.contains("/srv/top") && between.contains("x='kept'"), "{between}");
        assert!(!between.contains("/srv/middle"), "{between}");
        let alone = without(SAID, 1, None);
        assert!(alone.contains("<backingStore/>") && !alone.contains("/srv/base"), "{alone}");
    }

    #[test]
    fn what_is_not_there_is_said() {
        let none = without_layers(&document(SILENT), "vdz", LeftOut { top: 0, base: Some(1) }, &chain());
        assert_eq!(none.unwrap_err().code(), "block.no-disk");
        let nothing = without_layers(&document(SILENT), "vda", LeftOut { top: 0, base: None }, &chain());
        assert_eq!(nothing.unwrap_err().code(), "block.nothing-left");
    }
}
