//! What came of guests that were offered to this state directory: the evidence for whoever sent them.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock;
use crate::error::{Kind, StateError};
use crate::files::Keep;
use crate::layout::StateDir;
use crate::owner::Owner;

/// The directory of the records under the root.
pub(crate) const DIRECTORY: &str = "migrations";
/// Most records that are kept. A sender asks within seconds; what is gone is not known, and then the operator decides.
const RECORDS_MAX: usize = 256;

/// Where a guest is that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MigrationOutcome {
    /// It went on here.
    Taken,
    /// It has not gone on here and never will.
    Refused,
}

/// What came of one migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationRecord {
    /// Identifies the migration; the side that sends chose it.
    pub id: Uuid,
    /// The domain.
    pub domain: Uuid,
    /// Where its guest is.
    pub outcome: MigrationOutcome,
    /// When that was decided, in milliseconds since 1970.
    pub decided_unix_ms: u64,
}

impl StateDir {
    /// What came of a migration; nothing as long as it is not decided, or when it is none of this directory's.
    ///
    /// # Errors
    /// [`Kind::Corrupt`], [`Kind::Io`] or [`Kind::TooNew`].
    pub fn migration(&self, id: Uuid) -> Result<Option<MigrationRecord>, StateError> {
        let path = self.root().join(DIRECTORY).join(id.to_string());
        let Some(payload) = self.files.load(&path)? else { return Ok(None) };
        match serde_json::from_slice::<MigrationRecord>(&payload) {
            Ok(record) if record.id == id => Ok(Some(record)),
            _ => Err(StateError::new(Kind::Corrupt, &path, "the record of a migration cannot be read")),
        }
    }
}

impl Owner {
    /// Writes down what came of a migration; durable when this returns. The oldest records go when there are too many.
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::Full`].
    pub fn put_migration(&self, id: Uuid, domain: Uuid, outcome: MigrationOutcome) -> Result<(), StateError> {
        let record = MigrationRecord { id, domain, outcome, decided_unix_ms: clock::unix_ms() };
        let path = self.root().join(DIRECTORY).join(id.to_string());
        let payload = serde_json::to_vec(&record)
            .map_err(|error| StateError::io(&path, "encode the record", std::io::Error::from(error)))?;
        self.files.replace(&path, &payload, Keep::OnlyCurrent)?;
        self.forget_old_migrations(id)
    }

    fn forget_old_migrations(&self, newest: Uuid) -> Result<(), StateError> {
        let known = self.uuids_in(DIRECTORY)?;
        if known.len() <= RECORDS_MAX {
            return Ok(());
        }
        let mut aged = Vec::new();
        for id in known.into_iter().filter(|id| *id != newest) {
            // What cannot be read is no evidence, and goes first.
            let decided = self.migration(id).ok().flatten().map_or(0, |record| record.decided_unix_ms);
            aged.push((decided, id));
        }
        aged.sort_unstable();
        let surplus = aged.len().saturating_sub(RECORDS_MAX - 1);
        for (_, id) in aged.into_iter().take(surplus) {
            self.files.remove(&self.root().join(DIRECTORY).join(id.to_string()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn outcome_is_read_by_whoever_may_read_and_the_oldest_go() {
        let root = tempfile::tempdir().unwrap();
        let owner = StateDir::open_owner(root.path(), Duration::ZERO).unwrap();
        let (first, domain) = (Uuid::new_v4(), Uuid::new_v4());
        let reader = StateDir::open_reader(root.path()).unwrap();
        assert_eq!(reader.migration(first).unwrap(), None);
        owner.put_migration(first, domain, MigrationOutcome::Refused).unwrap();
        owner.put_migration(first, domain, MigrationOutcome::Taken).unwrap();
        assert_eq!(reader.migration(first).unwrap().unwrap().outcome, MigrationOutcome::Taken);
        let last = Uuid::new_v4();
        for id in (0..RECORDS_MAX).map(|_| Uuid::new_v4()).chain([last]) {
            owner.put_migration(id, domain, MigrationOutcome::Refused).unwrap();
        }
        assert_eq!(reader.uuids_in(DIRECTORY).unwrap().len(), RECORDS_MAX);
        assert!(reader.migration(last).unwrap().is_some());
    }

    #[test]
    fn damaged_record_is_no_evidence() {
        let root = tempfile::tempdir().unwrap();
        let owner = StateDir::open_owner(root.path(), Duration::ZERO).unwrap();
        let id = Uuid::new_v4();
        owner.put_migration(id, id, MigrationOutcome::Taken).unwrap();
        std::fs::write(root.path().join(DIRECTORY).join(id.to_string()), b"damaged").unwrap();
        let reader = StateDir::open_reader(root.path()).unwrap();
        assert!(reader.migration(id).is_err());
    }
}
