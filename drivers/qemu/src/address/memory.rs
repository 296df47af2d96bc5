//! Slots of memory modules.

use std::collections::BTreeSet;

use hostler_sdk::domain::NodeId;
use hostler_sdk::domain::address::Address;
use hostler_sdk::{Error, ProblemExt};

use crate::complete::draft::Draft;

/// Gives every DIMM and NVDIMM a slot: the first free one.
pub(crate) fn assign(draft: &mut Draft) -> Result<(), Error> {
    let slots = draft.child(draft.root(), "maxMemory").and_then(|most| draft.number(most, "slots"));
    let modules: Vec<_> =
        draft.devices("memory").into_iter().filter(|node| is_module(draft, *node)).collect();
    let mut taken = BTreeSet::new();
    for node in &modules {
        if let Some(slot) = slot_of(draft, *node)
            && !taken.insert(slot)
        {
            return Err(draft
                .refuse(*node, "qemu.address-in-use", format!("memory slot {slot} is already taken"))
                .hint("give the module another slot, or leave its address out")
                .invalid());
        }
    }
    for node in modules {
        if slot_of(draft, node).is_some() {
            continue;
        }
        let Some(slot) = (0..=u32::MAX).find(|slot| !taken.contains(slot)) else { continue };
        if slots.is_some_and(|slots| slot >= slots) {
            return Err(draft
                .refuse(node, "qemu.address-full", "no memory slot is left for this module")
                .hint("raise 'slots' of 'maxMemory'")
                .invalid());
        }
        taken.insert(slot);
        draft.set_place(node, &Address::Dimm { slot: Some(slot), base: None })?;
    }
    Ok(())
}

fn is_module(draft: &Draft, node: NodeId) -> bool {
    matches!(draft.get(node, "model"), Some("dimm" | "nvdimm"))
}

fn slot_of(draft: &Draft, node: NodeId) -> Option<u32> {
    match draft.place(node) {
        Some(Address::Dimm { slot, .. }) => slot,
        _ => None,
    }
}
