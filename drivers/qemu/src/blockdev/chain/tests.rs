//! What the nodes of a chain promise.

use super::*;
use crate::chains::declared;
use hostler_sdk::domain::Domain;

fn domain(disk: &str) -> Domain {
    Domain::parse(&format!(
        "<domain type='qemu'><name>n</name><memory>1024</memory><os><type>hvm</type></os><devices>{disk}</devices></domain>"
    ))
    .unwrap()
}

const CHAIN: &str = "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/top'/>\
    <backingStore type='file'><format type='qcow2'/><source file='/base'/><backingStore/></backingStore>\
    <target dev='vda' bus='virtio'/></disk>";

fn blocks(disk: &str, comparison: bool) -> Result<Vec<Value>, Error> {
    let domain = domain(disk);
    let disk = &domain.devices.disks[0];
    let layers = declared(disk);
    let nodes = Chain { disk, layers: &layers, names: Names::Numbered(1), comparison }.nodes()?;
    Ok(nodes
        .into_iter()
        .filter_map(|node| if let Node::Block(node) = node { Some(node) } else { None })
        .collect())
}

#[test]
fn s0_the_chain_ends_with_nothing_and_every_layer_names_the_one_below() {
    let nodes = blocks(CHAIN, false).unwrap();
    let backing: Vec<_> = nodes.iter().filter_map(|node| node.get("backing")).collect();
    assert_eq!(backing, [&Value::Null, &Value::from("libvirt-2-format")]);
}

#[test]
fn s0_a_layer_that_nobody_looked_at_is_never_started() {
    let open = CHAIN.replace("<backingStore/>", "");
    assert!(blocks(&open, true).is_ok(), "it can be shown");
    let Err(Error::Conflict(problem)) = blocks(&open, false) else { panic!("started") };
    assert_eq!(problem.code, "qemu.chain-unexamined");
}

#[test]
fn s1_protocol_nodes_are_auto_read_only_and_formats_say_read_only() {
    let nodes = blocks(CHAIN, false).unwrap();
    let (formats, protocols): (Vec<_>, Vec<_>) = nodes.iter().partition(|node| node.get("file").is_some());
    assert_eq!((formats.len(), protocols.len()), (2, 2));
    for protocol in protocols {
        assert_eq!(protocol.get("auto-read-only"), Some(&Value::from(true)));
        assert_eq!(protocol.get("read-only"), None);
    }
    let read_only: Vec<_> = formats.iter().map(|node| node.get("read-only")).collect();
    assert_eq!(read_only, [Some(&Value::from(true)), Some(&Value::from(false))], "base first");
}
