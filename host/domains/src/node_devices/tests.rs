//! A machine of our own making, and the one that the tests run on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use hostler_domain::Document;

use super::*;

/// Writes the facts of a device, and a link to it from where devices of its kind are looked for.
fn device(sys: &Path, place: &str, link: &str, facts: &[(&str, &str)]) {
    let directory = sys.join("devices").join(place);
    for (name, value) in facts {
        let file = directory.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, format!("{value}\n")).unwrap();
    }
    let link = sys.join(link);
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink(directory, link).unwrap();
}

fn machine() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let sys = root.path();
    device(sys, "virtual/dmi/id", "class/dmi/id", &[("product_name", "A & B"), ("bios_vendor", "C")]);
    let pci = [("class", "0x010802"), ("vendor", "0x1af4"), ("device", "0x1042"), ("numa_node", "-1")];
    device(sys, "pci0000:00/0000:00:01.0", "bus/pci/devices/0000:00:01.0", &pci);
    let bridged =
        [("class", "0x020000"), ("vendor", "0x8086"), ("device", "0x10d3"), ("sriov_totalvfs", "7")];
    device(sys, "pci0000:00/0000:00:01.0/0000:01:00.0", "bus/pci/devices/0000:01:00.0", &bridged);
    let port = [("address", "52:54:00:00:00:01"), ("operstate", "up"), ("speed", "1000"), ("type", "1")];
    device(sys, "pci0000:00/0000:00:01.0/0000:01:00.0/net/eth0", "class/net/eth0", &port);
    device(
        sys,
        "virtual/net/vnet0",
        "class/net/vnet0",
        &[("tun_flags", "0x1002"), ("address", "fe:00:00:00:00:01")],
    );
    let disk = [
        ("size", "2048"),
        ("serial", "AB-1"),
        ("removable", "0"),
        ("queue/logical_block_size", "4096"),
        ("device/model", "m"),
    ];
    device(sys, "pci0000:00/0000:00:01.0/virtio1/block/vda", "block/vda", &disk);
    device(sys, "virtual/block/loop0", "block/loop0", &[("size", "8")]);
    let usb = [
        ("busnum", "1"),
        ("devnum", "3"),
        ("idProduct", "0001"),
        ("idVendor", "0627"),
        ("product", "Tab\u{1}let"),
    ];
    device(sys, "pci0000:00/usb1/1-1", "bus/usb/devices/1-1", &usb);
    let interface = [
        ("bInterfaceNumber", "00"),
        ("bInterfaceClass", "03"),
        ("bInterfaceSubClass", "00"),
        ("bInterfaceProtocol", "0a"),
    ];
    device(sys, "pci0000:00/usb1/1-1/1-1:1.0", "bus/usb/devices/1-1:1.0", &interface);
    root
}

#[test]
fn devices_are_found_with_what_they_are_connected_to() {
    let machine = machine();
    let found = all(machine.path());
    let lines: Vec<_> = found
        .iter()
        .map(|device| format!("{} < {}", device.name, device.parent.as_deref().unwrap_or("-")))
        .collect();
    assert_eq!(
        lines,
        [
            "block_vda_AB_1 < pci_0000_00_01_0",
            "computer < -",
            "net_eth0_52_54_00_00_00_01 < pci_0000_01_00_0",
            "pci_0000_00_01_0 < computer",
            "pci_0000_01_00_0 < pci_0000_00_01_0",
            "usb_1_1 < computer",
            "usb_1_1_1_0 < usb_1_1",
        ]
    );
}

#[test]
fn documents_have_the_facts() {
    let machine = machine();
    let found = all(machine.path());
    let xml = |name: &str| &found.iter().find(|device| device.name == name).unwrap().xml;
    for (name, facts) in [
        ("computer", &["<product>A &amp; B</product>", "<vendor>C</vendor>"][..]),
        ("pci_0000_00_01_0", &["<class>0x010802</class>", "<slot>1</slot>", "<vendor id='0x1af4'/>"]),
        ("pci_0000_01_00_0", &["maxCount='7'", "<bus>1</bus>"]),
        (
            "net_eth0_52_54_00_00_00_01",
            &["<interface>eth0</interface>", "<link speed='1000' state='up'/>", "'80203'"],
        ),
        (
            "block_vda_AB_1",
            &["<block>/dev/vda</block>", "<size>1048576</size>", "<num_blocks>256</num_blocks>"],
        ),
        ("usb_1_1", &["<device>3</device>", "<product id='0x0001'>Tablet</product>"]),
        ("usb_1_1_1_0", &["<protocol>10</protocol>", "type='usb'"]),
    ] {
        let xml = xml(name);
        Document::parse(xml).unwrap();
        for fact in facts {
            assert!(xml.contains(fact), "{fact}: {xml}");
        }
    }
}

#[test]
fn this_machine_has_itself_and_its_loopback_device() {
    let found = all(Path::new(SYS));
    assert!(found.iter().any(|device| device.name == COMPUTER));
    assert!(found.iter().any(|device| device.name.starts_with("net_lo_")), "{found:?}");
    for device in &found {
        Document::parse(&device.xml).unwrap();
        let parent = device.parent.as_deref();
        assert!(parent.is_none_or(|parent| found.iter().any(|other| other.name == parent)), "{device:?}");
    }
}
