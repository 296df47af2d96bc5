//! The memory balloon: there is one unless the document says `none`.

use hostler_sdk::Error;
use hostler_sdk::domain::Fragment;

use super::draft::Draft;

/// Adds a balloon when the document does not speak of one.
pub(super) fn add(draft: &mut Draft) -> Result<(), Error> {
    if draft.machine.has_default_balloon() && draft.devices("memballoon").is_empty() {
        draft.add_device("memballoon", &Fragment::new("memballoon").attribute("model", "virtio").to_xml())?;
    }
    Ok(())
}
