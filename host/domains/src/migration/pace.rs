//! How a guest may be sent, where somebody has said so beforehand: as long as this host is open.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hostler_state::Uuid;

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::recovery::verb;
use crate::reference::DomainRef;

/// How a guest may be sent; nothing of what nobody has said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MigrationPace {
    /// Most bytes a second.
    pub bandwidth: Option<u64>,
    /// How long the guest may stand still at its end, in milliseconds.
    pub downtime_ms: Option<u64>,
}

/// What was said, by domain.
#[derive(Debug, Default)]
pub(crate) struct Paces(Mutex<HashMap<Uuid, MigrationPace>>);

impl Paces {
    fn known(&self) -> MutexGuard<'_, HashMap<Uuid, MigrationPace>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn of(&self, domain: Uuid) -> MigrationPace {
        self.known().get(&domain).copied().unwrap_or_default()
    }

    fn set(&self, domain: Uuid, pace: MigrationPace) {
        match pace == MigrationPace::default() {
            true => self.known().remove(&domain),
            false => self.known().insert(domain, pace),
        };
    }
}

impl Host {
    /// How a migration of this domain goes where it does not say itself.
    ///
    /// # Errors
    /// [`Kind::NotFound`].
    pub fn migration_pace(&self, wanted: &DomainRef) -> Result<MigrationPace, Error> {
        Ok(self.paces.of(self.find(wanted)?.uuid))
    }

    /// Sets that, until this host is closed.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Conflict`] while the guest is being sent, which goes on as it was begun.
    pub fn set_migration_pace(&self, wanted: &DomainRef, pace: MigrationPace) -> Result<(), Error> {
        let definition = self.find(wanted)?;
        let pending = self.state().pending()?;
        if pending.iter().any(|intent| intent.domain == definition.uuid && intent.verb == verb::MIGRATE) {
            let message = format!("the guest of '{}' is being sent, as was said before", definition.name);
            return Err(
                Error::new(Kind::Conflict, "migration.begun", message).about("domain", &definition.name)
            );
        }
        self.paces.set(definition.uuid, pace);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domain_of_which_nothing_is_said_any_more_is_forgotten() {
        let (paces, domain) = (Paces::default(), Uuid::from_u128(1));
        let pace = MigrationPace { bandwidth: Some(7), downtime_ms: None };
        paces.set(domain, pace);
        assert_eq!(paces.of(domain), pace);
        paces.set(domain, MigrationPace::default());
        assert_eq!(paces.of(domain), MigrationPace::default());
        assert!(paces.known().is_empty());
    }
}
