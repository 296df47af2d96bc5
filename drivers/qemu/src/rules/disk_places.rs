//! Where a disk sits on its controller.

use hostler_sdk::domain::address::Address;
use hostler_sdk::domain::controller::{Controller, ControllerType};
use hostler_sdk::domain::disk::{Disk, DiskBus};

use super::{Broken, Rule, Subject, broken};

pub(super) const RULES: &[Rule] = &[places];

fn places(subject: &Subject<'_>) -> Option<Broken> {
    subject.domain.devices.disks.iter().find_map(|disk| {
        let Some(Address::Drive(place)) = &disk.info.address else { return None };
        let narrow = || has_narrow_controller(subject, place.controller);
        let (part, value) = match disk.bus {
            DiskBus::Ide | DiskBus::Sata | DiskBus::Fdc if place.target > 0 => ("target", place.target),
            DiskBus::Sata | DiskBus::Fdc if place.bus > 0 => ("bus", place.bus),
            DiskBus::Scsi if place.bus > 0 => ("bus", place.bus),
            DiskBus::Scsi if place.target > 0 && narrow() => ("target", place.target),
            _ => return None,
        };
        refused(subject, disk, part, value)
    })
}

/// Controllers of this model know their disks by one number.
fn has_narrow_controller(subject: &Subject<'_>, index: u32) -> bool {
    let all = subject.domain.devices.controllers.iter();
    // One that leaves its number open may be this one.
    let is_it = |one: &&Controller| one.index.is_none_or(|number| number == index);
    let mut found = all.filter(|one| one.kind == ControllerType::Scsi).filter(is_it);
    found.next().is_none_or(|one| matches!(one.model.as_deref(), None | Some("lsilogic")))
}

fn refused(subject: &Subject<'_>, disk: &Disk, part: &str, value: u32) -> Option<Broken> {
    let what = format!("disk '{}' has {part} {value}, and its controller only has 0", disk.target);
    let node = subject.within(disk.node, "address");
    broken(node, "qemu.disk-address", what, "write 0, use another 'unit', or leave the address out")
}
