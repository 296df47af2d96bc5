//! Why a device cannot have a PCI place, and what to do about it.

use hostler_sdk::domain::NodeId;
use hostler_sdk::domain::address::PciAddress;
use hostler_sdk::{Error, ProblemExt};

use super::bus_set::Refusal;
use super::connect::Plug;
use super::requests::Resident;
use crate::complete::draft::Draft;

/// Refuses a device for which a place was looked for.
pub(super) fn refuse(draft: &Draft, node: NodeId, plug: Plug, refusal: &Refusal) -> Error {
    let (code, message, hint) = explain(plug, &PciAddress::default(), None, refusal);
    draft.refuse(node, code, message).hint(hint).invalid()
}

/// Refuses a device at the place that the document gives it; `holder` is what already sits there.
pub(super) fn refuse_given(
    draft: &Draft,
    resident: &Resident,
    place: PciAddress,
    holder: Option<NodeId>,
    refusal: &Refusal,
) -> Error {
    let holder = holder.map(|holder| draft.document().path(holder));
    let (code, message, hint) = explain(resident.plug, &place, holder.as_deref(), refusal);
    draft.refuse(resident.node, code, message).hint(hint).invalid()
}

/// Code, message and hint.
fn explain(
    plug: Plug,
    place: &PciAddress,
    holder: Option<&str>,
    refusal: &Refusal,
) -> (&'static str, String, String) {
    let (words, bus) = (plug.words(), place.bus);
    match refusal {
        Refusal::Taken => {
            let who = holder.map(|holder| format!(" by {holder}")).unwrap_or_default();
            let hint = "give one of the devices another slot, or leave its address out".to_owned();
            ("qemu.address-in-use", format!("PCI address {place} is already taken{who}"), hint)
        }
        Refusal::Domain => {
            let message = format!("PCI address {place} is outside domain 0, the only one");
            ("qemu.address-domain", message, "write domain='0x0000'".to_owned())
        }
        Refusal::NoBus => {
            let message = format!("PCI address {place} is on a bus that no controller makes");
            let hint = format!("add a PCI controller with index='{bus}', or use the bus of an existing one");
            ("qemu.address-no-bus", message, hint)
        }
        Refusal::NoSlot { lowest, highest } => {
            let message = format!("PCI address {place} names a slot that bus {bus} does not have");
            ("qemu.address-no-slot", message, format!("use a slot from {lowest:#x} to {highest:#x}"))
        }
        Refusal::Unsuited => {
            let message =
                format!("the PCI controller with index {bus} does not accept a {words}, as {place} asks");
            ("qemu.address-unsuited", message, format!("put it on a controller that accepts a {words}"))
        }
        Refusal::NotIntegrated => {
            let message = format!("the device at PCI address {place} must be an integrated one, on bus 0");
            ("qemu.address-unsuited", message, "write bus='0x00'".to_owned())
        }
        Refusal::Full => {
            let message = format!("no PCI slot is left for a {words}");
            ("qemu.address-full", message, "add a PCI controller, or leave a device out".to_owned())
        }
    }
}
