//! What a disk on its bus can be told.

use hostler_sdk::domain::disk::{Disk, DiskBus, DiskDevice, SgIo};

use super::{Broken, Rule, Subject, broken};

pub(super) const RULES: &[Rule] = &[devices, names, drivers, media, geometry];

/// How many characters a SCSI inquiry has for a vendor and for a product.
const VENDOR_CHARACTERS: usize = 8;
const PRODUCT_CHARACTERS: usize = 16;

fn any(
    subject: &Subject<'_>,
    rule: impl Fn(&Disk) -> Option<(&'static str, &'static str)>,
) -> Option<Broken> {
    subject.domain.devices.disks.iter().find_map(|disk| {
        let (what, remedy) = rule(disk)?;
        broken(disk.node, "qemu.disk", format!("disk '{}' {what}", disk.target), remedy)
    })
}

/// Which device there is on which bus.
fn devices(subject: &Subject<'_>) -> Option<Broken> {
    any(subject, |disk| match (disk.device, disk.bus) {
        (DiskDevice::Floppy, bus) if bus != DiskBus::Fdc => {
            Some(("is a floppy on a bus that has none", "write bus='fdc'"))
        }
        (device, DiskBus::Fdc) if device != DiskDevice::Floppy => {
            Some(("is on the floppy bus and no floppy", "write device='floppy', or another bus"))
        }
        (DiskDevice::Cdrom | DiskDevice::Floppy, DiskBus::Virtio) => {
            Some(("has a medium to change, which bus 'virtio' does not", "write bus='sata' or bus='scsi'"))
        }
        _ => None,
    })
}

/// What a disk is called by the guest.
fn names(subject: &Subject<'_>) -> Option<Broken> {
    let scsi_names = |disk: &Disk| disk.bus == DiskBus::Scsi;
    any(subject, |disk| {
        let printable = |text: &String| text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        let rotates = matches!(disk.bus, DiskBus::Scsi | DiskBus::Ide | DiskBus::Sata)
            && disk.device == DiskDevice::Disk;
        let names = || disk.vendor.iter().chain(&disk.product);
        if names().next().is_some() && !scsi_names(disk) {
            Some((
                "has a vendor or product, which only disks on bus 'scsi' have",
                "remove them, or write bus='scsi'",
            ))
        } else if names().any(|text| !printable(text)) {
            Some((
                "has a vendor or product with other than printable ASCII characters",
                "write plain letters",
            ))
        } else if disk.vendor.as_ref().is_some_and(|text| text.len() > VENDOR_CHARACTERS) {
            Some(("has a vendor of more than 8 characters", "shorten it"))
        } else if disk.product.as_ref().is_some_and(|text| text.len() > PRODUCT_CHARACTERS) {
            Some(("has a product of more than 16 characters", "shorten it"))
        } else if disk.wwn.is_some() && !matches!(disk.bus, DiskBus::Scsi | DiskBus::Ide | DiskBus::Sata) {
            Some(("has a world wide name on a bus without them", "remove <wwn>, or write bus='scsi'"))
        } else if disk.wwn.is_some() && disk.bus == DiskBus::Sata {
            Some((
                "has a world wide name, which libvirt gives to disks on bus 'scsi' and 'ide' only",
                "remove <wwn>",
            ))
        } else if disk.model.is_some() && disk.bus != DiskBus::Virtio {
            Some(("has a model, which only disks on bus 'virtio' have", "remove 'model'"))
        } else if disk.rotation_rate.is_some() && !rotates {
            Some((
                "has a rotation rate, which hard disks on bus 'scsi', 'sata' and 'ide' have",
                "remove 'rotation_rate'",
            ))
        } else {
            None
        }
    })
}

/// `<driver>`.
fn drivers(subject: &Subject<'_>) -> Option<Broken> {
    any(subject, |disk| {
        let (driver, virtio) = (&disk.driver, disk.bus == DiskBus::Virtio);
        if driver.name.as_deref().is_some_and(|name| name != "qemu") {
            Some(("names a driver that is another hypervisor's", "write <driver name='qemu'>"))
        } else if driver.copy_on_read == Some(true) && disk.readonly {
            Some(("is read-only, and copies on read into it", "remove copy_on_read, or <readonly/>"))
        } else if (driver.queues.is_some() || driver.queue_size.is_some()) && !virtio {
            Some(("has queues on a bus without them", "write bus='virtio', or remove 'queues'"))
        } else if !virtio
            && (driver.event_idx.is_some() || (driver.ioeventfd.is_some() && disk.bus != DiskBus::Scsi))
        {
            Some(("has ioeventfd or event_idx on a bus without them", "write bus='virtio', or remove them"))
        } else if driver.virtio != Default::default() && !virtio {
            Some(("has switches of virtio on another bus", "write bus='virtio', or remove them"))
        } else {
            None
        }
    })
}

/// How a BIOS counts sectors.
fn geometry(subject: &Subject<'_>) -> Option<Broken> {
    any(subject, |disk| {
        let geometry = disk.geometry.as_ref()?;
        if disk.bus == DiskBus::Usb {
            Some(("has a geometry, which disks on bus 'usb' do not", "remove <geometry>"))
        } else if geometry.translation.is_some() && disk.bus != DiskBus::Ide {
            Some(("has its sectors translated, which only disks on bus 'ide' do", "remove 'trans'"))
        } else {
            None
        }
    })
}

/// What is passed through, and what is read-only.
fn media(subject: &Subject<'_>) -> Option<Broken> {
    any(subject, |disk| {
        let lun = disk.device == DiskDevice::Lun;
        let removable = matches!(disk.device, DiskDevice::Cdrom | DiskDevice::Floppy);
        if !lun && (disk.raw_io.is_some() || disk.sg_io.is_some()) {
            Some(("passes SCSI commands through and is no logical unit", "write device='lun'"))
        } else if disk.sg_io == Some(SgIo::Unfiltered) {
            Some((
                "passes all SCSI commands through, which no kernel allows any more",
                "write sgio='filtered'",
            ))
        } else if disk.tray.is_some() && !removable {
            Some(("has a tray, which only drives with a medium to change have", "remove 'tray'"))
        } else if disk.removable.is_some() && disk.bus != DiskBus::Usb {
            Some(("can be removed or not, which only disks on bus 'usb' say", "remove 'removable'"))
        } else if disk.readonly
            && disk.device == DiskDevice::Disk
            && matches!(disk.bus, DiskBus::Ide | DiskBus::Sata)
        {
            Some(("is a read-only hard disk on a bus that has none", "write bus='virtio', or device='cdrom'"))
        } else if disk.transient.is_some() && matches!(disk.device, DiskDevice::Floppy) {
            Some(("is transient, which floppies cannot be", "remove <transient/>"))
        } else if lun && disk.driver.copy_on_read == Some(true) {
            Some(("is a logical unit, which has no copy on read", "remove copy_on_read"))
        } else if disk.transient.is_some() && disk.readonly {
            Some(("is read-only and transient", "remove <transient/>"))
        } else {
            None
        }
    })
}
