//! The devices that disks are to the guest.

use hostler_sdk::domain::address::DriveAddress;
use hostler_sdk::domain::controller::ControllerType;
use hostler_sdk::domain::disk::{
    Disk, DiskBus, DiskDevice, ErrorPolicy, GeometryTranslation, ReadErrorPolicy,
};
use hostler_sdk::{Error, Value};

use super::builder::{Builder, set_some};
use super::{comparison, virtio};
use crate::blockdev::write_cache;
use crate::machine::UNNAMED_SCSI_MODEL;

/// The device of a disk whose image is this node; none for an empty drive.
///
/// # Errors
/// A bus that x86 machines do not have; a device that the bus does not take.
pub(super) fn device(builder: &Builder<'_>, disk: &Disk, drive: Option<&str>) -> Result<Value, Error> {
    let mut value = match disk.bus {
        DiskBus::Virtio => virtio_blk(builder, disk)?,
        DiskBus::Ide | DiskBus::Sata => ide(builder, disk)?,
        DiskBus::Scsi => scsi(builder, disk)?,
        DiskBus::Usb => usb(builder, disk)?,
        DiskBus::Fdc => floppy(builder, disk)?,
        other => {
            return Err(builder
                .unsupported(disk.node, &format!("is on a bus '{other}', which this driver does not have")));
        }
    };
    if comparison_lun(builder, disk) {
        value.set("scsi", true);
    }
    set_some(&mut value, "share-rw", disk.shareable.then_some(true));
    set_some(&mut value, "drive", drive);
    value.set("id", builder.id(disk.node)?);
    if disk.bus != DiskBus::Fdc {
        set_some(&mut value, "bootindex", builder.boot_index(disk.node, &disk.info));
    }
    add_sizes(disk, &mut value);
    add_names(builder, disk, &mut value)?;
    if disk.bus == DiskBus::Usb {
        value.set("removable", disk.removable.unwrap_or(false));
    }
    let has_cache = disk.device != DiskDevice::Lun && drive.is_some();
    let cache = write_cache(disk).filter(|_| has_cache).map(|on| if on { "on" } else { "off" });
    set_some(&mut value, "write-cache", cache);
    add_error_policies(disk, &mut value);
    Ok(value)
}

/// SCSI commands over virtio-blk are libvirt's word for a logical unit there; QEMU has them for the oldest virtio only, and
/// starts no guest with them.
fn comparison_lun(builder: &Builder<'_>, disk: &Disk) -> bool {
    builder.inputs.facts.comparison && disk.bus == DiskBus::Virtio && disk.device == DiskDevice::Lun
}

/// A disk that another process serves.
///
/// # Errors
/// No address.
pub(super) fn vhost_user(builder: &Builder<'_>, disk: &Disk, chardev: &str) -> Result<Value, Error> {
    let mut value = virtio::device("vhost-user-blk", &disk.info, disk.model.as_deref(), &disk.driver.virtio);
    set_some(&mut value, "num-queues", disk.driver.queues);
    set_some(&mut value, "queue-size", disk.driver.queue_size);
    builder.place(&mut value, disk.node, &disk.info)?;
    value.set("chardev", chardev);
    value.set("id", builder.id(disk.node)?);
    set_some(&mut value, "bootindex", builder.boot_index(disk.node, &disk.info));
    Ok(value)
}

fn virtio_blk(builder: &Builder<'_>, disk: &Disk) -> Result<Value, Error> {
    let driver = &disk.driver;
    let mut value = virtio::device("virtio-blk", &disk.info, disk.model.as_deref(), &driver.virtio);
    set_some(&mut value, "iothread", driver.iothread.map(|id| format!("iothread{id}")));
    set_some(&mut value, "ioeventfd", driver.ioeventfd);
    set_some(&mut value, "event_idx", driver.event_idx);
    set_some(&mut value, "num-queues", driver.queues);
    set_some(&mut value, "queue-size", driver.queue_size);
    builder.place(&mut value, disk.node, &disk.info)?;
    Ok(value)
}

fn drive_address<'a>(builder: &Builder<'_>, disk: &'a Disk) -> Result<&'a DriveAddress, Error> {
    let address = disk.info.address.as_ref().and_then(|address| address.drive());
    address.ok_or_else(|| builder.unsupported(disk.node, "needs an address of type 'drive' on this bus"))
}

fn ide(builder: &Builder<'_>, disk: &Disk) -> Result<Value, Error> {
    let address = drive_address(builder, disk)?;
    let driver = if disk.device == DiskDevice::Cdrom { "ide-cd" } else { "ide-hd" };
    let value = Value::mapping().with("driver", driver);
    if disk.bus == DiskBus::Sata {
        let controller = builder.controller_id(ControllerType::Sata, address.controller, disk.node)?;
        return Ok(value.with("bus", format!("{controller}.{}", address.unit)));
    }
    let controller = builder.controller_id(ControllerType::Ide, address.controller, disk.node)?;
    Ok(value.with("bus", format!("{controller}.{}", address.bus)).with("unit", address.unit))
}

/// Whether disks of a controller of this model have a target only.
pub(super) fn is_narrow(model: &str) -> bool {
    matches!(model, "lsilogic" | "am53c974" | "dc390")
}

fn scsi(builder: &Builder<'_>, disk: &Disk) -> Result<Value, Error> {
    let address = drive_address(builder, disk)?;
    let controller = builder.controller(ControllerType::Scsi, address.controller);
    let model = controller.and_then(|controller| controller.model.as_deref()).unwrap_or(UNNAMED_SCSI_MODEL);
    let id = builder.controller_id(ControllerType::Scsi, address.controller, disk.node)?;
    let driver = match disk.device {
        DiskDevice::Cdrom => "scsi-cd",
        DiskDevice::Lun => "scsi-block",
        _ => "scsi-hd",
    };
    let mut value = Value::mapping().with("driver", driver);
    if is_narrow(model) {
        value.set("bus", format!("{id}.{}", address.bus));
        value.set("scsi-id", address.unit);
    } else {
        value.set("bus", format!("{id}.0"));
        value.set("channel", address.bus);
        value.set("scsi-id", address.target);
        value.set("lun", address.unit);
    }
    if disk.device != DiskDevice::Lun {
        let made = || builder.id(disk.node).map(|alias| format!("drive-{alias}"));
        value.set("device_id", disk.serial.clone().map_or_else(made, Ok)?);
    }
    Ok(value)
}

fn usb(builder: &Builder<'_>, disk: &Disk) -> Result<Value, Error> {
    let mut value = Value::mapping().with("driver", "usb-storage");
    builder.place(&mut value, disk.node, &disk.info)?;
    Ok(value)
}

fn floppy(builder: &Builder<'_>, disk: &Disk) -> Result<Value, Error> {
    let address = drive_address(builder, disk)?;
    Ok(Value::mapping().with("driver", "floppy").with("unit", address.unit))
}

fn add_sizes(disk: &Disk, value: &mut Value) {
    if let Some(block) = &disk.block_io {
        set_some(value, "logical_block_size", block.logical_block_size);
        set_some(value, "physical_block_size", block.physical_block_size);
        set_some(value, "discard_granularity", block.discard_granularity);
    }
    if let Some(geometry) = &disk.geometry {
        value.set("cyls", geometry.cylinders);
        value.set("heads", geometry.heads);
        value.set("secs", geometry.sectors);
        set_some(value, "bios-chs-trans", geometry.translation.map(GeometryTranslation::as_str));
    }
}

fn add_names(builder: &Builder<'_>, disk: &Disk, value: &mut Value) -> Result<(), Error> {
    if let Some(wwn) = &disk.wwn {
        let digits = wwn.trim_start_matches("0x");
        let number = u64::from_str_radix(digits, 16).map_err(|_| {
            builder.unsupported(disk.node, &format!("has a world wide name '{wwn}' that is no number"))
        })?;
        value.set("wwn", number);
    }
    set_some(value, "rotation_rate", disk.rotation_rate.map(u32::from));
    set_some(value, "vendor", disk.vendor.as_deref());
    set_some(value, "product", disk.product.as_deref());
    let escaped = builder.inputs.facts.comparison;
    set_some(
        value,
        "serial",
        disk.serial
            .as_deref()
            .map(|serial| if escaped { comparison::serial(serial) } else { serial.to_owned() }),
    );
    Ok(())
}

fn add_error_policies(disk: &Disk, value: &mut Value) {
    let write = match disk.driver.error_policy {
        None | Some(ErrorPolicy::Default) => None,
        Some(ErrorPolicy::Enospace) => Some("enospc"),
        Some(policy) => Some(policy.as_str()),
    };
    let read = match disk.driver.rerror_policy {
        None | Some(ReadErrorPolicy::Default) => None,
        Some(policy) => Some(policy.as_str()),
    };
    // Reads have no "no space"; without a word about reads, they follow writes where they can.
    let followed = write.filter(|policy| *policy != "enospc").or(write.map(|_| "report"));
    set_some(value, "werror", write);
    set_some(value, "rerror", read.or(followed));
}
