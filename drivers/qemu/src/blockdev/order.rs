//! In which order disks appear, and how their nodes are numbered.

use std::collections::BTreeMap;

use hostler_sdk::domain::disk::{Disk, DiskBus};
use hostler_sdk::domain::storage_source::Location;

use crate::chains::Chains;

/// The disks as they appear on the command line: where the document first uses a bus, all disks of
/// that bus, by target index.
pub(crate) fn in_order(disks: &[Disk]) -> Vec<&Disk> {
    let mut ordered: Vec<&Disk> = Vec::with_capacity(disks.len());
    for disk in disks {
        let later = ordered
            .iter()
            .position(|other| other.bus == disk.bus && other.target.index() > disk.target.index());
        let behind = ordered.iter().rposition(|other| other.bus == disk.bus).map(|last| last + 1);
        ordered.insert(later.or(behind).unwrap_or(ordered.len()), disk);
    }
    ordered
}

/// Whether a disk has block nodes at all: an empty drive has none.
pub(crate) fn has_nodes(disk: &Disk) -> bool {
    disk.source.location != Location::Empty && has_number(disk)
}

/// Whether a disk could have nodes, and so keeps a number for them: not one that another process serves,
/// and not a memory card.
fn has_number(disk: &Disk) -> bool {
    disk.bus != DiskBus::Sd && !matches!(disk.source.location, Location::VhostUser { .. })
}

/// The number of each disk's active layer. Numbers grow from the last disk to the first and, within
/// a disk, from the active layer down; so they are the ones that libvirt would give.
pub(crate) fn first_numbers(disks: &[&Disk], chains: &Chains) -> (BTreeMap<String, u32>, u32) {
    let (mut next, mut numbers) = (1_u32, BTreeMap::new());
    for disk in disks.iter().rev().filter(|disk| has_number(disk)) {
        let target = disk.target.as_str();
        numbers.insert(target.to_owned(), next);
        let count = chains.layers(target).map_or(1, |layers| layers.len().max(1));
        next = next.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }
    (numbers, next)
}
