//! Disks as documents name them: sources that are written and read again as the same, and nodes that leave QEMU
//! nothing to find out by itself.

use std::collections::BTreeSet;

use hostler_domain::Domain;
use hostler_domain::disk::Disk;
use hostler_domain::storage_source::{Location, StorageSource};
use hostler_driver_qemu::blockdev::{Chain, LONGEST_NODE_NAME, Names, Node, declared};
use hostler_sdk::{Below, Value};

/// Formats in which a name of something below can stand.
const WITH_BACKING: [&str; 4] = ["qcow2", "qcow", "qed", "vmdk"];

/// Asserts what holds of any text among the devices of a domain.
///
/// # Panics
/// When a promise is broken.
pub fn check(devices: &str) {
    let Ok(domain) = domain(devices) else { return };
    for disk in &domain.devices.disks {
        disk.source.layers().for_each(again);
        let layers = declared(disk);
        assert_eq!(layers.len(), disk.source.layers().count(), "a layer was lost");
        for comparison in [true, false] {
            let chain = Chain { disk, layers: &layers, names: Names::Numbered(1), comparison };
            let known = layers.iter().all(|layer| !matches!(layer.below, Below::Unexamined));
            if let Ok(nodes) = chain.nodes() {
                assert!(known || comparison, "a chain that nobody looked at would be started");
                held(&nodes, known, disk);
            }
        }
    }
}

fn domain(devices: &str) -> Result<Domain, hostler_domain::XmlError> {
    Domain::parse(&format!(
        "<domain type='kvm'><name>n</name><memory>1</memory><os><type>hvm</type></os><devices>{devices}</devices></domain>"
    ))
}

/// A source is written as an element that is read as the same source.
fn again(source: &StorageSource) {
    if source.location == Location::Empty {
        return;
    }
    let element = source.location.to_element(source.slice.as_ref()).to_xml();
    let kind = source.location.type_name();
    let written = format!("<disk type='{kind}'>{element}<target dev='vda'/></disk>");
    let read = domain(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
    let found = &read.devices.disks[0].source;
    assert_eq!((&found.location, &found.slice), (&source.location, &source.slice), "{written}");
}

/// What each list of nodes promises (S0, S1).
fn held(nodes: &[Node], known: bool, disk: &Disk) {
    let mut names = BTreeSet::new();
    for node in nodes {
        let Node::Block(node) = node else { continue };
        let text = |key| match node.get(key) {
            Some(Value::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        for below in ["file", "backing", "data-file"].into_iter().filter_map(text) {
            assert!(names.contains(below), "{below} is named before it is there: {}", disk.target);
        }
        let name = text("node-name").expect("every node has a name");
        assert!(name.len() <= LONGEST_NODE_NAME, "{name}");
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        let driver = text("driver").expect("every node has a driver");
        let is_protocol = node.get("file").is_none();
        if is_protocol {
            assert_eq!(node.get("auto-read-only"), Some(&Value::Boolean(true)), "{driver}");
            assert!(node.get("read-only").is_none(), "{driver}");
        }
        if WITH_BACKING.contains(&driver) && known {
            assert!(node.get("backing").is_some(), "QEMU would follow what it finds in a {driver} image");
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn seeds_hold() {
        for seed in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/disk_nodes")).unwrap() {
            super::check(&std::fs::read_to_string(seed.unwrap().path()).unwrap());
        }
    }
}
