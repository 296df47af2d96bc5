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
    let formats: Vec<_> = nodes.iter().collect();
    let protocols: Vec<_> = nodes.iter().filter_map(|node| node.get("file")).collect();
    assert_eq!((formats.len(), protocols.len()), (2, 2));
    for protocol in protocols {
        assert_eq!(protocol.get("auto-read-only"), Some(&Value::from(true)));
        assert_eq!(protocol.get("read-only"), None);
    }
    let read_only: Vec<_> = formats.iter().map(|node| node.get("read-only")).collect();
    assert_eq!(read_only, [Some(&Value::from(true)), Some(&Value::from(false))], "base first");
}

#[test]
fn what_is_interpreted_has_its_file_inside_and_plain_bytes_are_named() {
    let nodes = blocks(CHAIN, false).unwrap();
    assert_eq!(nodes.len(), 2);
    for node in &nodes {
        let file = node.get("file").unwrap();
        assert_eq!(file.get("driver"), Some(&Value::from("file")));
        assert_eq!(file.get("node-name"), None, "nothing else can refer to it");
    }
    let alone = "<disk type='file'><driver type='raw'/><source file='/a'/><target dev='vda'/></disk>";
    let nodes = blocks(alone, false).unwrap();
    assert_eq!((nodes.len(), nodes[1].get("file")), (2, Some(&Value::from("libvirt-1-storage"))));
    assert_eq!(blocks(CHAIN, true).unwrap().len(), 4, "libvirt's lines have names everywhere");
}

fn all(disk: &str) -> Vec<Node> {
    let domain = domain(disk);
    let disk = &domain.devices.disks[0];
    let layers = declared(disk);
    let chain = Chain { disk, layers: &layers, names: Names::Numbered(7), comparison: false };
    let nodes = chain.nodes().unwrap();
    let last =
        nodes.iter().rev().find_map(|node| if let Node::Block(node) = node { Some(node) } else { None });
    assert_eq!(last.unwrap().get("node-name"), Some(&Value::from(chain.top().unwrap())));
    nodes
}

fn ids(nodes: &[Node]) -> Vec<&str> {
    nodes
        .iter()
        .filter_map(|node| if let Node::Object(object) = node { Some(id_of(object)) } else { None })
        .collect()
}

fn id_of(object: &Object) -> &str {
    match object {
        Object::Secret { id, .. } | Object::Certificates { id, .. } | Object::Reservations { id, .. } => id,
    }
}

#[test]
fn every_object_that_a_source_needs_comes_before_its_nodes() {
    let nodes = all(
        "<disk type='network'><driver type='raw'/><source protocol='https' name='a'><host name='h'/>\
                     <cookies><cookie name='c'>v</cookie></cookies><auth username='u'><secret type='iscsi' usage='s'/></auth>\
                     <encryption format='luks'><secret type='passphrase' usage='s'/></encryption></source><target dev='vda'/></disk>",
    );
    assert_eq!(
        ids(&nodes),
        [
            "libvirt-7-storage-auth-secret0",
            "libvirt-7-storage-httpcookie-secret0",
            "libvirt-7-format-encryption-secret0"
        ]
    );
    let Node::Block(storage) = &nodes[2] else { panic!("{nodes:?}") };
    assert_eq!(storage.get("cookie-secret"), Some(&Value::from("libvirt-7-storage-httpcookie-secret0")));
    assert!(storage.get("cookie").is_none(), "cookies are secrets");
    let nodes = all(
        "<disk type='network'><driver type='raw'/><source protocol='nbd' tls='yes' tlsHostname='x'><host name='h'/>\
                     <reconnect delay='3'/></source><target dev='vda'/></disk>",
    );
    assert_eq!(ids(&nodes), ["objlibvirt-7-storage_tls0"]);
    let Node::Block(storage) = &nodes[1] else { panic!("{nodes:?}") };
    assert_eq!(storage.get("tls-hostname"), Some(&Value::from("x")));
    assert_eq!(storage.get("reconnect-delay"), Some(&Value::from(3_u32)));
}

#[test]
fn keys_of_the_servers_client_lie_one_in_the_other() {
    let secret = "<secret type='passphrase' usage='s'/>";
    let nodes = all(&format!(
        "<disk type='network'><driver type='raw'/><source protocol='rbd' name='p/i'><encryption format='luks-any' engine='librbd'>\
         {secret}{secret}</encryption></source><target dev='vda'/></disk>"
    ));
    let Some(Node::Block(storage)) = nodes.iter().find(|node| matches!(node, Node::Block(_))) else {
        panic!("{nodes:?}")
    };
    let key = |index: u8| format!("libvirt-7-format-encryption-secret{index}");
    let inner = Value::mapping().with("format", "luks-any").with("key-secret", key(1));
    let outer = Value::mapping().with("format", "luks-any").with("key-secret", key(0)).with("parent", inner);
    assert_eq!(storage.get("encrypt"), Some(&outer));
    assert_eq!(ids(&nodes), [key(0), key(1)]);
}

#[test]
fn helpers_for_reservations_are_the_domains_or_the_layers() {
    let disk = |inside: &str| {
        format!(
            "<disk type='block' device='lun'><driver type='raw'/><source dev='/dev/a'>{inside}</source>\
             <target dev='sda' bus='scsi'/></disk>"
        )
    };
    for (inside, id) in [
        ("<reservations managed='yes'/>", "pr-helper0"),
        (
            "<reservations managed='no'><source type='unix' path='/p' mode='client'/></reservations>",
            "pr-helper-libvirt-7-storage",
        ),
    ] {
        let nodes = all(&disk(inside));
        assert_eq!(ids(&nodes), [id]);
        let Node::Block(storage) = &nodes[1] else { panic!("{nodes:?}") };
        assert_eq!(storage.get("pr-manager"), Some(&Value::from(id)));
    }
}

#[test]
fn copying_up_lies_above_the_chain_and_limits_are_no_node() {
    let nodes =
        all("<disk type='file'><driver type='raw' copy_on_read='on'/><source file='/a'/><target dev='vda'/>\
                     <iotune><read_bytes_sec>5</read_bytes_sec></iotune></disk>");
    let files: Vec<_> = nodes
        .iter()
        .filter_map(|node| {
            if let Node::Block(node) = node { Some((node.get("node-name")?, node.get("file"))) } else { None }
        })
        .collect();
    let name = |text: &str| Value::from(text);
    assert_eq!(
        files,
        [
            (&name("libvirt-7-storage"), None),
            (&name("libvirt-7-format"), Some(&name("libvirt-7-storage"))),
            (&name("libvirt-CoR-vda"), Some(&name("libvirt-7-format"))),
        ]
    );
    assert!(ids(&nodes).is_empty());
}

#[test]
fn a_name_that_is_too_long_for_qemu_is_refused() {
    let domain = domain(
        "<disk type='file'><driver type='raw' copy_on_read='on'/><source file='/a'/><target dev='a-target-of-20-bytes'/></disk>",
    );
    let disk = &domain.devices.disks[0];
    let layers = declared(disk);
    let chain = Chain { disk, layers: &layers, names: Names::Numbered(1), comparison: false };
    let Err(Error::Invalid(problem)) = chain.nodes() else { panic!("it has 32 bytes") };
    assert_eq!(problem.code, "qemu.node-name");
}
