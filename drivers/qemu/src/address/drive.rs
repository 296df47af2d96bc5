//! Places on disk controllers, from target names; slots of smartcard readers.

use std::collections::BTreeMap;

use hostler_sdk::domain::address::{Address, DriveAddress};
use hostler_sdk::domain::{NodeId, TargetName};
use hostler_sdk::{Error, ProblemExt};

use crate::complete::controllers;
use crate::complete::draft::Draft;

/// Units of a controller, per bus of disks.
const IDE_UNITS: u32 = 2;
const IDE_BUSES: u32 = 2;
const SATA_UNITS: u32 = 6;
const FLOPPY_UNITS: u32 = 2;
const SCSI_UNITS: u32 = 7;

/// Places disks and passed-through SCSI devices; refuses two at one place.
pub(crate) fn assign(draft: &mut Draft) -> Result<(), Error> {
    for disk in draft.devices("disk") {
        assign_disk(draft, disk)?;
    }
    for node in scsi_hostdevs(draft) {
        if draft.address_type(node).is_none() {
            let place = next_scsi_unit(draft);
            draft.set_place(node, &Address::Drive(place))?;
        }
    }
    refuse_shared_places(draft)
}

/// The disks of one bus in the order in which they are served: by target name, not as they stand.
pub(crate) fn in_target_order(draft: &Draft, bus: &str) -> Vec<NodeId> {
    let mut disks = draft.devices("disk");
    disks.retain(|disk| draft.child_get(*disk, "target", "bus") == Some(bus));
    disks.sort_by_key(|disk| {
        let name = draft.child_get(*disk, "target", "dev").and_then(TargetName::parse);
        name.and_then(|name| name.index())
    });
    disks
}

fn bus_of(draft: &Draft, disk: NodeId) -> String {
    let target = draft.child(disk, "target");
    let said = target.and_then(|target| draft.get(target, "bus"));
    said.map_or_else(String::new, str::to_owned)
}

fn assign_disk(draft: &mut Draft, disk: NodeId) -> Result<(), Error> {
    let target = draft.need_child(disk, "target")?;
    let bus = match draft.get(target, "bus") {
        Some(bus) => bus.to_owned(),
        None => {
            let bus = bus_from_name(draft, disk, target);
            draft.fill(target, "bus", bus)?;
            bus.to_owned()
        }
    };
    check_address_type(draft, disk, &bus)?;
    if bus == "ide" && !draft.machine.has_builtin_ide() {
        return Err(draft
            .refuse(disk, "qemu.ide-absent", "this machine has no IDE controller")
            .hint("write bus='sata' (and a target such as 'sda') for this disk")
            .unsupported());
    }
    if !matches!(bus.as_str(), "ide" | "sata" | "fdc" | "scsi") || draft.address_type(disk).is_some() {
        return Ok(());
    }
    let name = draft.get(target, "dev").unwrap_or_default().to_owned();
    let Some(index) = TargetName::parse(&name).and_then(|name| name.index()) else {
        return Err(draft
            .refuse(disk, "qemu.target-name", format!("no place follows from the target name '{name}'"))
            .hint("use a name such as 'sda', or give the disk an address of type 'drive'")
            .invalid());
    };
    draft.set_place(disk, &Address::Drive(place_of(&bus, index)))
}

/// The bus that a target name stands for when none is given.
fn bus_from_name(draft: &Draft, disk: NodeId, target: NodeId) -> &'static str {
    if draft.says(disk, "device", "floppy") {
        return "fdc";
    }
    let name = draft.get(target, "dev").unwrap_or_default();
    match TargetName::parse(name).and_then(|name| name.prefix()) {
        Some("fd") => "fdc",
        Some("sd") => "scsi",
        Some("vd") => "virtio",
        Some("xvd") => "xen",
        Some("ubd") => "uml",
        _ => "ide",
    }
}

/// The place that follows from a disk's index on its bus.
fn place_of(bus: &str, index: u32) -> DriveAddress {
    let place = |controller, bus, unit| DriveAddress { controller, bus, target: 0, unit };
    match bus {
        "ide" => {
            let per_controller = IDE_UNITS * IDE_BUSES;
            place(index / per_controller, index % per_controller / IDE_UNITS, index % IDE_UNITS)
        }
        "sata" => place(index / SATA_UNITS, 0, index % SATA_UNITS),
        "fdc" => place(index / FLOPPY_UNITS, 0, index % FLOPPY_UNITS),
        _ => place(index / SCSI_UNITS, 0, index % SCSI_UNITS),
    }
}

fn check_address_type(draft: &Draft, disk: NodeId, bus: &str) -> Result<(), Error> {
    let Some(given) = draft.address_type(disk) else { return Ok(()) };
    let wanted: &[&str] = match bus {
        "ide" | "sata" | "fdc" | "scsi" => &["drive"],
        "virtio" => &["pci", "virtio-mmio", "ccw"],
        "usb" => &["usb"],
        _ => return Ok(()),
    };
    let Some(first) = wanted.first().filter(|_| !wanted.contains(&given)) else { return Ok(()) };
    Err(draft
        .refuse(
            disk,
            "qemu.address-type",
            format!("a disk on bus '{bus}' cannot have an address of type '{given}'"),
        )
        .hint(format!("leave the address out, or use type='{first}'"))
        .unsupported())
}

fn scsi_hostdevs(draft: &Draft) -> Vec<NodeId> {
    let all = draft.devices("hostdev").into_iter();
    all.filter(|node| draft.says(*node, "type", "scsi")).collect()
}

/// Everything on a SCSI controller: its place and the element.
fn scsi_places(draft: &Draft) -> Vec<DriveAddress> {
    let disks = draft.devices("disk").into_iter().filter(|disk| bus_of(draft, *disk) == "scsi");
    let places = disks.chain(scsi_hostdevs(draft)).filter_map(|node| draft.place(node));
    places.filter_map(|place| place.drive().copied()).collect()
}

/// The first free unit on the controllers of the document; on controller 0 when it has none.
fn next_scsi_unit(draft: &Draft) -> DriveAddress {
    let taken = scsi_places(draft);
    let free_on = |controller: u32| {
        (0..SCSI_UNITS)
            .map(|unit| DriveAddress { controller, bus: 0, target: 0, unit })
            .find(|place| !taken.contains(place))
    };
    let listed = controllers::of_kind(draft, "scsi").into_iter().filter_map(|controller| controller.index);
    let known: Vec<_> = listed.collect();
    let after = known.iter().max().map_or(0, |highest| highest.saturating_add(1));
    known
        .into_iter()
        .chain([after])
        .find_map(free_on)
        .unwrap_or(DriveAddress { controller: after.saturating_add(1), ..DriveAddress::default() })
}

fn refuse_shared_places(draft: &Draft) -> Result<(), Error> {
    let mut seen: BTreeMap<(String, DriveAddress), NodeId> = BTreeMap::new();
    let disks = draft.devices("disk").into_iter().map(|disk| (bus_of(draft, disk), disk));
    let hostdevs = scsi_hostdevs(draft).into_iter().map(|node| ("scsi".to_owned(), node));
    for (bus, node) in disks.chain(hostdevs) {
        let Some(place) = draft.place(node).and_then(|place| place.drive().copied()) else { continue };
        if let Some(first) = seen.insert((bus.clone(), place), node) {
            let first = draft.document().path(first);
            let DriveAddress { controller, bus: channel, target, unit } = place;
            let place = format!("controller {controller}, bus {channel}, target {target}, unit {unit}");
            return Err(draft
                .refuse(
                    node,
                    "qemu.address-in-use",
                    format!("on '{bus}', {place} is already taken by {first}"),
                )
                .hint("give one of them another target name or address")
                .invalid());
        }
    }
    Ok(())
}

/// Gives every smartcard a slot of reader 0, one after the other.
pub(crate) fn assign_smartcards(draft: &mut Draft) -> Result<(), Error> {
    let mut next = 0;
    for node in draft.devices("smartcard") {
        match draft.place(node) {
            Some(Address::Ccid { controller: 0, slot }) => next = next.max(slot.saturating_add(1)),
            Some(_) => {}
            None => {
                draft.set_place(node, &Address::Ccid { controller: 0, slot: next })?;
                next += 1;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(bus: &str, index: u32) -> (u32, u32, u32) {
        let place = place_of(bus, index);
        (place.controller, place.bus, place.unit)
    }

    #[test]
    fn places_follow_from_indexes() {
        assert_eq!(place("ide", 3), (0, 1, 1));
        assert_eq!(place("ide", 5), (1, 0, 1));
        assert_eq!(place("sata", 7), (1, 0, 1));
        assert_eq!(place("fdc", 1), (0, 0, 1));
        assert_eq!(place("scsi", 6), (0, 0, 6));
        assert_eq!(place("scsi", 7), (1, 0, 0));
    }
}
