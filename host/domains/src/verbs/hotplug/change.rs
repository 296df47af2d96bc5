//! A change as it stands in the journal, and how it is made to last.

use hostler_domain::Domain;
use hostler_runtime::{DomainContext, Next};
use hostler_state::{Definition, Intent};
use serde::{Deserialize, Serialize};

use crate::context::{Purpose, Subject};
use crate::error::Error;
use crate::host::Host;
use crate::verbs::define::{Prepared, accepted};

/// What an intent tells of a change of a running guest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Change {
    /// The device, by kind and name.
    pub(super) device: String,
    /// The document of the guest when the change is made.
    pub(super) next: String,
    /// Whether a drive may be opened by force.
    #[serde(default)]
    pub(super) force: bool,
    /// The definition that is stored then.
    pub(super) stored: Option<Stored>,
}

/// A definition that is to be stored, in place of the one before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) xml: String,
    pub(super) generation: u64,
}

impl Stored {
    pub(super) fn of(prepared: &Prepared) -> Self {
        Self { xml: prepared.definition.xml.clone(), generation: prepared.definition.generation }
    }
}

impl Host {
    /// The completed document that a guest would have: judged by its driver, and beneath what its tenant may reach.
    pub(super) async fn completed_next(&self, definition: &Definition, xml: String) -> Result<Domain, Error> {
        let driver = self.drivers.by_name(&definition.driver)?;
        let given = Domain::parse(&xml)?;
        self.require_allowed_to_tenant(&given)?;
        let subject = Subject { uuid: definition.uuid, name: definition.name.clone(), xml };
        let mut context = self.context_for(&subject, Purpose::Describe)?;
        // By the number of its run the driver knows that it is to name the devices of a guest that runs.
        context.numeric_id = self.context(definition, Purpose::Describe)?.numeric_id;
        let completed = driver.check(&context).await?;
        let checked = accepted(&driver.manifest().name, &given, definition.uuid, &completed)?;
        // Once more, for a driver is not trusted either.
        self.require_allowed_to_tenant(&checked)?;
        Ok(checked)
    }

    /// What a driver is given for a change: what the guest is, and what it is to be.
    pub(super) fn changing(
        &self,
        definition: &Definition,
        xml: &str,
    ) -> Result<(DomainContext, Next), Error> {
        let mut context = self.context(definition, Purpose::Operate)?;
        let next = self.next_of(&context, xml.to_owned())?;
        context.next = Some(next.clone());
        Ok((context, next))
    }

    /// Stores a definition that was prepared.
    pub(in crate::verbs) fn store(&self, prepared: &Prepared) -> Result<(), Error> {
        self.owner()?.put_definition(&prepared.definition)?;
        self.tell(&prepared.definition, "redefined");
        Ok(())
    }

    /// Stores what the intent of a change has for the stored definition.
    pub(super) fn store_wanted(&self, intent: &Intent, change: &Change) -> Result<(), Error> {
        change.stored.as_ref().map_or(Ok(()), |stored| self.store_noted(intent, stored))
    }

    /// Stores what an intent has for the stored definition, if nobody has stored another one since.
    pub(super) fn store_noted(&self, intent: &Intent, stored: &Stored) -> Result<(), Error> {
        let Some(now) = self.state().definition_by_uuid(intent.domain)? else {
            return Ok(());
        };
        if now.generation + 1 != stored.generation {
            return Ok(());
        }
        let definition = Definition { xml: stored.xml.clone(), generation: stored.generation, ..now };
        Ok(self.owner()?.put_definition(&definition)?)
    }
}

/// What an intent tells.
///
/// # Errors
/// It is not one of ours.
pub(super) fn noted(intent: &Intent) -> Result<Change, Error> {
    serde_json::from_value(intent.payload.clone()).map_err(|error| {
        Error::new(crate::error::Kind::Host, "journal.unreadable", "an intent of a device cannot be read")
            .caused_by(error)
    })
}
