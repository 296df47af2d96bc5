//! What a document that says little is completed to.

use hostler_sdk::domain::Domain;
use hostler_sdk::domain::address::Address;

use super::{completed, domain};
use crate::complete::complete;
use crate::complete::controllers::find;
use crate::complete::draft::Draft;

/// The start tags of all devices of one name, as they are written.
fn devices(domain: &Domain, name: &str) -> Vec<String> {
    let document = domain.document();
    let devices = document.child(document.root(), "devices").unwrap();
    let all = document.elements(devices).filter(|node| document.name(*node) == name);
    all.map(|node| summary(&document.node_to_xml(node))).collect()
}

/// An element on one line.
fn summary(xml: &str) -> String {
    xml.lines().map(str::trim).collect()
}

fn child(domain: &Domain, name: &str) -> String {
    let document = domain.document();
    let node = document.child(document.root(), name).unwrap();
    summary(&document.node_to_xml(node))
}

#[test]
fn a_bare_q35_domain() {
    let domain = completed(&domain("q35", ""));
    assert_eq!(
        devices(&domain, "controller"),
        [
            "<controller type='usb' index='0' model='qemu-xhci'><address type='pci' domain='0x0000' bus='0x01' \
             slot='0x00' function='0x0'/></controller>",
            "<controller type='sata' index='0'><address type='pci' domain='0x0000' bus='0x00' slot='0x1f' \
             function='0x2'/></controller>",
            "<controller type='pci' index='0' model='pcie-root'/>",
            "<controller type='pci' index='1' model='pcie-root-port'><address type='pci' domain='0x0000' bus='0x00' \
             slot='0x01' function='0x0' multifunction='on'/><model name='pcie-root-port'/>\
             <target chassis='1' port='0x8'/></controller>",
            "<controller type='pci' index='2' model='pcie-root-port'><address type='pci' domain='0x0000' bus='0x00' \
             slot='0x01' function='0x1'/><model name='pcie-root-port'/><target chassis='2' port='0x9'/></controller>",
            // The spare one.
            "<controller type='pci' index='3' model='pcie-root-port'><address type='pci' domain='0x0000' bus='0x00' \
             slot='0x01' function='0x2'/><model name='pcie-root-port'/><target chassis='3' port='0xa'/></controller>",
        ]
    );
    assert_eq!(
        devices(&domain, "input"),
        ["<input type='mouse' bus='ps2'/>", "<input type='keyboard' bus='ps2'/>"]
    );
    assert_eq!(devices(&domain, "memballoon").len(), 1);
    assert_eq!(devices(&domain, "audio"), ["<audio id='1' type='none'/>"]);
    assert_eq!(child(&domain, "currentMemory"), "<currentMemory>65536</currentMemory>");
    let cpu = "<cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model></cpu>";
    assert_eq!(child(&domain, "cpu"), cpu);
}

#[test]
fn console_and_serial_port_bring_each_other() {
    let serial = "<serial type='file'><source path='/a&amp;b'/></serial>";
    let from_serial = completed(&domain("pc", serial));
    let console = "<console type='file'><source path='/a&amp;b'/><target type='serial' port='0'/></console>";
    assert_eq!(devices(&from_serial, "console"), [console]);
    let target = "<target port='0' type='isa-serial'><model name='isa-serial'/></target>";
    assert_eq!(devices(&from_serial, "serial"), [serial.replace("</serial>", &format!("{target}</serial>"))]);

    let from_console = completed(&domain("pc", "<console type='pty'/>"));
    assert_eq!(devices(&from_console, "serial"), [format!("<serial type='pty'>{target}</serial>")]);
    assert_eq!(devices(&from_console, "console").len(), 1);

    let virtio =
        completed(&domain("pc", "<serial type='pty'/><console type='pty'><target type='virtio'/></console>"));
    let consoles = devices(&virtio, "console");
    assert!(
        consoles[0].contains("type='serial'") && consoles[1].contains("type='virtio' port='1'"),
        "{consoles:?}"
    );
}

#[test]
fn displays_bring_video_and_sound() {
    let domain = completed(&domain("q35", "<graphics type='spice'/>"));
    let video = &devices(&domain, "video")[0];
    assert!(video.contains("<model type='cirrus' vram='16384' heads='1' primary='yes'/>"), "{video}");
    assert!(video.contains("slot='0x01'"), "{video}");
    assert_eq!(devices(&domain, "audio"), ["<audio id='1' type='spice'/>"]);
}

#[test]
fn interfaces_get_a_model_and_an_address_of_their_own() {
    let interfaces = "<interface type='user'><mac address='52:54:00:5A:5A:5A'/></interface>\
         <interface type='user'/><interface type='user'/>";
    let domain = completed(&domain("pc", interfaces));
    let macs: Vec<_> = domain.devices.interfaces.iter().map(|interface| interface.mac.unwrap().0).collect();
    let tail = |last| [0x52, 0x54, 0, 0x5a, 0x5a, last];
    assert_eq!(macs, [tail(0x5a), tail(0x5b), tail(0x5c)]);
    assert!(domain.devices.interfaces.iter().all(|interface| interface.model.as_deref() == Some("rtl8139")));
}

#[test]
fn a_topology_alone_keeps_the_processor_of_the_machine() {
    let cpu = "<cpu><topology sockets='1' cores='1' threads='1'/></cpu>";
    let xml = domain("pc", "").replace("<devices>", &format!("{cpu}<devices>"));
    for (emulator, model) in
        [("/usr/bin/qemu-system-i386", "qemu32"), ("/usr/bin/qemu-system-x86_64", "qemu64")]
    {
        let given = format!("<devices><emulator>{emulator}</emulator>");
        let completed = completed(&xml.replace("x86_64", "i686").replace("<devices>", &given));
        assert_eq!(
            child(&completed, "cpu"),
            format!(
                "<cpu mode='custom' match='exact' check='none'><model fallback='forbid'>{model}</model>\
                 <topology sockets='1' cores='1' threads='1'/></cpu>"
            )
        );
    }
}

#[test]
fn a_full_pci_bus_is_followed_by_a_bridge() {
    let rng = "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>";
    let bridges = |count: usize| {
        let domain = completed(&domain("pc", &rng.repeat(count)));
        domain.devices.controllers.iter().filter(|known| known.model.as_deref() == Some("pci-bridge")).count()
    };
    // Slots 2 to 31, less the balloon, less the one that is kept free.
    assert_eq!(bridges(28), 0);
    assert_eq!(bridges(29), 1);
}

#[test]
fn memory_modules_get_slots() {
    let xml = domain("pc", "<memory model='dimm'><target><size>1024</size><node>0</node></target></memory>");
    let xml = xml.replace("<vcpu>", "<maxMemory slots='1'>999999</maxMemory><vcpu>");
    let numa = "<cpu><numa><cell id='0' cpus='0' memory='65536'/></numa></cpu><devices>";
    let domain = completed(&xml.replace("<devices>", numa));
    assert!(devices(&domain, "memory")[0].contains("<address type='dimm' slot='0'/>"));
}

#[test]
fn random_bytes_are_asked_for_only_when_needed() {
    let bare = Domain::parse(&domain("pc", "")).unwrap();
    let mut asked = 0;
    complete(bare, |_| asked += 1).unwrap();
    assert_eq!(asked, 0);
}

/// Where a controller sits, as bus and slot.
fn place_of(domain: &Domain, kind: &str, index: u32) -> (u8, u8) {
    let draft = Draft::new(domain.document().clone()).unwrap();
    let controller = find(&draft, kind, index).unwrap();
    match draft.place(controller.node) {
        Some(Address::Pci(place)) => (place.bus, place.slot),
        other => panic!("{other:?}"),
    }
}

#[test]
fn added_controllers_are_served_after_those_of_the_author() {
    // As libvirt 9.0 does it: the second and third SCSI controller come after USB, behind a bridge of their own.
    let devices = "<controller type='scsi' index='0' model='virtio-scsi'/>\
         <disk type='block'><target dev='sdh' bus='scsi'/></disk>\
         <disk type='block'><target dev='sdp' bus='scsi'/></disk>\
         <disk type='block'><target dev='sdg' bus='scsi'/></disk><graphics type='vnc'/>";
    let domain = completed(&domain("q35", devices));
    assert_eq!(place_of(&domain, "scsi", 0), (2, 0));
    assert_eq!(place_of(&domain, "usb", 0), (3, 0));
    assert_eq!(place_of(&domain, "pci", 4), (1, 0), "the bridge sits in the first port");
    assert_eq!(place_of(&domain, "scsi", 1), (4, 1));
    assert_eq!(place_of(&domain, "scsi", 2), (4, 2));
    assert_eq!(place_of(&domain, "pci", 6), (0, 2), "the spare port");
}
