//! Controllers that devices name but the document does not have.

use hostler_sdk::domain::NodeId;
use hostler_sdk::domain::address::Address;
use hostler_sdk::{Error, ProblemExt};

use super::controllers::{find, need};
use super::draft::Draft;

/// Most controllers of one type that are added because a device names a high index.
const MAX_CONTROLLERS: u32 = 256;

/// Adds the controllers that disks and other devices name.
pub(super) fn add(draft: &mut Draft) -> Result<(), Error> {
    for bus in ["scsi", "fdc", "ide", "sata"] {
        let wanted = draft.devices("disk").into_iter().filter_map(|disk| {
            (draft.child_get(disk, "target", "bus") == Some(bus)).then(|| named_controller(draft, disk))?
        });
        need_up_to(draft, bus, wanted.max())?;
    }
    for (kind, (index, node)) in named_by_ports(draft) {
        need_one(draft, kind, index, node)?;
    }
    let scsi = draft.devices("hostdev").into_iter().filter(|node| draft.says(*node, "type", "scsi"));
    let scsi = scsi.filter_map(|node| named_controller(draft, node)).max();
    need_up_to(draft, "scsi", scsi)
}

/// The controllers that channels, consoles and smartcards name; 0 for ports that leave it open.
fn named_by_ports(draft: &Draft) -> Vec<(&'static str, (u32, NodeId))> {
    let index = |node: NodeId| named_controller(draft, node).unwrap_or((0, node));
    let consoles = draft.devices("console").into_iter();
    let ports = consoles.chain(draft.devices("channel"));
    let ports = ports.filter(|port| draft.child_get(*port, "target", "type") == Some("virtio"));
    let ports = ports.map(|port| ("virtio-serial", index(port)));
    let cards = draft.devices("smartcard").into_iter().map(|card| ("ccid", index(card)));
    ports.chain(cards).collect()
}

fn named_controller(draft: &Draft, node: NodeId) -> Option<(u32, NodeId)> {
    match draft.place(node)? {
        Address::Drive(drive) => Some((drive.controller, node)),
        Address::VirtioSerial { controller, .. } | Address::Ccid { controller, .. } => {
            Some((controller, node))
        }
        _ => None,
    }
}

/// Adds a controller that a device names, and those below it.
fn need_up_to(draft: &mut Draft, kind: &str, highest: Option<(u32, NodeId)>) -> Result<(), Error> {
    let Some((highest, node)) = highest else { return Ok(()) };
    for index in 0..highest.min(MAX_CONTROLLERS) {
        need(draft, kind, index, None)?;
    }
    need_one(draft, kind, highest, node)
}

/// Adds a controller that a device names.
fn need_one(draft: &mut Draft, kind: &str, index: u32, node: NodeId) -> Result<(), Error> {
    if kind == "fdc" && index > 0 {
        return Err(draft
            .refuse(node, "qemu.floppy-controller", "this floppy drive needs a second floppy controller")
            .hint("use the targets 'fda' and 'fdb': a machine has one floppy controller with two drives")
            .unsupported());
    }
    if find(draft, kind, index).is_none() && index >= MAX_CONTROLLERS {
        let message = format!("this device is on '{kind}' controller {index}, which is not there");
        return Err(draft
            .refuse(node, "qemu.controller-index", message)
            .hint(format!("use a controller below {MAX_CONTROLLERS}, or add the controller"))
            .invalid());
    }
    need(draft, kind, index, None)
}
