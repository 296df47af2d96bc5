//! Another password for a display.

use hostler_domain::Domain;

use super::detach::not_found;
use super::replace::matching;
use super::{Changed, Scope};
use crate::devices;
use crate::error::Error;
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
    /// Gives the display of a type, such as `vnc`, another password: in the guest that runs, where who looks at
    /// it already goes on, and in the stored definition.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`] when there is no such display; [`crate::Kind::Unsupported`] for one that began without a password. Nothing
    /// has changed then.
    pub async fn set_display_password(
        &self,
        wanted: &DomainRef,
        named: &str,
        password: DisplayPassword<'_>,
        scope: Scope,
    ) -> Result<Changed, Error> {
        self.edit_device((wanted, named), scope, false, |definition, xml| {
            let domain = Domain::parse(xml)?;
            let device = matching(&domain, "graphics", named)
                .ok_or_else(|| not_found(definition, Some(&domain), named))?;
            let DisplayPassword { password, valid_to } = password;
            let xml = devices::with_password(xml, &device.identity(), password, valid_to)?;
            Ok((device, xml))
        })
        .await
    }
}
