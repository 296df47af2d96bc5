//! `attach`: one more device.

use hostler_domain::Domain;
use hostler_runtime::{RuntimeError, RuntimeErrorKind};
use hostler_state::{Definition, Intent};

use super::change::{Change, Stored};
use super::{Changed, Scope};
use crate::devices::{self, Device};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::recovery::verb;
use crate::reference::DomainRef;
use crate::verbs::define::Prepared;

impl Host {
    /// Adds a device, given as its element: to the guest that runs, and to the stored definition, with the same address.
    ///
    /// # Errors
    /// [`Kind::Invalid`] with the place in the element; [`Kind::Conflict`] for a target or an address that is in use;
    /// [`Kind::Unsupported`] for a device that comes with its guest only; whatever image rules, driver and hypervisor refuse.
    /// Nothing has changed then.
    pub async fn attach(&self, wanted: &DomainRef, element: &str, scope: Scope) -> Result<Changed, Error> {
        self.owner()?;
        let definition = self.find(wanted)?;
        let places = self.places(&definition, scope)?;
        let kind = devices::kind_of(element)?;
        if !places.live {
            let prepared = self.prepare(&devices::with(&definition.xml, element)?, true).await?;
            let device = added(&Domain::parse(&prepared.definition.xml)?, &kind)?;
            self.store(&prepared)?;
            return self.changed(&definition, device.identity(), false, true).await;
        }
        let next = self
            .completed_next(&definition, devices::with(&self.current_xml(&definition)?, element)?)
            .await?;
        let device = added(&next, &kind)?;
        // With the place that it has in the guest, so that it has the same one at the next start.
        let prepared = match places.stored {
            true => {
                let element = devices::nameless(&device.element(&next))?;
                Some(self.prepare(&devices::with(&definition.xml, &element)?, true).await?)
            }
            false => None,
        };
        self.plug(&definition, &next, &device, prepared.as_ref()).await?;
        self.changed(&definition, device.identity(), true, places.stored).await
    }

    async fn plug(
        &self,
        definition: &Definition,
        next: &Domain,
        device: &Device,
        prepared: Option<&Prepared>,
    ) -> Result<(), Error> {
        let driver = self.require_hotplug(definition)?;
        let xml = next.to_xml();
        let (context, made) = self.changing(definition, &xml)?;
        let change =
            Change { device: device.identity(), next: xml, force: false, stored: prepared.map(Stored::of) };
        let owner = self.owner()?;
        let payload = serde_json::to_value(&change).map_err(unwritable)?;
        let intent = owner.journal().begin(verb::ATTACH, definition.uuid, "begun", payload)?;
        let plugged = driver.attach(&context, device.place).await;
        if let Err(error) = plugged {
            return Err(self.unsuccessful(&intent, error)?);
        }
        self.replace_run_document(definition, &made)?;
        prepared.map_or(Ok(()), |prepared| self.store(prepared))?;
        Ok(owner.journal().finish(&intent)?)
    }

    /// A change that a driver answered with an error has not been made, by the contract; of one without an answer the next
    /// owner finds out what became.
    pub(super) fn unsuccessful(&self, intent: &Intent, error: RuntimeError) -> Result<Error, Error> {
        if error.kind == RuntimeErrorKind::Driver {
            self.owner()?.journal().finish(intent)?;
            return Ok(error.into());
        }
        Ok(Error::from(error).hint("the next command finds out what became of it"))
    }

    /// What became of a change.
    pub(super) async fn changed(
        &self,
        definition: &Definition,
        device: String,
        live: bool,
        stored: bool,
    ) -> Result<Changed, Error> {
        let definition =
            self.state().definition_by_uuid(definition.uuid)?.unwrap_or_else(|| definition.clone());
        let leaving = self.leaving(&definition)?.contains(&device);
        Ok(Changed { summary: self.summarise(&definition).await?, device, live, stored, leaving })
    }
}

pub(super) fn unwritable(error: serde_json::Error) -> Error {
    Error::new(Kind::Host, "journal.unwritable", "an intent cannot be written").caused_by(error)
}

fn added(domain: &Domain, kind: &str) -> Result<Device, Error> {
    devices::last(domain, kind).ok_or_else(|| {
        let message = format!("the driver's document does not have the <{kind}> that was added");
        Error::new(Kind::Driver, "driver.document", message)
    })
}
