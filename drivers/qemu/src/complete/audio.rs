//! The audio backend: there is always one, so that sound devices have somewhere to play to.

use hostler_sdk::Error;
use hostler_sdk::domain::Fragment;

use super::draft::Draft;

/// Adds a backend when the document has none: the SPICE client's when SPICE comes last, else silence. A display that
/// has sound of its own, on this machine's desktop, gets none unless there is a device to play.
pub(super) fn add(draft: &mut Draft) -> Result<(), Error> {
    if !draft.devices("audio").is_empty() {
        return Ok(());
    }
    let displays = draft.devices("graphics");
    let on_desktop = displays.iter().any(|node| matches!(draft.get(*node, "type"), Some("sdl" | "dbus")));
    if on_desktop && draft.devices("sound").is_empty() {
        return Ok(());
    }
    let mut with_sound = displays.iter().filter_map(|node| draft.get(*node, "type"));
    let last = with_sound.rfind(|kind| matches!(*kind, "spice" | "vnc" | "sdl"));
    let kind = if last == Some("spice") { "spice" } else { "none" };
    draft.add_device("audio", &Fragment::new("audio").attribute("id", 1).attribute("type", kind).to_xml())?;
    Ok(())
}
