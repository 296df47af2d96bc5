//! Another password for a display whose guest runs.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::domain::graphics::Graphics;
use hostler_sdk::{Error, Monitor, MonitorExt, ProblemExt};

use super::super::displays;
use super::subject::{at, element};

/// The display at this place, if one is there.
pub(super) fn of(document: &Document, place: u32) -> Option<&Graphics> {
    let node = element(document, place).ok()?;
    document.devices.graphics.iter().find(|graphics| graphics.node == node)
}

/// Gives a display the password of the next document. Whoever looks at it already goes on.
///
/// # Errors
/// `unsupported` for a display that began without a password: its server asks for none until it ends; what the monitor
/// answers.
pub(super) fn change(
    monitor: &Monitor,
    before: &Graphics,
    (next, graphics): (&Document, &Graphics),
) -> Result<(), Error> {
    if before.password().is_none() {
        return Err(at(next, graphics.node, "a display that began without a password can get none")
            .hint("change the stored definition, which counts from the next start")
            .unsupported());
    }
    displays::password(graphics)
        .into_iter()
        .try_for_each(|command| monitor.run_all(&[command]).pop().transpose().map(drop))
}
