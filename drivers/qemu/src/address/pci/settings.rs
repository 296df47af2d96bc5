//! What a PCI controller is made of, and the numbers that the guest knows it by.

use hostler_sdk::domain::NodeId;
use hostler_sdk::domain::address::Address;
use hostler_sdk::{Error, ProblemExt};

use crate::complete::controllers::{self, Controller};
use crate::complete::draft::Draft;

/// Bus numbers of expander buses are handed out downwards from here.
const FIRST_BUS_NUMBER: u32 = 256;
/// Bus numbers that an expander bus takes: its own, and that of the bridge inside.
const BUS_NUMBERS_EACH: u32 = 2;

/// Fills the settings that the document leaves open.
pub(super) fn fill(draft: &mut Draft) -> Result<(), Error> {
    for controller in controllers::listed(draft).iter().filter(|controller| controller.kind == "pci") {
        if let Some(device) = device_name(&controller.model) {
            let model = draft.need_child(controller.node, "model")?;
            draft.fill(model, "name", device)?;
            fill_target(draft, controller)?;
        }
    }
    Ok(())
}

/// QEMU's device for a controller's model; none for a root, which is part of the machine.
fn device_name(model: &str) -> Option<&'static str> {
    Some(match model {
        "pci-bridge" => "pci-bridge",
        "dmi-to-pci-bridge" => "i82801b11-bridge",
        "pcie-to-pci-bridge" => "pcie-pci-bridge",
        "pcie-root-port" => "pcie-root-port",
        "pcie-switch-upstream-port" => "x3130-upstream",
        "pcie-switch-downstream-port" => "xio3130-downstream",
        "pci-expander-bus" => "pxb",
        "pcie-expander-bus" => "pxb-pcie",
        _ => return None,
    })
}

fn fill_target(draft: &mut Draft, controller: &Controller) -> Result<(), Error> {
    let index = controller.index.unwrap_or(0);
    let (slot, function) = match draft.place(controller.node) {
        Some(Address::Pci(place)) => (u32::from(place.slot), u32::from(place.function)),
        _ => (0, 0),
    };
    match controller.model.as_str() {
        "pci-bridge" => target(draft, controller.node, "chassisNr", &index.to_string()),
        "pcie-root-port" => ports(draft, controller.node, index, (slot << 3) + function),
        "pcie-switch-downstream-port" => ports(draft, controller.node, index, slot),
        "pci-expander-bus" | "pcie-expander-bus" => bus_number(draft, controller.node),
        _ => Ok(()),
    }
}

fn target(draft: &mut Draft, node: NodeId, name: &str, value: &str) -> Result<(), Error> {
    let target = draft.need_child(node, "target")?;
    draft.fill(target, name, value)
}

fn ports(draft: &mut Draft, node: NodeId, chassis: u32, port: u32) -> Result<(), Error> {
    target(draft, node, "chassis", &chassis.to_string())?;
    target(draft, node, "port", &format!("{port:#x}"))
}

fn bus_number(draft: &mut Draft, node: NodeId) -> Result<(), Error> {
    check_cell(draft, node)?;
    if draft.child_get(node, "target", "busNr").is_some() {
        return Ok(());
    }
    let listed = controllers::listed(draft);
    let numbers = listed.iter().filter_map(|controller| {
        let target = draft.child(controller.node, "target")?;
        draft.number(target, "busNr")
    });
    let lowest = numbers.min().unwrap_or(FIRST_BUS_NUMBER);
    if lowest <= BUS_NUMBERS_EACH {
        return Err(draft
            .refuse(node, "qemu.bus-number", "no bus number is left for this expander bus")
            .hint("write higher numbers as 'busNr' of the other expander buses")
            .invalid());
    }
    target(draft, node, "busNr", &(lowest - BUS_NUMBERS_EACH).to_string())
}

/// An expander bus can belong to a NUMA cell of the guest, which must be there.
fn check_cell(draft: &Draft, node: NodeId) -> Result<(), Error> {
    let Some(cell) = draft.child(node, "target").and_then(|target| draft.child(target, "node")) else {
        return Ok(());
    };
    let wanted = draft.document().text(cell);
    let numa = draft.child(draft.root(), "cpu").and_then(|cpu| draft.child(cpu, "numa"));
    let cells: Vec<_> = numa.into_iter().flat_map(|numa| draft.document().elements(numa)).collect();
    let known = cells.iter().enumerate().any(|(position, cell)| {
        draft.get(*cell, "id").map_or_else(|| position.to_string(), str::to_owned) == wanted.trim()
    });
    if known {
        return Ok(());
    }
    let message =
        format!("this controller belongs to NUMA cell {}, which the guest does not have", wanted.trim());
    Err(draft
        .refuse(node, "qemu.numa-cell", message)
        .hint("add the cell to 'cpu/numa', or remove 'node' from the controller's 'target'")
        .invalid())
}
