//! Every member that a document can ask for is one that QEMU knows.

use super::super::documents::{disk, nodes};
use crate::qemu::Schema;
use hostler_driver_qemu::blockdev::Names;

const AUTH: &str = "<auth username='u'><secret type='iscsi' usage='s'/></auth>";
const LUKS: &str = "<encryption format='luks'><secret type='passphrase' usage='s'/></encryption>";
const HOST: &str = "<host name='h' port='1'/>";

/// Sources on servers: protocol and attributes, and what is inside.
fn servers() -> Vec<(&'static str, String)> {
    let web = format!(
        "{HOST}<ssl verify='no'/><cookies><cookie name='c'>v</cookie></cookies><readahead size='1024'/>\
         <timeout seconds='5'/>{AUTH}"
    );
    let two = format!("{HOST}<host name='i'/>");
    let ceph = |keys: usize| {
        let secret = "<secret type='passphrase' usage='s'/>".repeat(keys);
        format!("{HOST}{AUTH}<encryption format='luks' engine='librbd'>{secret}</encryption>")
    };
    vec![
        ("nbd", HOST.to_owned()),
        ("nbd' name='e' tls='yes' tlsHostname='x", format!("{HOST}<reconnect delay='3'/>")),
        ("nbd", "<host transport='unix' socket='/s'/>".to_owned()),
        ("rbd' name='p/i", format!("{two}<snapshot name='s'/><config file='/c'/>{AUTH}")),
        ("rbd' name='p/i", String::new()),
        ("rbd' name='p/i", ceph(1)),
        ("gluster' name='v/p", format!("{two}<host transport='unix' socket='/s'/>")),
        ("iscsi' name='iqn.a:t/3", format!("{HOST}<initiator><iqn name='iqn.b'/></initiator>{AUTH}")),
        ("https' name='a' query='q=1", web.clone()),
        ("http' name='a", web.replace("<ssl verify='no'/>", "")),
        ("ftps' name='a", format!("{HOST}<ssl verify='yes'/><timeout seconds='5'/>{AUTH}")),
        ("ftp' name='a", HOST.to_owned()),
        ("ssh' name='a", format!("{HOST}{AUTH}")),
        ("nfs' name='/e/a", "<host name='h'/><identity user='+1' group='+2'/>".to_owned()),
    ]
}

fn disks() -> Vec<String> {
    let options = "cache='none' io='native' discard='unmap' detect_zeroes='unmap' copy_on_read='on'";
    let one = |kind: &str, driver: &str, source: String| {
        format!(
            "<disk type='{kind}'><driver name='qemu' {driver} {options}/>{source}<target dev='vda'/></disk>"
        )
    };
    let slice = "<slices><slice type='storage' offset='512' size='1024'/></slices>";
    let mut disks = Vec::new();
    for (protocol, inside) in servers() {
        for format in ["raw", "qcow2"] {
            let source = format!("<source protocol='{protocol}'>{inside}</source>");
            disks.push(one("network", &format!("type='{format}'"), source));
        }
    }
    for format in
        ["raw", "qcow2", "qcow", "qed", "vmdk", "vdi", "vpc", "vhdx", "vhd", "parallels", "ploop", "dmg"]
    {
        disks.push(one("file", &format!("type='{format}'"), format!("<source file='/a'>{slice}</source>")));
        disks.push(one("file", &format!("type='{format}'"), "<source file='/a'/><backingStore/>".to_owned()));
    }
    for format in ["raw", "qcow2"] {
        disks.push(one(
            "file",
            &format!("type='{format}'"),
            format!("<source file='/a'>{slice}{LUKS}</source>"),
        ));
    }
    let address = "<address domain='0' bus='1' slot='0' function='0'/>";
    disks.push(one("nvme", "type='raw'", format!("<source type='pci' namespace='1'>{address}</source>")));
    disks.push(one(
        "block",
        "type='raw'",
        "<source dev='/dev/cdrom'><reservations managed='yes'/></source>".to_owned(),
    ));
    disks.push(one("dir", "type='fat'", "<source dir='/d'/><readonly/>".to_owned()));
    disks.push(
        "<disk type='file'><driver type='qcow2'><metadata_cache><max_size unit='MiB'>1</max_size></metadata_cache></driver>\
         <source file='/a'/></disk>"
            .to_owned(),
    );
    disks
}

#[test]
fn whatever_a_document_asks_for_qemu_knows() {
    let schema = Schema::of_installed().unwrap();
    let mut checked = 0;
    for element in disks() {
        let found = nodes(&disk(&element).unwrap(), Names::Numbered(1)).unwrap();
        for node in found {
            assert!(schema.has_block_driver(node["driver"].as_str().unwrap()), "{node}");
            schema
                .check_command("blockdev-add", &node)
                .unwrap_or_else(|why| panic!("{element}\n{node}: {why}"));
            checked += 1;
        }
    }
    assert!(checked > 150, "{checked}");
}
