//! Serial ports and consoles: numbers, targets, and the pair that is one device.

use hostler_sdk::Error;
use hostler_sdk::domain::{Fragment, NodeId};

use super::draft::Draft;

/// The target of a serial port that names none, and of the console that is the same device.
const DEFAULT_SERIAL: &str = "isa-serial";
const SERIAL_CONSOLE: &str = "serial";

/// Pairs console and serial port, and fills targets and port numbers.
pub(super) fn settle(draft: &mut Draft) -> Result<(), Error> {
    for name in ["serial", "parallel"] {
        number_ports(draft, name)?;
    }
    pair(draft)?;
    for node in draft.devices("serial") {
        serial_target(draft, node)?;
    }
    for node in draft.devices("console") {
        let target = draft.need_child(node, "target")?;
        draft.fill(target, "type", SERIAL_CONSOLE)?;
    }
    number_ports(draft, "console")
}

/// The first serial port and the first serial console are one device: each brings the other.
fn pair(draft: &mut Draft) -> Result<(), Error> {
    let serial = draft.devices("serial").first().copied();
    let console = draft.devices("console").first().copied();
    match (serial, console) {
        (None, Some(console)) if is_serial_console(draft, console) => {
            let copy = copy_backend(draft, console, "serial", None);
            let serial = draft.insert_before(console, &copy.to_xml())?;
            number_ports(draft, "serial")?;
            serial_target(draft, serial)
        }
        (Some(serial), first) if !first.is_some_and(|node| is_serial_console(draft, node)) => {
            if !is_isa(draft, serial) {
                return Ok(());
            }
            let copy = copy_backend(draft, serial, "console", Some(SERIAL_CONSOLE)).to_xml();
            match first {
                Some(first) => draft.insert_before(first, &copy)?,
                None => {
                    let last = draft.devices("serial").last().copied().unwrap_or(serial);
                    draft.insert_after(last, &copy)?
                }
            };
            Ok(())
        }
        _ => Ok(()),
    }
}

fn is_serial_console(draft: &Draft, console: NodeId) -> bool {
    draft.child_get(console, "target", "type").is_none_or(|kind| kind == SERIAL_CONSOLE)
}

fn is_isa(draft: &Draft, serial: NodeId) -> bool {
    draft.child_get(serial, "target", "type").is_none_or(|kind| kind == DEFAULT_SERIAL)
}

/// The same backend as another element, under another name.
fn copy_backend(draft: &Draft, node: NodeId, name: &str, target: Option<&str>) -> Fragment {
    let document = draft.document();
    let mut copy = Fragment::new(name);
    for attribute in document.attributes(node) {
        copy = copy.attribute(&attribute.name, &attribute.value);
    }
    let kept = |child: &NodeId| !matches!(document.name(*child), "target" | "address" | "alias");
    for child in document.elements(node).filter(kept) {
        copy = copy.child(copy_element(draft, child));
    }
    let Some(kind) = target else { return copy };
    copy.child(Fragment::new("target").attribute("type", kind).attribute("port", 0))
}

// Recursion is bounded by the depth that a document may have.
fn copy_element(draft: &Draft, node: NodeId) -> Fragment {
    let document = draft.document();
    let mut copy = Fragment::new(document.name(node));
    for attribute in document.attributes(node) {
        copy = copy.attribute(&attribute.name, &attribute.value);
    }
    let mut children = document.elements(node).peekable();
    if children.peek().is_none() {
        let text = document.text(node);
        return if text.is_empty() { copy } else { copy.text(text) };
    }
    children.fold(copy, |copy, child| copy.child(copy_element(draft, child)))
}

fn serial_target(draft: &mut Draft, node: NodeId) -> Result<(), Error> {
    let target = draft.need_child(node, "target")?;
    draft.fill(target, "type", DEFAULT_SERIAL)?;
    let device = match draft.get(target, "type") {
        Some("isa-serial") => "isa-serial",
        Some("pci-serial") => "pci-serial",
        Some("usb-serial") => "usb-serial",
        Some("isa-debug") => "isa-debugcon",
        _ => return Ok(()),
    };
    let model = draft.need_child(target, "model")?;
    draft.fill(model, "name", device)
}

/// Gives every port of a kind a number: one more than the highest so far.
fn number_ports(draft: &mut Draft, name: &str) -> Result<(), Error> {
    let mut next = 0_u32;
    for node in draft.devices(name) {
        let target = draft.need_child(node, "target")?;
        match draft.number(target, "port") {
            Some(port) => next = next.max(port.saturating_add(1)),
            None => {
                draft.fill(target, "port", &next.to_string())?;
                next = next.saturating_add(1);
            }
        }
    }
    Ok(())
}
