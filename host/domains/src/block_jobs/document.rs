//! A disk in a document, before and after layers of its chain are left out.

use hostler_domain::{Domain, Fragment, NodeId};

use super::record::Place;
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
    let mut domain = Domain::parse(xml)?;
    let disk = domain.devices.disks.iter().find(|disk| disk.target.as_str() == target);
    let disk = disk.map(|disk| disk.node).ok_or_else(|| no_disk(target))?;
    let declared = Declared::of(&domain, disk);
    match (left_out.top.checked_sub(1), left_out.base) {
        (None, Some(base)) => go_on_with(&mut domain, disk, declared.layer(base), chain.get(base))?,
        (Some(above), base) => {
            let base = base.map(|base| declared.layer(base));
            stand_on(&mut domain, declared.layer(above), base)?;
        }
        (None, None) => {
            return Err(Error::new(Kind::Invalid, "block.nothing-left", "no layer would be left"));
        }
    }
    domain.refresh()?;
    Ok(domain.to_xml())
}

fn no_disk(target: &str) -> Error {
    Error::new(Kind::NotFound, "block.no-disk", format!("the document has no disk '{target}'"))
}

/// The elements in which a document declares the layers of a disk: `<disk>`, and `<backingStore>` in each other.
struct Declared(Vec<NodeId>);

impl Declared {
    fn of(domain: &Domain, disk: NodeId) -> Self {
        let mut elements = vec![disk];
        let mut next = domain.document().child(disk, BELOW);
        while let Some(element) = next {
            elements.push(element);
            next = domain.document().child(element, BELOW);
        }
        Self(elements)
    }

    fn layer(&self, index: usize) -> Option<NodeId> {
        self.0.get(index).copied()
    }
}

const BELOW: &str = "backingStore";

/// Lets the layer in `above` stand on another one that the document declares further down.
fn stand_on(domain: &mut Domain, above: Option<NodeId>, base: Option<Option<NodeId>>) -> Result<(), Error> {
    let Some(old) = above.and_then(|above| domain.document().child(above, BELOW)) else { return Ok(()) };
    let document = domain.document_mut();
    match base {
        // Nothing is below any more.
        None => document.insert_before(old, &Fragment::new(BELOW).to_xml()).map(drop)?,
        Some(Some(base)) => {
            let text = document.node_to_xml(base);
            document.insert_before(old, &text).map(drop)?;
        }
        // The document did not declare it: the header says it.
        Some(None) => {}
    }
    Ok(document.remove(old)?)
}

/// Lets the disk begin with another layer, as the document declares it or as it was found.
fn go_on_with(
    domain: &mut Domain,
    disk: NodeId,
    declared: Option<NodeId>,
    found: Option<&Place>,
) -> Result<(), Error> {
    let document = domain.document();
    let declared = declared.filter(|element| document.child(*element, "source").is_some());
    let taken = declared.map(|element| {
        let part = |name| document.child(element, name).map(|node| document.node_to_xml(node));
        (document.attribute(element, "type").map(str::to_owned), part("source"), part(BELOW))
    });
    let Some(found) = found else { return Err(no_disk("base")) };
    let (kind, source, below) = match taken {
        Some((Some(kind), Some(source), below)) => (kind, source, below),
        _ => {
            let (kind, attribute) = if found.is_file { ("file", "file") } else { ("block", "dev") };
            let source = Fragment::new("source").attribute(attribute, found.path.display());
            (kind.to_owned(), source.to_xml(), None)
        }
    };
    let document = domain.document_mut();
    document.set_attribute(disk, "type", &kind)?;
    let old_below = document.child(disk, BELOW);
    if let Some(old) = document.child(disk, "source") {
        document.insert_before(old, &source)?;
        document.remove(old)?;
    }
    if let Some(old) = old_below {
        if let Some(below) = below {
            document.insert_before(old, &below)?;
        }
        document.remove(old)?;
    }
    Ok(domain.set_child_attribute(disk, "driver", "type", &found.format)?)
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
        assert_eq!(without(SILENT, 1, Some(2)), Domain::parse(&document(SILENT)).unwrap().to_xml());
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
