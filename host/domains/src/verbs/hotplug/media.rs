//! `media`: what is in a drive.

use std::path::PathBuf;

use hostler_domain::Domain;
use hostler_domain::disk::DiskDevice;
use hostler_state::Definition;

use super::detach::not_found;
use super::{Changed, Scope};
use crate::devices::{self, Device};
use crate::error::{Error, Kind};
use crate::host::Host;
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
        let path = change.medium.as_ref().map(|medium| medium.path.display().to_string());
        let medium = path.as_deref().zip(change.medium.as_ref().map(|medium| medium.format.as_str()));
        self.edit_device((wanted, named), scope, change.force, |definition, xml| {
            let device = drive(definition, xml, named)?;
            let xml = devices::with_medium(xml, &device.identity(), medium)?;
            Ok((device, xml))
        })
        .await
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
