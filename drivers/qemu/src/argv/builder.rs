//! What all families of options write into, and what they look up.

use std::collections::BTreeMap;

use hostler_sdk::domain::address::{Address, PciAddress};
use hostler_sdk::domain::controller::{Controller, ControllerType};
use hostler_sdk::domain::device_info::DeviceInfo;
use hostler_sdk::domain::disk::Disk;
use hostler_sdk::domain::{Domain, NodeId};
use hostler_sdk::{Error, Launch, ProblemExt, Value, problem};

use super::{Inputs, boot_index, comparison, override_property};
use crate::blockdev;
use crate::machine::Machine;

/// A command line in the making.
pub(crate) struct Builder<'a> {
    /// What it is made from.
    pub(crate) inputs: Inputs<'a>,
    /// The completed document.
    pub(crate) domain: &'a Domain,
    /// Its machine.
    pub(crate) machine: Machine,
    /// The disks, in the order of the command line.
    pub(crate) disks: Vec<&'a Disk>,
    /// The number of each disk's active layer.
    pub(crate) numbers: BTreeMap<String, u32>,
    /// The first number of a block node that no disk uses.
    pub(crate) next_number: u32,
    /// What has been written so far.
    pub(crate) launch: Launch,
    boot: BTreeMap<NodeId, u32>,
}

impl<'a> Builder<'a> {
    /// An empty command line for this domain.
    pub(crate) fn new(inputs: Inputs<'a>, template: &str) -> Self {
        let domain = inputs.domain;
        let disks = blockdev::in_order(&domain.devices.disks);
        let (numbers, next_number) = blockdev::first_numbers(&disks, inputs.chains);
        Builder {
            machine: Machine::of(domain.os.machine.as_deref().unwrap_or(crate::machine::DEFAULT_MACHINE)),
            boot: boot_index::indexes(domain, &disks),
            launch: Launch::new(template),
            inputs,
            domain,
            disks,
            numbers,
            next_number,
        }
    }

    /// Adds an option with a value.
    pub(crate) fn option(&mut self, name: &str, value: impl Into<Value>) {
        self.launch.option(name, value);
    }

    /// Adds a network back end.
    pub(crate) fn netdev(&mut self, value: Value) {
        let shown = if self.inputs.facts.comparison { comparison::netdev(&value) } else { value };
        self.option("netdev", shown);
    }

    /// Adds a device as it is.
    pub(crate) fn bare_device(&mut self, value: Value) {
        self.option("device", value);
    }

    /// Adds a device that the document describes, with what the document overrides in it.
    pub(crate) fn device(&mut self, node: NodeId, mut value: Value) {
        let alias = self.inputs.aliases.get(node).unwrap_or_default();
        for device in self.domain.qemu.overrides.iter().filter(|device| device.alias == alias) {
            device.frontend.iter().for_each(|property| override_property(&mut value, property));
        }
        self.option("device", value);
    }

    /// The id of a device.
    ///
    /// # Errors
    /// The device got none: the document was not completed.
    pub(crate) fn id(&self, node: NodeId) -> Result<&'a str, Error> {
        self.inputs.aliases.get(node).ok_or_else(|| self.at(node, "qemu.alias", "got no alias").conflict())
    }

    /// The boot index of a device; none when it is not booted from.
    pub(crate) fn boot_index(&self, node: NodeId, info: &DeviceInfo) -> Option<u32> {
        info.boot_order.or_else(|| self.boot.get(&node).copied())
    }

    /// A problem with one element of the document.
    pub(crate) fn at(&self, node: NodeId, code: &str, what: &str) -> hostler_sdk::Problem {
        // What completion added stands nowhere in the author's text.
        let written = !self.inputs.author.name(node).is_empty();
        let document = if written { self.inputs.author } else { self.domain.document() };
        let (position, path) = (document.position(node), document.path(node));
        problem(code, format!("<{}> {what}", document.name(node)))
            .detail("line", position.line.to_string())
            .detail("column", position.column.to_string())
            .detail("element", path)
    }

    /// The problem of an element that this driver cannot run.
    pub(crate) fn unsupported(&self, node: NodeId, what: &str) -> Error {
        self.at(node, "qemu.unsupported", what)
            .hint("remove the element, or choose another model")
            .unsupported()
    }

    /// The problem of an element that QEMU can run, with something of the host that drivers are not handed.
    pub(crate) fn not_offered(&self, node: NodeId, what: &str) -> Error {
        self.at(node, "qemu.not-offered", what)
            .hint("remove the element, or start the domain on a host that offers this")
            .unsupported()
    }

    /// The controller of this kind with this index.
    pub(crate) fn controller(&self, kind: ControllerType, index: u32) -> Option<&'a Controller> {
        self.domain.devices.controllers.iter().find(|one| one.kind == kind && one.index == Some(index))
    }

    /// The id of the controller of this kind with this index.
    ///
    /// # Errors
    /// There is none: the document was not completed.
    pub(crate) fn controller_id(
        &self,
        kind: ControllerType,
        index: u32,
        user: NodeId,
    ) -> Result<&'a str, Error> {
        let found = self.controller(kind, index);
        let missing = || {
            self.at(
                user,
                "qemu.controller",
                &format!("refers to {kind} controller {index}, which is not there"),
            )
        };
        self.id(found.ok_or_else(|| missing().invalid())?.node)
    }

    /// Adds where a device is plugged in, and what else any device can carry.
    ///
    /// # Errors
    /// An address on a bus that is not there, or of a kind that no machine of this driver has.
    pub(crate) fn place(&self, value: &mut Value, node: NodeId, info: &DeviceInfo) -> Result<(), Error> {
        match &info.address {
            Some(Address::Pci(pci)) => self.place_pci(value, node, pci)?,
            Some(Address::Usb { bus, port }) => {
                value.set("bus", format!("{}.0", self.controller_id(ControllerType::Usb, *bus, node)?));
                value.set("port", port.as_str());
            }
            Some(Address::Isa { iobase, irq }) => {
                set_some(value, "iobase", *iobase);
                set_some(value, "irq", *irq);
            }
            Some(Address::Ccw(_) | Address::SpaprVio { .. }) => {
                return Err(self.unsupported(node, "has an address that no x86 machine has"));
            }
            _ => {}
        }
        set_some(value, "acpi-index", info.acpi_index);
        if let Some(rom) = &info.rom {
            set_some(value, "rombar", rom.bar.map(u32::from));
            let file = if rom.enabled == Some(false) { Some("") } else { rom.file.as_deref() };
            set_some(value, "romfile", file);
        }
        Ok(())
    }

    fn place_pci(&self, value: &mut Value, node: NodeId, pci: &PciAddress) -> Result<(), Error> {
        let bus = self.controller_id(ControllerType::Pci, u32::from(pci.bus), node)?;
        value.set("bus", bus);
        set_some(value, "multifunction", pci.multifunction);
        let slot = format!("0x{:x}", pci.slot);
        value.set("addr", if pci.function == 0 { slot } else { format!("{slot}.0x{:x}", pci.function) });
        Ok(())
    }
}

/// Adds a named value if there is one.
pub(crate) fn set_some(value: &mut Value, key: &str, some: Option<impl Into<Value>>) {
    if let Some(some) = some {
        value.set(key, some);
    }
}
