//! Which device gets which place in the boot order, when the document orders classes of devices.

use std::collections::BTreeMap;

use hostler_sdk::domain::disk::{Disk, DiskDevice};
use hostler_sdk::domain::os::BootDevice;
use hostler_sdk::domain::{Domain, NodeId};

/// The boot indexes that `<os><boot dev=…/>` means: the first device of each class gets the class's
/// place. A document that orders devices itself means none; one that orders nothing boots from disk.
pub(crate) fn indexes(domain: &Domain, disks: &[&Disk]) -> BTreeMap<NodeId, u32> {
    let mut indexes = BTreeMap::new();
    if has_device_order(domain) {
        return indexes;
    }
    let classes: &[BootDevice] = if domain.os.boot.is_empty() { &[BootDevice::Hd] } else { &domain.os.boot };
    for (class, index) in classes.iter().zip(1_u32..) {
        if let Some(node) = first_of(domain, disks, *class) {
            indexes.entry(node).or_insert(index);
        }
    }
    indexes
}

fn first_of(domain: &Domain, disks: &[&Disk], class: BootDevice) -> Option<NodeId> {
    let disk =
        |wanted: &[DiskDevice]| disks.iter().find(|disk| wanted.contains(&disk.device)).map(|disk| disk.node);
    match class {
        BootDevice::Hd => disk(&[DiskDevice::Disk, DiskDevice::Lun]),
        BootDevice::Cdrom => disk(&[DiskDevice::Cdrom]),
        BootDevice::Fd => disk(&[DiskDevice::Floppy]),
        BootDevice::Network => domain.devices.interfaces.first().map(|interface| interface.node),
    }
}

fn has_device_order(domain: &Domain) -> bool {
    let devices = &domain.devices;
    let disks = devices.disks.iter().map(|disk| &disk.info);
    let interfaces = devices.interfaces.iter().map(|interface| &interface.info);
    let hostdevs = devices.hostdevs.iter().map(|hostdev| &hostdev.info);
    let redirdevs = devices.redirdevs.iter().map(|redirdev| &redirdev.info);
    disks.chain(interfaces).chain(hostdevs).chain(redirdevs).any(|info| info.boot_order.is_some())
}
