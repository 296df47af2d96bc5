//! Video devices: one when there is a display, and the memory of each.

use hostler_sdk::Error;
use hostler_sdk::domain::NodeId;

use super::draft::Draft;

/// The model of a video device that names none.
const DEFAULT_MODEL: &str = "cirrus";

/// Fills what video devices leave open.
pub(super) fn settle(draft: &mut Draft) -> Result<(), Error> {
    for (place, node) in draft.devices("video").into_iter().enumerate() {
        settle_one(draft, node, place == 0)?;
    }
    Ok(())
}

/// Adds a video device when there is a display and nothing to show on it.
pub(super) fn add(draft: &mut Draft) -> Result<(), Error> {
    if draft.devices("graphics").is_empty() || !draft.devices("video").is_empty() {
        return Ok(());
    }
    let node = draft.add_device("video", "<video/>")?;
    settle_one(draft, node, true)
}

/// The video devices in the order in which they are served: the primary one first.
pub(crate) fn in_order(draft: &Draft) -> Vec<NodeId> {
    let mut all = draft.devices("video");
    all.sort_by_key(|node| draft.child_get(*node, "model", "primary") != Some("yes"));
    all
}

fn settle_one(draft: &mut Draft, node: NodeId, primary: bool) -> Result<(), Error> {
    let model = draft.need_child(node, "model")?;
    draft.fill(model, "type", DEFAULT_MODEL)?;
    let kind = draft.get(model, "type").unwrap_or(DEFAULT_MODEL).to_owned();
    for (name, value) in memory(&kind) {
        draft.fill(model, name, value)?;
    }
    if !matches!(kind.as_str(), "none" | "ramfb") {
        draft.fill(model, "heads", "1")?;
    }
    let none_is_primary =
        || draft.devices("video").iter().all(|other| draft.child_get(*other, "model", "primary").is_none());
    if primary && kind != "none" && none_is_primary() {
        draft.fill(model, "primary", "yes")?;
    }
    Ok(())
}

/// Sizes of a model's memories, in KiB.
fn memory(model: &str) -> &'static [(&'static str, &'static str)] {
    match model {
        "qxl" => &[("ram", "65536"), ("vram", "65536"), ("vgamem", "16384")],
        "vga" | "cirrus" | "vmvga" | "bochs" => &[("vram", "16384")],
        _ => &[],
    }
}
