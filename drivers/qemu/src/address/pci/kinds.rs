//! What each kind of device is to its bus: conventional PCI, PCI Express, or not on PCI at all.

use hostler_sdk::domain::NodeId;

use super::connect::Plug;
use super::requests::Role;
use crate::complete::controllers::Controller;
use crate::complete::draft::Draft;

/// Network cards by the names that libvirt has for them, whatever QEMU makes of those; all others are taken for PCI Express.
const CONVENTIONAL_CARDS: [&str; 15] = [
    "rtl8139",
    "e1000",
    "vmxnet3",
    "netfront",
    "lan9118",
    "scm91c111",
    "spapr-vlan",
    "vlance",
    "vmxnet",
    "vmxnet2",
    "Am79C970A",
    "Am79C973",
    "82540EM",
    "82545EM",
    "82543GC",
];

/// Whether a device's model is the one for guests that know only old virtio: a conventional device.
fn flavour(model: Option<&str>) -> Plug {
    if model.is_some_and(|model| model.ends_with("-transitional") && !model.ends_with("-non-transitional")) {
        Plug::Pci
    } else {
        Plug::Express
    }
}

/// A device whose `model` says which flavour of virtio it is.
pub(super) fn virtio(draft: &Draft, node: NodeId) -> Plug {
    flavour(draft.get(node, "model"))
}

/// As [`virtio`], for devices that `none` switches off.
pub(super) fn by_virtio_model(draft: &Draft, node: NodeId) -> Option<Plug> {
    let model = draft.get(node, "model");
    (model != Some("none")).then(|| flavour(model))
}

/// Shared directories are all virtio.
pub(super) fn filesystem(draft: &Draft, node: NodeId) -> Option<Plug> {
    Some(virtio(draft, node))
}

/// Network cards; one that nobody here knows is taken for PCI Express.
pub(super) fn interface(draft: &Draft, node: NodeId) -> Option<Plug> {
    if draft.says(node, "type", "hostdev") {
        return None;
    }
    match draft.child_get(node, "model", "type") {
        Some("usb-net") => None,
        Some(model) if CONVENTIONAL_CARDS.contains(&model) => Some(Plug::Pci),
        model => Some(flavour(model)),
    }
}

/// Interfaces that are devices of the host.
pub(super) fn passed_through_interface(draft: &Draft, node: NodeId) -> Option<Plug> {
    draft.says(node, "type", "hostdev").then_some(Plug::Express)
}

/// Sound cards.
pub(super) fn sound(draft: &Draft, node: NodeId) -> Option<Plug> {
    (!matches!(draft.get(node, "model"), Some("sb16" | "pcspk" | "usb"))).then_some(Plug::Pci)
}

/// Devices of the host.
pub(super) fn hostdev(draft: &Draft, node: NodeId) -> Option<Plug> {
    match draft.get(node, "type") {
        Some("pci") => Some(Plug::Express),
        Some("mdev") => {
            (!matches!(draft.get(node, "model"), Some("vfio-ap" | "vfio-ccw"))).then_some(Plug::Express)
        }
        Some("scsi_host") => Some(virtio(draft, node)),
        _ => None,
    }
}

/// Graphics cards; two of them are on no bus.
pub(super) fn video(draft: &Draft, node: NodeId) -> Option<Plug> {
    match draft.child_get(node, "model", "type") {
        Some("none" | "ramfb") => None,
        Some("bochs" | "virtio") => Some(Plug::Express),
        _ => Some(Plug::Pci),
    }
}

/// Serial ports on PCI.
pub(super) fn pci_serial(draft: &Draft, node: NodeId) -> Option<Plug> {
    (draft.child_get(node, "target", "type") == Some("pci-serial")).then_some(Plug::Pci)
}

/// Memory that is a virtio device.
pub(super) fn memory(draft: &Draft, node: NodeId) -> Option<Plug> {
    matches!(draft.get(node, "model"), Some("virtio-mem" | "virtio-pmem")).then_some(Plug::Express)
}

/// Controllers other than PCI ones.
pub(super) fn controller(draft: &Draft, controller: &Controller) -> Option<(Plug, Role)> {
    let machine = draft.machine;
    let first = controller.index == Some(0);
    match controller.kind.as_str() {
        "ide" if machine.has_builtin_ide() => first.then_some((Plug::Pci, Role::PrimaryIde)),
        "sata" if first && machine.has_builtin_sata() => Some((Plug::Pci, Role::PrimarySata)),
        "sata" | "ide" => Some((Plug::Pci, Role::Ordinary)),
        "usb" => usb(controller, first && !machine.is_express()),
        "scsi" | "virtio-serial" => {
            let model = controller.model.as_str();
            let express = matches!(model, "" | "virtio-scsi") || model.starts_with("virtio");
            Some((if express { flavour(Some(model)) } else { Plug::Pci }, Role::Ordinary))
        }
        _ => None,
    }
}

/// USB controllers; `builtin` says whether this is the one in PIIX3.
fn usb(controller: &Controller, builtin: bool) -> Option<(Plug, Role)> {
    let group = controller.index.unwrap_or(0);
    let ich9 = |function| Some((Plug::Pci, Role::Ich9Usb { group, function }));
    match controller.model.as_str() {
        "none" => None,
        "qemu-xhci" | "nec-xhci" => Some((Plug::Express, Role::Ordinary)),
        "ich9-ehci1" => ich9(7),
        "ich9-uhci1" => ich9(0),
        "ich9-uhci2" => ich9(1),
        "ich9-uhci3" => ich9(2),
        "piix3-uhci" | "" if builtin => Some((Plug::Pci, Role::PrimaryUsb)),
        _ => Some((Plug::Pci, Role::Ordinary)),
    }
}
