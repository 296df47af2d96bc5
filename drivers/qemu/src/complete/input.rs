//! The PS/2 mouse and keyboard that every PC has.

use hostler_sdk::Error;
use hostler_sdk::domain::Fragment;

use super::draft::Draft;

/// Writes the built-in input devices down, and the bus of those that leave it open.
pub(super) fn add(draft: &mut Draft) -> Result<(), Error> {
    for node in draft.devices("input") {
        if draft.get(node, "bus").is_none() {
            let bus = match draft.get(node, "type") {
                Some("tablet") => "usb",
                Some("passthrough") => "virtio",
                Some("evdev") => continue,
                _ => "ps2",
            };
            draft.fill(node, "bus", bus)?;
        }
    }
    if !draft.machine.has_ps2() {
        return Ok(());
    }
    for kind in ["mouse", "keyboard"] {
        let inputs = draft.devices("input");
        if !inputs.iter().any(|node| draft.says(*node, "type", kind) && draft.says(*node, "bus", "ps2")) {
            let input = Fragment::new("input").attribute("type", kind).attribute("bus", "ps2");
            draft.add_device("input", &input.to_xml())?;
        }
    }
    Ok(())
}
