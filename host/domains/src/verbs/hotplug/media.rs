//! `media`: what is in a drive.

use std::path::PathBuf;

use hostler_domain::Domain;
use hostler_domain::disk::DiskDevice;
use hostler_state::Definition;

use super::attach::unwritable;
use super::change::{Change, Stored};
use super::detach::not_found;
use super::{Changed, Scope};
use crate::devices::{self, Device};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::recovery::verb;
use crate::reference::DomainRef;

/// A medium that is put into a drive.
#[derive(Clone, Debug)]
pub struct Medium {
    /// Its file, an absolute path.
    pub path: PathBuf,
    /// The format of the file: formats are never guessed.
    pub format: String,
}

/// What is done to a drive.
#[derive(Clone, Debug, Default)]
pub struct MediumChange {
    /// What it holds then; nothing to empty it.
    pub medium: Option<Medium>,
    /// Open it although the guest has locked it.
    pub force: bool,
}

impl Host {
    /// Puts another medium into a drive, or takes it out: in the guest that runs, and in the stored definition.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such drive; [`Kind::Conflict`] when the guest has locked it; whatever image rules
    /// refuse. The drive has what it had then.
    pub async fn change_medium(
        &self,
        wanted: &DomainRef,
        named: &str,
        change: &MediumChange,
        scope: Scope,
    ) -> Result<Changed, Error> {
        self.owner()?;
        let definition = self.find(wanted)?;
        let places = self.places(&definition, scope)?;
        let path = change.medium.as_ref().map(|medium| medium.path.display().to_string());
        let medium = path.as_deref().zip(change.medium.as_ref().map(|medium| medium.format.as_str()));
        let prepared = match places.stored {
            true => {
                let device = drive(&definition, &definition.xml, named)?;
                let xml = devices::with_medium(&definition.xml, &device.identity(), medium)?;
                Some((device, self.prepare(&xml, true).await?))
            }
            false => None,
        };
        if !places.live {
            let Some((device, prepared)) = prepared else { return Err(not_found(&definition, None, named)) };
            self.store(&prepared)?;
            return self.changed(&definition, device.identity(), false, true).await;
        }
        let current = self.current_xml(&definition)?;
        let device = drive(&definition, &current, named)?;
        let xml = devices::with_medium(&current, &device.identity(), medium)?;
        let next = self.completed_next(&definition, xml).await?.to_xml();
        let change = Change {
            device: device.identity(),
            next,
            force: change.force,
            stored: prepared.as_ref().map(|(_, prepared)| Stored::of(prepared)),
        };
        self.exchange(&definition, &device, &change).await?;
        if let Some((_, prepared)) = &prepared {
            self.tell(&prepared.definition, "redefined");
        }
        self.changed(&definition, device.identity(), true, places.stored).await
    }

    /// Changes a device of a running guest to what the next document says.
    pub(super) async fn exchange(
        &self,
        definition: &Definition,
        device: &Device,
        change: &Change,
    ) -> Result<(), Error> {
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

/// The drive that a user means.
fn drive(definition: &Definition, xml: &str, named: &str) -> Result<Device, Error> {
    let domain = Domain::parse(xml)?;
    let found = devices::find(&domain, named)?.ok_or_else(|| not_found(definition, Some(&domain), named))?;
    let is_drive = domain.devices.disks.iter().any(|disk| {
        disk.target.as_str() == found.name && matches!(disk.device, DiskDevice::Cdrom | DiskDevice::Floppy)
    });
    if found.kind == "disk" && is_drive {
        return Ok(found);
    }
    let message = format!("'{named}' of '{}' is no drive whose medium can change", definition.name);
    Err(Error::new(Kind::Conflict, "device.no-drive", message).about("domain", &definition.name).hint(
        "disks with device='cdrom' or device='floppy' are; another disk is attached and detached as a whole",
    ))
}
