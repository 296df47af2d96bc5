//! Memory devices and what backs the guest's memory.

use hostler_sdk::domain::memory_backing::{MemoryAllocation, MemorySource};
use hostler_sdk::domain::memory_device::MemoryModel;

use super::{Broken, Rule, Subject, broken};

pub(super) const RULES: &[Rule] = &[slots, room, nodes, models, backing];

fn slots(subject: &Subject<'_>) -> Option<Broken> {
    let devices = &subject.domain.devices.memories;
    let slotted = |model| matches!(model, MemoryModel::Dimm | MemoryModel::Nvdimm);
    let first = devices.iter().find(|memory| memory.model != MemoryModel::SgxEpc)?;
    let Some(maximum) = subject.domain.max_memory else {
        let what = "memory devices need room, and <maxMemory> says of none";
        return broken(
            first.node,
            "qemu.memory-room",
            what,
            "add <maxMemory slots='…'>, larger than <memory>",
        );
    };
    let wanted = devices.iter().filter(|memory| slotted(memory.model)).count();
    let slots = usize::try_from(maximum.slots.unwrap_or(0)).unwrap_or(usize::MAX);
    (maximum.slots.is_some() && wanted > slots).then_some(())?;
    let what = format!("{wanted} memory devices do not fit into {slots} slots");
    broken(first.node, "qemu.memory-slots", what, "raise 'slots' of <maxMemory>")
}

/// Room for memory that is plugged in, and how it is counted.
fn room(subject: &Subject<'_>) -> Option<Broken> {
    let maximum = subject.domain.max_memory?;
    let node = subject.element(&["maxMemory"]);
    let cells = subject.domain.cpu.as_ref().map(|cpu| cpu.numa.as_slice()).unwrap_or_default();
    if cells.is_empty() {
        let what = "memory is plugged into NUMA nodes, and the domain has none";
        return broken(
            node,
            "qemu.memory-nodes",
            what,
            "add <cpu><numa><cell …/></numa></cpu>, or remove <maxMemory>",
        );
    }
    if maximum.slots.is_none_or(|slots| slots == 0) {
        return broken(
            node,
            "qemu.memory-slots",
            "<maxMemory> does not say how many slots there are",
            "add slots='16'",
        );
    }
    let devices = subject.domain.devices.memories.iter().map(|memory| memory.size.0);
    let all = cells.iter().map(|cell| cell.memory.0).chain(devices).fold(0_u64, u64::saturating_add);
    (all > maximum.size.0).then_some(())?;
    let what = "the domain has more memory than <maxMemory> says";
    broken(node, "qemu.memory-room", what, "raise <maxMemory>")
}

fn nodes(subject: &Subject<'_>) -> Option<Broken> {
    let placed = |model| matches!(model, MemoryModel::Dimm | MemoryModel::Nvdimm | MemoryModel::VirtioMem);
    let mut devices = subject.domain.devices.memories.iter();
    let homeless = devices.find(|memory| placed(memory.model) && memory.cell.is_none())?;
    let what = "the memory device does not say which NUMA node it is plugged into";
    broken(subject.within(homeless.node, "target"), "qemu.memory-node", what, "add <node>0</node>")
}

fn models(subject: &Subject<'_>) -> Option<Broken> {
    subject.domain.devices.memories.iter().find_map(|memory| {
        let (what, remedy) = match memory.model {
            MemoryModel::Nvdimm | MemoryModel::VirtioPmem if memory.path.is_none() => (
                "is kept in a file of the host, and <source> has no <path>",
                "add <source><path>…</path></source>",
            ),
            MemoryModel::Nvdimm if memory.label_size.is_some_and(|label| label.kib() < 128) => {
                ("has a label area of less than 128 KiB", "write at least 128 KiB")
            }
            MemoryModel::Nvdimm if memory.label_size.is_some_and(|label| label >= memory.size) => (
                "has a label area that is not smaller than itself",
                "write a smaller label, or a larger size",
            ),
            MemoryModel::Nvdimm if memory.readonly && memory.label_size.is_some() => {
                ("is read-only and has a label area, which is written", "remove <readonly/> or <label>")
            }
            MemoryModel::Nvdimm if memory.uuid.is_some() && !subject.arch.starts_with("ppc64") => {
                ("has a <uuid>, which is for pseries machines", "remove <uuid>")
            }
            MemoryModel::Dimm if memory.path.is_some() => {
                ("has a <path>, which only an nvdimm has", "write model='nvdimm', or remove <path>")
            }
            MemoryModel::VirtioMem if memory.requested.is_some_and(|requested| requested > memory.size) => {
                ("asks for more than its size", "lower <requested>, or raise <size>")
            }
            MemoryModel::VirtioMem if misfit(memory.size.0, memory.block_size.map(|block| block.0)) => {
                ("has a size that is no whole number of its blocks", "write a multiple of <block>")
            }
            _ => return None,
        };
        broken(
            memory.node,
            "qemu.memory-device",
            format!("memory of model '{}' {what}", memory.model),
            remedy,
        )
    })
}

fn misfit(size: u64, block: Option<u64>) -> bool {
    block.is_some_and(|block| !block.is_power_of_two() || !size.is_multiple_of(block))
}

fn backing(subject: &Subject<'_>) -> Option<Broken> {
    let backing = &subject.domain.memory_backing;
    let node = subject.element(&["memoryBacking"]);
    if backing.source == Some(MemorySource::Anonymous) && backing.huge_pages.is_some() {
        let what = "huge pages are no anonymous memory";
        return broken(node, "qemu.memory-backing", what, "write <source type='memfd'/>, or leave it out");
    }
    if backing.allocation == Some(MemoryAllocation::Ondemand) && backing.huge_pages.is_some() {
        let what = "huge pages are there at once, and not on demand";
        return broken(node, "qemu.memory-backing", what, "write <allocation mode='immediate'/>");
    }
    None
}
