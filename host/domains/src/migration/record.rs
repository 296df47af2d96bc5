//! What the journals of the two sides say of a migration.

use hostler_state::{Intent, MigrationOutcome, StateDir, Uuid};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Kind};

/// How far a migration came.
pub(crate) mod step {
    /// The sender has the guest. / The receiver has nothing that may run.
    pub(crate) const BEGUN: &str = "begun";
    /// The sender has given the guest away: it takes it back only when it was refused.
    pub(crate) const GIVEN: &str = "given-away";
    /// The guest runs there, and nothing of it is left to do here but to end it.
    pub(crate) const MOVED: &str = "moved";
    /// The receiver lets the guest go on, or has.
    pub(crate) const GOING: &str = "going";
    /// The receiver has not let the guest go on, and ends what it has of it.
    pub(crate) const REFUSING: &str = "refusing";
}

/// What the sender knows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Given {
    /// Identifies the migration.
    pub(crate) id: Uuid,
    /// Where the guest is sent to, for people.
    pub(crate) to: String,
    /// The state directory of the other side, as it says.
    pub(crate) state_dir: String,
    /// Whether the domain is forgotten here afterwards.
    pub(crate) undefine: bool,
}

/// What the receiver knows; the variable store's note is beside it, under `store`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Taking {
    /// Identifies the migration.
    pub(crate) id: Uuid,
    /// Whether the guest's processors are to run.
    pub(crate) running: bool,
    /// What becomes of the variable store when the guest does not come.
    pub(crate) store: Value,
    /// Whether the domain stays defined.
    pub(crate) persist: bool,
}

impl Given {
    pub(crate) fn of(intent: &Intent) -> Result<Self, Error> {
        serde_json::from_value(intent.payload.clone()).map_err(|error| unread().caused_by(error))
    }

    /// What became of the guest, as the other side has it written down: nothing as long as it is not decided, or where
    /// this user cannot read its state directory.
    pub(crate) fn outcome(&self) -> Option<MigrationOutcome> {
        let place = std::path::Path::new(&self.state_dir);
        if !place.is_absolute() {
            return None;
        }
        // A directory that somebody else could have prepared is refused there.
        let found = StateDir::open_reader(place).and_then(|state| state.migration(self.id));
        match found {
            Ok(record) => record.map(|record| record.outcome),
            Err(error) => {
                tracing::debug!(state_dir = self.state_dir, %error, "the destination's record cannot be read");
                None
            }
        }
    }
}

impl Taking {
    pub(crate) fn of(intent: &Intent) -> Result<Self, Error> {
        serde_json::from_value(intent.payload.clone()).map_err(|error| unread().caused_by(error))
    }
}

fn unread() -> Error {
    Error::new(Kind::Host, "migration.record", "what the journal says of a migration cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_what_is_written_down_is_believed() {
        let place = tempfile::tempdir().unwrap();
        let owner = StateDir::open_owner(place.path(), Duration::ZERO).unwrap();
        let of = |id, state_dir: &str| {
            Given { id, to: String::new(), state_dir: state_dir.to_owned(), undefine: false }.outcome()
        };
        let (taken, other) = (Uuid::new_v4(), Uuid::new_v4());
        owner.put_migration(taken, Uuid::nil(), MigrationOutcome::Taken).unwrap();
        let directory = place.path().to_str().unwrap();
        assert_eq!(of(taken, directory), Some(MigrationOutcome::Taken));
        assert_eq!(of(other, directory), None);
        assert_eq!(of(taken, "/nonexistent"), None);
        assert_eq!(of(taken, "relative"), None);
        assert_eq!(of(taken, "/dev/null"), None);
    }
}
