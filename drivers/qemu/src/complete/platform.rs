//! Machine, architecture, memory and processor.

use std::collections::BTreeSet;

use hostler_sdk::domain::{Fragment, NodeId, number_set, number_set_text};
use hostler_sdk::{Error, ProblemExt};

use super::draft::Draft;
use crate::machine::{DEFAULT_MACHINE, default_cpu_model, is_x86};

/// The architecture of a guest whose document names none.
const DEFAULT_ARCH: &str = "x86_64";

/// More processors than any machine type has.
const MAX_PROCESSORS: u32 = 4096;

/// Fills what the document leaves open about the machine itself.
pub(super) fn settle(draft: &mut Draft) -> Result<(), Error> {
    machine(draft)?;
    current_memory(draft)?;
    cpu(draft)?;
    processors_of_node_0(draft)
}

/// Settles architecture and machine type.
fn machine(draft: &mut Draft) -> Result<(), Error> {
    let os = draft.need_child(draft.root(), "os")?;
    let kind = draft.need_child(os, "type")?;
    draft.fill(kind, "arch", DEFAULT_ARCH)?;
    draft.fill(kind, "machine", DEFAULT_MACHINE)?;
    let arch = draft.get(kind, "arch").unwrap_or(DEFAULT_ARCH).to_owned();
    if !is_x86(&arch) {
        return Err(draft
            .refuse(
                kind,
                "qemu.arch-unsupported",
                format!("guests of architecture '{arch}' are not supported"),
            )
            .hint("use arch='x86_64' or arch='i686'")
            .unsupported());
    }
    if !draft.machine.is_known() {
        let name = draft.get(kind, "machine").unwrap_or_default();
        let message = format!("the layout of machine type '{name}' is not known");
        return Err(draft
            .refuse(kind, "qemu.machine-unsupported", message)
            .hint("use machine='q35' or machine='pc'")
            .unsupported());
    }
    Ok(())
}

/// Without another word the balloon leaves the guest all of its memory.
fn current_memory(draft: &mut Draft) -> Result<(), Error> {
    let root = draft.root();
    let Some(memory) = draft.child(root, "memory").filter(|_| draft.child(root, "currentMemory").is_none())
    else {
        return Ok(());
    };
    let current = Fragment::new("currentMemory")
        .maybe_attribute("unit", draft.get(memory, "unit"))
        .text(draft.document().text(memory).trim());
    draft.insert_after(memory, &current.to_xml())?;
    Ok(())
}

/// The processor that the machine would have anyway is written down, so that another QEMU keeps it.
fn cpu(draft: &mut Draft) -> Result<(), Error> {
    let emulator = draft.child(draft.root(), "devices").and_then(|devices| draft.child(devices, "emulator"));
    let emulator = emulator.map(|node| draft.document().text(node).trim().to_owned());
    let emulator = emulator.as_deref();
    let model = Fragment::new("model").attribute("fallback", "forbid").text(default_cpu_model(emulator));
    let Some(cpu) = draft.child(draft.root(), "cpu") else {
        let cpu = Fragment::new("cpu")
            .attribute("mode", "custom")
            .attribute("match", "exact")
            .attribute("check", "none")
            .child(model);
        draft.insert_before_devices(&cpu.to_xml())?;
        return Ok(());
    };
    let custom = draft.get(cpu, "mode").is_none_or(|mode| mode == "custom");
    if custom && draft.child(cpu, "model").is_none() {
        draft.fill(cpu, "mode", "custom")?;
        draft.fill(cpu, "match", "exact")?;
        draft.fill(cpu, "check", "none")?;
        first_child(draft, cpu, &model.to_xml())?;
    }
    Ok(())
}

/// Processors that no NUMA node has are those of node 0, where there are nodes.
fn processors_of_node_0(draft: &mut Draft) -> Result<(), Error> {
    let numa = draft.child(draft.root(), "cpu").and_then(|cpu| draft.child(cpu, "numa"));
    let Some(numa) = numa else { return Ok(()) };
    let cells: Vec<_> = draft.document().elements(numa).collect();
    let set = |cell: &NodeId| draft.get(*cell, "cpus").and_then(number_set).unwrap_or_default();
    let taken: BTreeSet<u32> = cells.iter().flat_map(&set).collect();
    let vcpu = draft.child(draft.root(), "vcpu").map(|vcpu| draft.document().text(vcpu).trim().to_owned());
    let count = vcpu.and_then(|count| count.parse::<u32>().ok()).unwrap_or(1);
    let mut missing = (0..count.min(MAX_PROCESSORS)).filter(|cpu| !taken.contains(cpu)).peekable();
    let first = cells
        .iter()
        .enumerate()
        .find(|(place, cell)| draft.number(**cell, "id").map_or(*place == 0, |id| id == 0));
    if let (Some((_, first)), Some(_)) = (first, missing.peek()) {
        let all: BTreeSet<u32> = set(first).into_iter().chain(missing).collect();
        let (first, all) = (*first, all.into_iter().collect::<Vec<_>>());
        draft.set(first, "cpus", &number_set_text(&all))?;
    }
    Ok(())
}

fn first_child(draft: &mut Draft, node: NodeId, fragment: &str) -> Result<(), Error> {
    let first = draft.document().elements(node).next();
    match first {
        Some(first) => draft.insert_before(first, fragment)?,
        None => draft.append(node, fragment)?,
    };
    Ok(())
}
