//! What cannot be is refused, with the element, its line and a remedy.

use hostler_sdk::domain::Domain;
use hostler_sdk::{Error, Problem};

use super::domain;
use crate::complete::complete;

fn refusal(xml: &str) -> Problem {
    match complete(Domain::parse(xml).unwrap(), |bytes| bytes.fill(1)) {
        Err(Error::Invalid(problem) | Error::Unsupported(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

fn refused(machine: &str, devices: &str) -> String {
    let problem = refusal(&domain(machine, devices));
    assert!(!problem.hints.is_empty(), "no remedy: {problem:?}");
    let line = problem.details.iter().find(|detail| detail.key == "line").unwrap();
    assert!(line.value.parse::<u32>().unwrap() >= 1);
    problem.code
}

const RNG: &str = "<rng model='virtio'><backend model='random'>/dev/urandom</backend>";

fn rng_at(bus: &str, slot: &str) -> String {
    format!("{RNG}<address type='pci' bus='{bus}' slot='{slot}'/></rng>")
}

#[test]
fn two_devices_at_one_place() {
    let usb = format!("{RNG}<address type='pci' slot='1' function='2'/></rng>");
    let problem = refusal(&domain("pc", &usb));
    assert_eq!(problem.code, "qemu.address-in-use");
    assert!(problem.message.contains("0000:00:01.2 is already taken by domain/devices/rng"), "{problem:?}");
    let drive = "<address type='drive' controller='0' bus='0' target='0' unit='1'/>";
    let disks = format!(
        "<disk type='block'><target dev='hda' bus='ide'/>{drive}</disk><disk type='block'><target dev='hdb' bus='ide'/></disk>"
    );
    assert_eq!(refused("pc", &disks), "qemu.address-in-use");
    let channel = "<channel type='pty'><target type='virtio' name='NAME'/><address type='virtio-serial' port='1'/></channel>";
    let channels = [channel.replace("NAME", "a"), channel.replace("NAME", "b")].concat();
    assert_eq!(refused("pc", &channels), "qemu.address-in-use");
    let input = "<input type='mouse' bus='usb'><address type='usb' bus='0' port='1'/></input>";
    assert_eq!(refused("pc", &input.repeat(2)), "qemu.address-in-use");
}

#[test]
fn places_that_do_not_exist() {
    assert_eq!(refused("pc", &rng_at("0", "1")), "qemu.address-fixed");
    assert_eq!(
        refused("pc", "<controller type='ide' index='0'><address type='pci' slot='7'/></controller>"),
        "qemu.address-fixed"
    );
    let domain_1 = format!("{RNG}<address type='pci' domain='1' slot='5'/></rng>");
    assert_eq!(refused("q35", &domain_1), "qemu.address-domain");
    let port = "<controller type='pci' index='1' model='pcie-root-port'/>";
    assert_eq!(refused("q35", &[port, &rng_at("1", "5")].concat()), "qemu.address-no-slot");
    let usb = "<input type='mouse' bus='usb'><address type='usb' bus='0' port='9'/></input>";
    assert_eq!(refused("pc", usb), "qemu.address-no-port");
    let channel = "<channel type='pty'><target type='virtio' name='a'/><address type='virtio-serial' port='31'/></channel>";
    assert_eq!(refused("pc", channel), "qemu.address-no-port");
}

#[test]
fn devices_that_the_machine_cannot_have() {
    assert_eq!(refused("q35", "<disk type='block'><target dev='hda' bus='ide'/></disk>"), "qemu.ide-absent");
    assert_eq!(refused("isapc", "<sound model='ac97'/>"), "qemu.pci-absent");
    assert_eq!(refused("isapc", &format!("{RNG}</rng>")), "qemu.pci-absent");
    assert_eq!(refused("microvm", "<sound model='ac97'/>"), "qemu.pci-absent");
    complete(Domain::parse(&domain("microvm", &format!("{RNG}</rng>"))).unwrap(), |_| {}).unwrap();
    assert_eq!(refused("q35", "<controller type='pci' index='0' model='pci-root'/>"), "qemu.pci-root");
    assert_eq!(
        refused("pc", "<controller type='pci' index='1' model='pcie-root-port'/>"),
        "qemu.address-full"
    );
    let floppy = "<disk type='block' device='floppy'><target dev='fdc' bus='fdc'/></disk>";
    assert_eq!(refused("pc", floppy), "qemu.floppy-controller");
    assert_eq!(refused("virt", ""), "qemu.machine-unsupported");
    let none = "<controller type='usb' model='none'/><input type='mouse' bus='usb'/>";
    assert_eq!(refused("pc", none), "qemu.usb-disabled");
}

#[test]
fn addresses_of_another_type() {
    let drive = "<address type='drive' controller='0' bus='0' target='0' unit='0'/>";
    assert_eq!(refused("pc", &format!("{RNG}{drive}</rng>")), "qemu.address-type");
    let disk = "<disk type='block'><target dev='sda' bus='scsi'/><address type='pci' slot='5'/></disk>";
    assert_eq!(refused("pc", disk), "qemu.address-type");
}

#[test]
fn too_much() {
    assert_eq!(refused("q35", &rng_at("0", "0").replace(" slot='0'", "").repeat(300)), "qemu.address-full");
    assert_eq!(
        refused("pc", &"<rng/>".replace("<rng/>", &format!("{RNG}</rng>")).repeat(2049)),
        "qemu.too-many-devices"
    );
    let far = "<disk type='block'><target dev='sda' bus='scsi'/><address type='drive' controller='4000000000'/></disk>";
    assert_eq!(refused("pc", far), "qemu.controller-index");
}
