//! ICH9's USB 2 controller: a master and up to three companions that share number and slot.

use hostler_sdk::domain::NodeId;
use hostler_sdk::{Error, ProblemExt};

use super::controllers::{self, Controller};
use super::draft::Draft;

/// The master's model.
const MASTER: &str = "ich9-ehci1";

/// Whether a model is one of the companions.
pub(super) fn is_companion(model: &str) -> bool {
    first_port(model).is_some()
}

/// The first of the master's ports that a companion serves.
fn first_port(model: &str) -> Option<&'static str> {
    match model {
        "ich9-uhci1" => Some("0"),
        "ich9-uhci2" => Some("2"),
        "ich9-uhci3" => Some("4"),
        _ => None,
    }
}

/// The number of the group that the element before an unnumbered one began, when it lacks this model.
pub(super) fn group_to_join(draft: &Draft, nodes: &[NodeId], controller: &Controller) -> Option<u32> {
    let in_group = |model: &str| model == MASTER || is_companion(model);
    if !in_group(&controller.model) {
        return None;
    }
    let model = |node: NodeId| draft.get(node, "model").unwrap_or_default();
    let usb = |node: &&NodeId| draft.says(**node, "type", "usb");
    let before = nodes.iter().take_while(|node| **node != controller.node).filter(usb).last()?;
    let index = draft.number(*before, "index").filter(|_| in_group(model(*before)))?;
    let same_group = |node: &&NodeId| draft.number(**node, "index") == Some(index);
    let has_model = nodes.iter().filter(usb).filter(same_group).any(|node| model(*node) == controller.model);
    (!has_model).then_some(index)
}

/// Says which ports companions serve; refuses companions without a master.
pub(super) fn settle(draft: &mut Draft) -> Result<(), Error> {
    let all = controllers::of_kind(draft, "usb");
    for controller in &all {
        let has_master = || all.iter().any(|other| other.model == MASTER && other.index == controller.index);
        let Some(port) = first_port(&controller.model) else { continue };
        if !has_master() {
            return Err(draft
                .refuse(
                    controller.node,
                    "qemu.usb-master",
                    "this USB controller is a companion without a master",
                )
                .hint(format!("add a controller with model='{MASTER}' and the same index"))
                .invalid());
        }
        let master = draft.need_child(controller.node, "master")?;
        draft.fill(master, "startport", port)?;
    }
    Ok(())
}

/// Refuses other USB controllers beside one that says that there is no USB.
pub(super) fn refuse_company_of_none(draft: &Draft) -> Result<(), Error> {
    let all = controllers::of_kind(draft, "usb");
    let disabled = all.iter().any(|controller| controller.model == "none");
    let Some(other) = all.iter().find(|controller| disabled && controller.model != "none") else {
        return Ok(());
    };
    Err(draft
        .refuse(other.node, "qemu.usb-disabled", "another USB controller says that there is no USB")
        .hint("remove the controller with model='none'")
        .invalid())
}
