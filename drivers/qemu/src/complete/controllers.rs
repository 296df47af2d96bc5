//! Controllers: their numbers, their models, and those that a machine brings.

use std::collections::BTreeSet;

use hostler_sdk::domain::{Fragment, NodeId};
use hostler_sdk::{Error, ProblemExt};

use super::draft::Draft;
use super::usb_companions;
use crate::machine::{UNNAMED_SCSI_MODEL, UNNAMED_USB_MODEL};

/// A controller as the document has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Controller {
    /// The element.
    pub(crate) node: NodeId,
    /// Its type, such as `usb`.
    pub(crate) kind: String,
    /// Its number among those of its type; none when still to be chosen.
    pub(crate) index: Option<u32>,
    /// Its model; empty when the document does not say.
    pub(crate) model: String,
}

/// The controllers in the order in which they are served: first those that the author wrote, types as
/// they first appear and then by index; then those that were added, as they were.
pub(crate) fn listed(draft: &Draft) -> Vec<Controller> {
    let all: Vec<_> = draft.devices("controller").into_iter().map(|node| read(draft, node)).collect();
    let mut kinds: Vec<&str> = Vec::new();
    for controller in &all {
        if !kinds.contains(&controller.kind.as_str()) {
            kinds.push(&controller.kind);
        }
    }
    let place = |kind: &str| kinds.iter().position(|known| *known == kind);
    let mut sorted = all.clone();
    // The sort is stable; at one index the master of a USB group stands before its companions.
    sorted.sort_by_key(|controller| {
        let added = draft.added_place(controller.node);
        let companion = usb_companions::is_companion(&controller.model);
        let kind = place(&controller.kind).filter(|_| added.is_none());
        (added, kind, controller.index.unwrap_or(u32::MAX), companion)
    });
    sorted
}

fn read(draft: &Draft, node: NodeId) -> Controller {
    Controller {
        node,
        kind: draft.get(node, "type").unwrap_or_default().to_owned(),
        index: draft.number(node, "index"),
        model: draft.get(node, "model").unwrap_or_default().to_owned(),
    }
}

/// The controllers of one type.
pub(crate) fn of_kind(draft: &Draft, kind: &str) -> Vec<Controller> {
    listed(draft).into_iter().filter(|controller| controller.kind == kind).collect()
}

/// A controller by type and index.
pub(crate) fn find(draft: &Draft, kind: &str, index: u32) -> Option<Controller> {
    of_kind(draft, kind).into_iter().find(|controller| controller.index == Some(index))
}

/// Adds a controller, beside those of its type and in the order of their indexes.
pub(crate) fn add(draft: &mut Draft, kind: &str, index: u32, model: Option<&str>) -> Result<NodeId, Error> {
    let fragment = Fragment::new("controller")
        .attribute("type", kind)
        .attribute("index", index)
        .maybe_attribute("model", model)
        .to_xml();
    let mut same = of_kind(draft, kind);
    same.sort_by_key(|controller| controller.index);
    let below = same.iter().rfind(|controller| controller.index.is_some_and(|other| other < index));
    let node = match (below, same.first()) {
        (Some(below), _) => draft.insert_after(below.node, &fragment)?,
        (None, Some(first)) => draft.insert_before(first.node, &fragment)?,
        (None, None) => draft.add_device("controller", &fragment)?,
    };
    draft.note_added(node);
    Ok(node)
}

/// Gives every controller its number, and refuses two with the same.
pub(super) fn number(draft: &mut Draft) -> Result<(), Error> {
    let nodes = draft.devices("controller");
    for node in &nodes {
        let controller = read(draft, *node);
        if controller.index.is_none() {
            let index = free_index(draft, &nodes, &controller);
            draft.fill(*node, "index", &index.to_string())?;
        }
    }
    refuse_duplicates(draft, &nodes)
}

fn free_index(draft: &Draft, nodes: &[NodeId], controller: &Controller) -> u32 {
    if controller.model == "pci-root" || controller.model == "pcie-root" {
        return 0;
    }
    if let Some(index) = usb_companions::group_to_join(draft, nodes, controller) {
        return index;
    }
    let used: BTreeSet<_> = nodes
        .iter()
        .map(|node| read(draft, *node))
        .filter(|other| other.kind == controller.kind)
        .filter_map(|other| other.index)
        .collect();
    // PCI controller 0 is the root, whether the document has it or not.
    let first = u32::from(controller.kind == "pci");
    (first..=u32::MAX).find(|index| !used.contains(index)).unwrap_or(u32::MAX)
}

fn refuse_duplicates(draft: &Draft, nodes: &[NodeId]) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for controller in nodes.iter().map(|node| read(draft, *node)) {
        // The functions of one ICH9 USB controller share a number.
        let function =
            if controller.model.starts_with("ich9-") { controller.model.clone() } else { String::new() };
        let index = controller.index.unwrap_or(0);
        if !seen.insert((controller.kind.clone(), index, function)) {
            return Err(draft
                .refuse(
                    controller.node,
                    "qemu.controller-duplicate",
                    format!("there are two '{}' controllers with index {index}", controller.kind),
                )
                .hint("give one of them another index, or leave its index out")
                .invalid());
        }
    }
    Ok(())
}

/// Names the models that the document leaves open.
pub(super) fn name_models(draft: &mut Draft) -> Result<(), Error> {
    for controller in listed(draft).into_iter().filter(|controller| controller.model.is_empty()) {
        match controller.kind.as_str() {
            "usb" => draft.fill(controller.node, "model", UNNAMED_USB_MODEL)?,
            "scsi" => draft.fill(controller.node, "model", UNNAMED_SCSI_MODEL)?,
            "pci" => {
                return Err(draft
                    .refuse(controller.node, "qemu.controller-model", "this PCI controller has no model")
                    .hint("write model='pcie-root-port' on q35, or model='pci-bridge' on pc")
                    .invalid());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Adds the controllers that the machine brings or is expected to have.
pub(super) fn add_defaults(draft: &mut Draft) -> Result<(), Error> {
    check_root(draft)?;
    let machine = draft.machine;
    if let Some(model) = machine.default_usb() {
        need(draft, "usb", 0, Some(model))?;
    }
    if machine.has_builtin_sata() {
        need(draft, "sata", 0, None)?;
    }
    if let Some(model) = machine.pci_root() {
        need(draft, "pci", 0, Some(model))?;
    }
    Ok(())
}

/// Adds a controller unless it is there.
pub(super) fn need(draft: &mut Draft, kind: &str, index: u32, model: Option<&str>) -> Result<(), Error> {
    if find(draft, kind, index).is_none() {
        add(draft, kind, index, model)?;
    }
    Ok(())
}

fn check_root(draft: &Draft) -> Result<(), Error> {
    let Some(wanted) = draft.machine.pci_root() else { return Ok(()) };
    for controller in of_kind(draft, "pci") {
        let is_root = controller.model == "pci-root" || controller.model == "pcie-root";
        if (controller.index == Some(0)) != is_root || is_root && controller.model != wanted {
            return Err(draft
                .refuse(
                    controller.node,
                    "qemu.pci-root",
                    format!("PCI controller 0 of this machine, and no other, is a '{wanted}'"),
                )
                .hint("leave the root out (it is added), and count other controllers from 1")
                .invalid());
        }
        if is_root && draft.place(controller.node).is_some() {
            return Err(draft
                .refuse(
                    controller.node,
                    "qemu.pci-root",
                    "the PCI root is part of the machine and has no address",
                )
                .hint("remove its 'address'")
                .unsupported());
        }
        if controller.model == "pcie-expander-bus" && wanted != "pcie-root"
            || controller.model == "pci-expander-bus" && wanted != "pci-root"
        {
            let message = format!("'{}' does not exist on a machine with '{wanted}'", controller.model);
            return Err(draft
                .refuse(controller.node, "qemu.controller-model", message)
                .hint("use 'pcie-expander-bus' on q35 and 'pci-expander-bus' on pc")
                .unsupported());
        }
    }
    Ok(())
}
