//! Which channels something in a guest has open, as its driver tells it.

use std::collections::BTreeMap;

use hostler_state::{RunDir, RunRecord};

use super::domain::{Subject, state_failed};
use crate::bindings::wit::types::Error;
use crate::context::OpenChannels;

/// The event by which a driver tells of it.
pub(super) const CHANGED: &str = "channel-changed";

/// Keeps what an event says of a channel, if the document has that; told of an earlier run, it is gone with the next.
///
/// # Errors
/// When the record cannot be read or written.
pub(super) fn keep(subject: &Subject, detail: &BTreeMap<String, String>) -> Result<(), Error> {
    let said = |key: &str| detail.get(key).map(String::as_str);
    let (Some(name), Some(open @ ("yes" | "no"))) = (said("name"), said("open")) else { return Ok(()) };
    let channels = &subject.document()?.devices.channels;
    if !channels.iter().any(|channel| channel.target.name.as_deref() == Some(name)) {
        return Ok(());
    }
    let run = subject.context.state.directory().run_dir(subject.context.uuid);
    note(&run, name, open == "yes").map_err(|error| state_failed(&error))
}

fn note(run: &RunDir, name: &str, open: bool) -> Result<(), hostler_state::StateError> {
    let mut known: OpenChannels = run.read(RunRecord::Channels)?.unwrap_or_default();
    let changed = if open { known.0.insert(name.to_owned()) } else { known.0.remove(name) };
    if changed { run.write(RunRecord::Channels, &known) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_open_until_they_are_closed() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(hostler_state::Uuid::from_u128(1).to_string());
        std::fs::create_dir(&path).unwrap();
        let run = RunDir::open(&path).unwrap();
        let open = || run.read::<OpenChannels>(RunRecord::Channels).unwrap().unwrap_or_default().0;
        for (name, is_open, left) in [
            ("a", false, &[][..]),
            ("a", true, &["a"]),
            ("b", true, &["a", "b"]),
            ("a", true, &["a", "b"]),
            ("a", false, &["b"]),
        ] {
            note(&run, name, is_open).unwrap();
            assert_eq!(open().into_iter().collect::<Vec<_>>(), left);
        }
    }
}
