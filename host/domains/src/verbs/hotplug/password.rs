//! Another password for a display.

use hostler_domain::Domain;
use hostler_state::Definition;

use super::detach::not_found;
use super::{Changed, Scope};
use crate::devices::{self, Device};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::DomainRef;

/// What whoever comes to a display is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisplayPassword<'a> {
    /// The password; an empty one lets nobody in.
    pub password: &'a str,
    /// Until when it is good, as `2030-01-02T03:04:05` in UTC.
    pub valid_to: Option<&'a str>,
}

impl Host {
    /// Gives the display of a type, such as `vnc`, or with an alias another password: in the guest that runs, where who looks at
    /// it already goes on, and in the stored definition.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such display; [`Kind::Unsupported`] for one that began without a password. Nothing
    /// has changed then.
    pub async fn set_display_password(
        &self,
        wanted: &DomainRef,
        named: &str,
        password: DisplayPassword<'_>,
        scope: Scope,
    ) -> Result<Changed, Error> {
        self.edit_device((wanted, named), scope, false, |definition, xml| {
            let device = display(definition, xml, named)?;
            let DisplayPassword { password, valid_to } = password;
            let xml = devices::with_password(xml, &device.identity(), password, valid_to)?;
            Ok((device, xml))
        })
        .await
    }
}

/// The display that a user means.
fn display(definition: &Definition, xml: &str, named: &str) -> Result<Device, Error> {
    let domain = Domain::parse(xml)?;
    let is_meant = |device: &Device| {
        device.kind == "graphics" && devices::attribute(&domain, device, "type") == Some(named)
    };
    if let Some(device) = devices::all(&domain).into_iter().find(is_meant) {
        return Ok(device);
    }
    let found = devices::find(&domain, named)?.ok_or_else(|| not_found(definition, Some(&domain), named))?;
    if found.kind == "graphics" {
        return Ok(found);
    }
    let message = format!("'{named}' of '{}' is no display", definition.name);
    Err(Error::new(Kind::Conflict, "device.no-display", message)
        .about("domain", &definition.name)
        .hint("name the display by its type, such as 'vnc', or its alias"))
}
