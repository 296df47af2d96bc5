//! Logical units passed through, and the reservations that only they have.

use hostler_sdk::domain::disk::{DiskBus, DiskDevice};
use hostler_sdk::domain::storage_source::{Location, Protocol};

use super::{Broken, Subject, broken};

pub(super) fn rule(subject: &Subject<'_>) -> Option<Broken> {
    if subject.disk.device != DiskDevice::Lun {
        return subject.source.reservations.as_ref().and_then(|_| {
            broken(
                "reservations",
                "has <reservations> and is no logical unit",
                "write device='lun', or remove <reservations>",
            )
        });
    }
    let source = subject.source;
    let passed = match &source.location {
        // A drive without medium, and what its pool knows.
        Location::Empty | Location::Volume { .. } | Location::Block(_) => true,
        Location::Network(network) => network.protocol == Protocol::Iscsi,
        _ => false,
    };
    let what = if !passed {
        "is a logical unit on something else than a block device or iSCSI"
    } else if subject.format() != "raw" {
        "is a logical unit with an image format, which the guest would bypass"
    } else if source.slice.is_some() {
        "is a logical unit with a <slice>, which the guest would leave"
    } else if source.encryption.is_some() {
        "is a logical unit with <encryption>, which the guest would bypass"
    } else if !matches!(subject.disk.bus, DiskBus::Scsi | DiskBus::Virtio) {
        "is a logical unit on a bus that passes no SCSI commands"
    } else {
        return None;
    };
    broken(
        "lun",
        what,
        "write device='disk', or <disk type='block' device='lun'> with type='raw' on bus 'scsi'",
    )
}
