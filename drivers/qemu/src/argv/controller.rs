//! Controllers, by type in libvirt's order, then by index.

use hostler_sdk::domain::controller::{Controller, ControllerType};
use hostler_sdk::{Error, Value};

use super::builder::{Builder, set_some};
use super::virtio;
use crate::machine::{UNNAMED_SCSI_MODEL, UNNAMED_USB_MODEL};

/// The types that become devices of their own, in order.
const ORDER: &[ControllerType] = &[
    ControllerType::Pci,
    ControllerType::Usb,
    ControllerType::Scsi,
    ControllerType::Ide,
    ControllerType::Sata,
    ControllerType::VirtioSerial,
];

/// All controllers but those that the machine has, and those that come with their devices.
pub(super) fn controllers(builder: &mut Builder<'_>) -> Result<(), Error> {
    refuse_foreign(builder)?;
    for kind in ORDER {
        for controller in of_kind(builder, *kind) {
            if !is_builtin(builder, controller) {
                one(builder, controller)?;
            }
        }
    }
    Ok(())
}

/// One controller.
///
/// # Errors
/// A type or a model that this machine does not take; an address that is not there.
pub(super) fn one(builder: &mut Builder<'_>, controller: &Controller) -> Result<(), Error> {
    let value = match controller.kind {
        ControllerType::Pci => pci(builder, controller)?,
        ControllerType::Usb => usb(builder, controller)?,
        ControllerType::Scsi => scsi(builder, controller)?,
        ControllerType::Sata => device(builder, controller, "ahci")?,
        ControllerType::VirtioSerial => serial(builder, controller)?,
        _ => return Err(builder.unsupported(controller.node, "cannot be added to this machine")),
    };
    builder.device(controller.node, value);
    Ok(())
}

fn refuse_foreign(builder: &Builder<'_>) -> Result<(), Error> {
    let foreign = |controller: &&Controller| {
        matches!(controller.kind, ControllerType::Xenbus | ControllerType::Nvme)
            || controller.pci.index.is_some()
    };
    match builder.domain.devices.controllers.iter().find(foreign) {
        Some(controller) => {
            Err(builder.unsupported(controller.node, "is of a type that QEMU does not have on x86"))
        }
        None => Ok(()),
    }
}

/// Controllers of one type: those of the author by index, then those that were added. The master of a USB group
/// stands before companions that say whose they are; others stay in order.
fn of_kind<'a>(builder: &Builder<'a>, kind: ControllerType) -> Vec<&'a Controller> {
    let author = builder.inputs.author;
    let all = builder.domain.devices.controllers.iter();
    let mut found: Vec<_> = all.filter(|controller| controller.kind == kind).collect();
    found.sort_by_key(|controller| {
        let added = author.name(controller.node).is_empty();
        let numbered = author.attribute(controller.node, "index").is_some();
        (added, controller.index, numbered && companion(controller).is_some())
    });
    found
}

fn is_builtin(builder: &Builder<'_>, controller: &Controller) -> bool {
    let first = controller.index.unwrap_or(0) == 0;
    match controller.kind {
        ControllerType::Pci => matches!(controller.model.as_deref(), Some("pci-root" | "pcie-root")),
        ControllerType::Ide => first && builder.machine.has_builtin_ide(),
        ControllerType::Sata => first && builder.machine.has_builtin_sata(),
        ControllerType::Usb => controller.model.as_deref() == Some("none"),
        _ => false,
    }
}

fn device(builder: &Builder<'_>, controller: &Controller, driver: &str) -> Result<Value, Error> {
    let mut value = Value::mapping().with("driver", driver).with("id", builder.id(controller.node)?);
    builder.place(&mut value, controller.node, &controller.info)?;
    Ok(value)
}

fn pci(builder: &Builder<'_>, controller: &Controller) -> Result<Value, Error> {
    let target = &controller.pci;
    let model = controller.model.as_deref().unwrap_or_default();
    let driver = match (model, target.model_name.as_deref()) {
        (_, Some(name)) => name,
        ("pci-bridge", None) => "pci-bridge",
        ("pci-expander-bus", None) => "pxb",
        ("pcie-expander-bus", None) => "pxb-pcie",
        ("dmi-to-pci-bridge", None) => "i82801b11-bridge",
        ("pcie-to-pci-bridge", None) => "pcie-pci-bridge",
        ("pcie-root-port", None) => "pcie-root-port",
        ("pcie-switch-upstream-port", None) => "x3130-upstream",
        ("pcie-switch-downstream-port", None) => "xio3130-downstream",
        _ => {
            return Err(builder
                .unsupported(controller.node, &format!("of model '{model}' is not known to this driver")));
        }
    };
    let mut value = Value::mapping().with("driver", driver);
    match model {
        "pci-bridge" => set_some(&mut value, "chassis_nr", target.chassis_nr.map(u32::from)),
        "pci-expander-bus" | "pcie-expander-bus" => {
            set_some(&mut value, "bus_nr", target.bus_nr.map(u32::from));
            set_some(&mut value, "numa_node", target.numa_node);
        }
        "pcie-root-port" | "pcie-switch-downstream-port" => {
            set_some(&mut value, "port", target.port.map(u32::from));
            set_some(&mut value, "chassis", target.chassis.map(u32::from));
            set_some(&mut value, "hotplug", target.hotplug);
        }
        _ => {}
    }
    value.set("id", builder.id(controller.node)?);
    builder.place(&mut value, controller.node, &controller.info)?;
    Ok(value)
}

/// Of a companion controller: its driver, and the first port that it serves.
fn companion(controller: &Controller) -> Option<(&'static str, u32)> {
    match controller.model.as_deref()? {
        "ich9-uhci1" => Some(("ich9-usb-uhci1", 0)),
        "ich9-uhci2" => Some(("ich9-usb-uhci2", 2)),
        "ich9-uhci3" => Some(("ich9-usb-uhci3", 4)),
        _ => None,
    }
}

fn usb(builder: &Builder<'_>, controller: &Controller) -> Result<Value, Error> {
    if let Some((driver, port)) = companion(controller) {
        return usb_companion(builder, controller, driver, controller.master_start_port.unwrap_or(port));
    }
    let model = controller.model.as_deref().unwrap_or(UNNAMED_USB_MODEL);
    let driver = match model {
        "piix3-uhci" => "piix3-usb-uhci",
        "piix4-uhci" => "piix4-usb-uhci",
        "ehci" => "usb-ehci",
        "ich9-ehci1" => "ich9-usb-ehci1",
        "vt82c686b-uhci" => "vt82c686b-usb-uhci",
        "pci-ohci" => "pci-ohci",
        "nec-xhci" => "nec-usb-xhci",
        "qemu-xhci" => "qemu-xhci",
        _ => {
            return Err(builder.unsupported(
                controller.node,
                &format!("of USB model '{model}' is not known to this driver"),
            ));
        }
    };
    let mut value = Value::mapping().with("driver", driver);
    if matches!(driver, "nec-usb-xhci" | "qemu-xhci") {
        set_some(&mut value, "p2", controller.ports);
        set_some(&mut value, "p3", controller.ports);
    }
    value.set("id", builder.id(controller.node)?);
    builder.place(&mut value, controller.node, &controller.info)?;
    Ok(value)
}

/// A companion is part of its master: it has no id of its own, unless it is alone.
fn usb_companion(
    builder: &Builder<'_>,
    controller: &Controller,
    driver: &str,
    port: u32,
) -> Result<Value, Error> {
    let mut value = Value::mapping().with("driver", driver);
    let mut others = of_kind(builder, ControllerType::Usb).into_iter();
    let has_master = others.any(|other| other.index == controller.index && companion(other).is_none());
    let id = builder.id(controller.node)?;
    if has_master {
        value.set("masterbus", format!("{id}.0"));
        value.set("firstport", port);
    } else {
        value.set("id", id);
    }
    builder.place(&mut value, controller.node, &controller.info)?;
    Ok(value)
}

fn scsi(builder: &Builder<'_>, controller: &Controller) -> Result<Value, Error> {
    let model = controller.model.as_deref().unwrap_or(UNNAMED_SCSI_MODEL);
    let plain = match model {
        "lsilogic" => "lsi",
        "lsisas1068" => "mptsas1068",
        "lsisas1078" => "megasas",
        "vmpvscsi" => "pvscsi",
        "am53c974" => "am53c974",
        "dc390" => "dc-390",
        "virtio-scsi" | "virtio-transitional" | "virtio-non-transitional" => {
            return virtio_scsi(builder, controller);
        }
        _ => {
            return Err(builder.unsupported(
                controller.node,
                &format!("of SCSI model '{model}' is not known to this driver"),
            ));
        }
    };
    device(builder, controller, plain)
}

fn virtio_scsi(builder: &Builder<'_>, controller: &Controller) -> Result<Value, Error> {
    let driver = &controller.driver;
    let mut value =
        virtio::device("virtio-scsi", &controller.info, controller.model.as_deref(), &driver.virtio);
    set_some(&mut value, "iothread", driver.iothread.map(|id| format!("iothread{id}")));
    value.set("id", builder.id(controller.node)?);
    set_some(&mut value, "num_queues", driver.queues);
    set_some(&mut value, "cmd_per_lun", driver.cmd_per_lun);
    set_some(&mut value, "max_sectors", driver.max_sectors);
    set_some(&mut value, "ioeventfd", driver.ioeventfd);
    builder.place(&mut value, controller.node, &controller.info)?;
    Ok(value)
}

fn serial(builder: &Builder<'_>, controller: &Controller) -> Result<Value, Error> {
    let options = &controller.driver.virtio;
    let mut value = virtio::device("virtio-serial", &controller.info, controller.model.as_deref(), options);
    value.set("id", builder.id(controller.node)?);
    set_some(&mut value, "max_ports", controller.ports);
    set_some(&mut value, "vectors", controller.vectors);
    builder.place(&mut value, controller.node, &controller.info)?;
    Ok(value)
}

/// Controllers for smartcards come after the hubs that they may be plugged into.
pub(super) fn smartcard_controllers(builder: &mut Builder<'_>) -> Result<(), Error> {
    for controller in of_kind(builder, ControllerType::Ccid) {
        let value = device(builder, controller, "usb-ccid")?;
        builder.device(controller.node, value);
    }
    Ok(())
}

/// How much room the root buses have above 4 GiB, and whether the first bus takes devices while it runs.
pub(super) fn pci_holes(builder: &mut Builder<'_>) -> Result<(), Error> {
    for controller in of_kind(builder, ControllerType::Pci) {
        let host = match controller.model.as_deref() {
            Some("pci-root") => "i440FX-pcihost",
            Some("pcie-root") => "q35-pcihost",
            _ => continue,
        };
        if let Some(kib) = controller.pci.pci_hole64 {
            let size = format!("{kib}K");
            builder.option("global", Value::mapping().with(&format!("{host}.pci-hole64-size"), size));
        }
        if let (true, Some(hotplug)) = (host == "i440FX-pcihost", controller.pci.hotplug) {
            let hotplug = if hotplug { "on" } else { "off" };
            builder.option("global", Value::mapping().with("PIIX4_PM.acpi-root-pci-hotplug", hotplug));
        }
    }
    Ok(())
}
