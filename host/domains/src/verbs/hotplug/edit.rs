//! What changes a device that stays: its medium, its cable, its limits.

use hostler_state::Definition;

use super::attach::unwritable;
use super::change::{Change, Stored};
use super::detach::not_found;
use super::{Changed, Scope};
use crate::devices::Device;
use crate::error::Error;
use crate::host::Host;
use crate::recovery::verb;
use crate::reference::DomainRef;

impl Host {
    /// Changes a device as `edit` does in a document, of which it gives the device and the document then: in the guest that
    /// runs, and in the stored definition. `force` is for the driver.
    ///
    /// # Errors
    /// Those of `edit`; [`crate::Kind::NotFound`] when there is nothing to change; what the driver answers.
    pub(super) async fn edit_device(
        &self,
        (wanted, named): (&DomainRef, &str),
        scope: Scope,
        force: bool,
        edit: impl Fn(&Definition, &str) -> Result<(Device, String), Error> + Send + Sync,
    ) -> Result<Changed, Error> {
        self.owner()?;
        let definition = self.find(wanted)?;
        let places = self.places(&definition, scope)?;
        let prepared = match places.stored {
            true => {
                let (device, xml) = edit(&definition, &definition.xml)?;
                Some((device, self.prepare(&xml, true).await?))
            }
            false => None,
        };
        if !places.live {
            let Some((device, prepared)) = prepared else { return Err(not_found(&definition, None, named)) };
            self.store(&prepared)?;
            return self.changed(&definition, device.identity(), false, true).await;
        }
        let (device, xml) = edit(&definition, &self.current_xml(&definition)?)?;
        let change = Change {
            device: device.identity(),
            next: self.completed_next(&definition, xml).await?.to_xml(),
            force,
            stored: prepared.as_ref().map(|(_, prepared)| Stored::of(prepared)),
        };
        self.exchange(&definition, &device, &change).await?;
        if let Some((_, prepared)) = &prepared {
            self.tell(&prepared.definition, "redefined");
        }
        self.changed(&definition, device.identity(), true, places.stored).await
    }

    /// Changes a device of a running guest to what the next document says.
    async fn exchange(&self, definition: &Definition, device: &Device, change: &Change) -> Result<(), Error> {
        let driver = self.require_hotplug(definition)?;
        let (context, next) = self.changing(definition, &change.next)?;
        let owner = self.owner()?;
        let payload = serde_json::to_value(change).map_err(unwritable)?;
        let intent = owner.journal().begin(verb::UPDATE, definition.uuid, "begun", payload)?;
        let options = if change.force { vec![("force".to_owned(), "yes".to_owned())] } else { Vec::new() };
        if let Err(error) = driver.update_device(&context, device.place, &options).await {
            return Err(self.unsuccessful(&intent, error)?);
        }
        self.replace_run_document(definition, &next)?;
        self.store_wanted(&intent, change)?;
        Ok(owner.journal().finish(&intent)?)
    }
}
