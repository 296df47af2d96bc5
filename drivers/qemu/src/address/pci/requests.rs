//! Which devices sit on PCI, what each asks of its bus, and in which order they are served.

use hostler_sdk::domain::NodeId;
use hostler_sdk::domain::address::{Address, PciAddress};
use hostler_sdk::{Error, ProblemExt};

use super::connect::Plug;
use super::kinds;
use crate::address::drive;
use crate::complete::controllers::{self, Controller};
use crate::complete::draft::Draft;
use crate::complete::video;
use crate::machine::MachineKind;

/// What is particular about the place of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing: any suitable place will do.
    Ordinary,
    /// IDE controller 0 of PIIX3.
    PrimaryIde,
    /// USB controller 0 of PIIX3.
    PrimaryUsb,
    /// SATA controller 0 of ICH9.
    PrimarySata,
    /// One of the functions of an ICH9 USB 2 controller: they share a slot.
    Ich9Usb { group: u32, function: u8 },
    /// `dmi-to-pci-bridge`: slot 0x1e when free.
    DmiBridge,
    /// The first video device.
    PrimaryVideo,
    /// An ICH9 sound device: the first gets slot 0x1b.
    Ich9Sound,
}

/// A device that sits on PCI.
#[derive(Debug, Clone)]
pub(super) struct Resident {
    /// The element.
    pub(super) node: NodeId,
    /// What it is to its bus.
    pub(super) plug: Plug,
    /// What is particular about its place.
    pub(super) role: Role,
    /// The place that the document gives.
    pub(super) given: Option<PciAddress>,
}

/// Every device that sits on PCI, in the order in which they are served.
///
/// # Errors
/// A device that can sit on PCI only has an address of another type.
pub(super) fn residents(draft: &Draft) -> Result<Vec<Resident>, Error> {
    let mut list = Residents { draft, found: Vec::new(), misplaced: None };
    let controllers = controllers::listed(draft);
    for controller in controllers.iter().filter(|controller| controller.kind == "pci") {
        list.pci_controller(controller);
    }
    list.each("filesystem", kinds::filesystem);
    list.each("interface", kinds::interface);
    list.each("sound", kinds::sound);
    for controller in controllers.iter().filter(|controller| controller.kind != "pci") {
        if let Some((plug, role)) = kinds::controller(draft, controller) {
            list.add(controller.node, plug, role);
        }
    }
    for disk in drive::in_target_order(draft, "virtio") {
        list.add(disk, kinds::virtio(draft, disk), Role::Ordinary);
    }
    list.each("interface", kinds::passed_through_interface);
    list.each("hostdev", kinds::hostdev);
    list.each("memballoon", kinds::by_virtio_model);
    list.each("rng", kinds::by_virtio_model);
    list.each("watchdog", |draft, node| draft.says(node, "model", "i6300esb").then_some(Plug::Pci));
    list.videos();
    list.each("shmem", |_, _| Some(Plug::Pci));
    list.each("input", |draft, node| draft.says(node, "bus", "virtio").then(|| kinds::virtio(draft, node)));
    list.each("serial", kinds::pci_serial);
    list.each("iommu", |draft, node| draft.says(node, "model", "virtio").then_some(Plug::Integrated));
    list.each("vsock", kinds::by_virtio_model);
    list.each("memory", kinds::memory);
    match list.misplaced {
        Some(node) => Err(refuse_address_type(draft, node)),
        None => Ok(list.found),
    }
}

fn refuse_address_type(draft: &Draft, node: NodeId) -> Error {
    let given = draft.address_type(node).unwrap_or_default();
    draft
        .refuse(
            node,
            "qemu.address-type",
            format!("this device sits on PCI and cannot have an address of type '{given}'"),
        )
        .hint("leave the address out, or use type='pci'")
        .unsupported()
}

struct Residents<'d> {
    draft: &'d Draft,
    found: Vec<Resident>,
    /// The first device whose address is of a type that it cannot have.
    misplaced: Option<NodeId>,
}

impl Residents<'_> {
    fn each(&mut self, name: &str, request: impl Fn(&Draft, NodeId) -> Option<Plug>) {
        for node in self.draft.devices(name) {
            let Some(plug) = request(self.draft, node) else { continue };
            let ich9_sound = name == "sound" && self.draft.says(node, "model", "ich9");
            self.add(node, plug, if ich9_sound { Role::Ich9Sound } else { Role::Ordinary });
        }
    }

    fn add(&mut self, node: NodeId, plug: Plug, role: Role) {
        let given = match self.draft.place(node) {
            Some(Address::Pci(place)) => Some(place).filter(|place| !place.is_unassigned()),
            // Deliberately elsewhere.
            _ if self.is_elsewhere(node) => return,
            None if self.draft.address_type(node).is_none() => None,
            _ => {
                self.misplaced.get_or_insert(node);
                return;
            }
        };
        // On a machine without PCI Express every device is a conventional one.
        let conventional = self.draft.machine.kind == MachineKind::I440fx;
        let plug = match plug {
            Plug::Express | Plug::Integrated if conventional => Plug::Pci,
            plug => plug,
        };
        self.found.push(Resident { node, plug, role, given });
    }

    /// Whether the document says that a device has no place on PCI, and the machine allows that.
    fn is_elsewhere(&self, node: NodeId) -> bool {
        match self.draft.address_type(node) {
            Some("unassigned") => true,
            Some("virtio-mmio") => self.draft.machine.kind == MachineKind::Microvm,
            _ => false,
        }
    }

    fn pci_controller(&mut self, controller: &Controller) {
        if let Some(plug) = Plug::of_controller(&controller.model) {
            let role = if plug == Plug::DmiToPci { Role::DmiBridge } else { Role::Ordinary };
            self.add(controller.node, plug, role);
        }
    }

    fn videos(&mut self) {
        for (place, node) in video::in_order(self.draft).into_iter().enumerate() {
            if let Some(plug) = kinds::video(self.draft, node) {
                self.add(node, plug, if place == 0 { Role::PrimaryVideo } else { Role::Ordinary });
            }
        }
    }
}
