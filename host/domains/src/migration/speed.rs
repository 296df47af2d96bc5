//! How fast a guest may be sent, where somebody has said so beforehand: as long as this host is open.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hostler_state::Uuid;

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::recovery::verb;
use crate::reference::DomainRef;

/// Most bytes a second, by domain. A domain that is not in it is sent as fast as it goes.
#[derive(Debug, Default)]
pub(crate) struct Speeds(Mutex<HashMap<Uuid, u64>>);

impl Speeds {
    pub(crate) fn of(&self, domain: Uuid) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&domain).copied()
    }

    fn set(&self, domain: Uuid, speed: Option<u64>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match speed {
            Some(speed) => known.insert(domain, speed),
            None => known.remove(&domain),
        };
    }
}

impl Host {
    /// Most bytes a second that a migration of this domain sends if it does not say itself; nothing for as fast as it goes.
    ///
    /// # Errors
    /// [`Kind::NotFound`].
    pub fn migration_speed(&self, wanted: &DomainRef) -> Result<Option<u64>, Error> {
        Ok(self.speeds.of(self.find(wanted)?.uuid))
    }

    /// Sets that, until this host is closed.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Conflict`] while the guest is being sent, which is not slowed down then.
    pub fn set_migration_speed(&self, wanted: &DomainRef, speed: Option<u64>) -> Result<(), Error> {
        let definition = self.find(wanted)?;
        let pending = self.state().pending()?;
        if pending.iter().any(|intent| intent.domain == definition.uuid && intent.verb == verb::MIGRATE) {
            let message =
                format!("the guest of '{}' is being sent, as fast as was said before", definition.name);
            return Err(
                Error::new(Kind::Conflict, "migration.begun", message).about("domain", &definition.name)
            );
        }
        self.speeds.set(definition.uuid, speed);
        Ok(())
    }
}
