//! `link`: whether the cable of a network interface is plugged in.

use hostler_domain::Domain;
use hostler_state::Definition;

use super::detach::not_found;
use super::{Changed, Scope};
use crate::devices::{self, Device};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::DomainRef;

impl Host {
    /// Plugs the cable of a network interface in, or pulls it out: of the guest that runs, and in the stored definition.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such interface; what the hypervisor refuses. Nothing has changed then.
    pub async fn set_link(
        &self,
        wanted: &DomainRef,
        named: &str,
        up: bool,
        scope: Scope,
    ) -> Result<Changed, Error> {
        self.edit_device((wanted, named), scope, false, |definition, xml| {
            let device = interface(definition, xml, named)?;
            let xml = devices::with_link(xml, &device.identity(), up)?;
            Ok((device, xml))
        })
        .await
    }
}

/// The network interface that a user means.
fn interface(definition: &Definition, xml: &str, named: &str) -> Result<Device, Error> {
    let domain = Domain::parse(xml)?;
    let found = devices::find(&domain, named)?.ok_or_else(|| not_found(definition, Some(&domain), named))?;
    if found.kind == "interface" {
        return Ok(found);
    }
    let message = format!("'{named}' of '{}' is no network interface", definition.name);
    Err(Error::new(Kind::Conflict, "device.no-interface", message)
        .about("domain", &definition.name)
        .hint("name the interface by its MAC address or its alias"))
}
