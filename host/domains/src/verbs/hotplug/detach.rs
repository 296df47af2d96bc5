//! `detach`: one device less.

use hostler_domain::{Domain, nearest};
use hostler_state::Definition;

use super::attach::unwritable;
use super::change::{Change, Stored};
use super::settle::is_gone;
use super::{Changed, Scope};
use crate::devices::{self, Device};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::recovery::verb;
use crate::reference::DomainRef;
use crate::verbs::define::Prepared;

impl Host {
    /// Takes a device away, named by its target, its network address, its place or its alias: from the guest that runs, and
    /// from the stored definition. A guest that does not answer in a few seconds has been asked, and lets go of it later
    /// ([`Changed::leaving`]).
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such device; [`Kind::Unsupported`] for one that stays as long as its guest runs;
    /// what the guest refuses. Nothing has changed then.
    pub async fn detach(&self, wanted: &DomainRef, named: &str, scope: Scope) -> Result<Changed, Error> {
        self.take_out(wanted, scope, named, |domain| devices::find(domain, named)).await
    }

    /// As [`Host::detach`], for a device that is described by its element.
    ///
    /// # Errors
    /// As for [`Host::detach`]; [`Kind::Invalid`] for an element that is no device.
    pub async fn detach_like(
        &self,
        wanted: &DomainRef,
        element: &str,
        scope: Scope,
    ) -> Result<Changed, Error> {
        let kind = devices::kind_of(element)?;
        devices::alone(element)?;
        self.take_out(wanted, scope, &kind, |domain| devices::like(domain, element)).await
    }

    async fn take_out(
        &self,
        wanted: &DomainRef,
        scope: Scope,
        named: &str,
        find: impl Fn(&Domain) -> Result<Option<Device>, Error> + Send + Sync,
    ) -> Result<Changed, Error> {
        self.owner()?;
        let definition = self.find(wanted)?;
        let places = self.places(&definition, scope)?;
        let running = if places.live { Some(self.named_document(&definition).await?) } else { None };
        let live = running.as_ref().map(&find).transpose()?.flatten();
        let stored = match places.stored {
            true => {
                let stored = Domain::parse(&definition.xml)?;
                match live.as_ref().zip(running.as_ref()) {
                    Some((live, running)) => devices::stored_as(&stored, running, live)?,
                    None => find(&stored)?,
                }
            }
            false => None,
        };
        let Some(device) = live.as_ref().or(stored.as_ref()).map(Device::identity) else {
            return Err(not_found(&definition, running.as_ref(), named));
        };
        if scope.live && scope.config && (live.is_none() || stored.is_none()) {
            let place = if live.is_none() { "running guest" } else { "stored definition" };
            return Err(Error::new(
                Kind::NotFound,
                "device.not-found",
                format!("the {place} has no {device}"),
            )
            .about("domain", &definition.name));
        }
        let prepared = match &stored {
            Some(stored) => {
                Some(self.prepare(&devices::without(&definition.xml, &stored.identity())?, true).await?)
            }
            None => None,
        };
        match (&live, &running) {
            (Some(live), Some(running)) => {
                self.unplug(&definition, &running.to_xml(), live, prepared.as_ref()).await?;
            }
            _ => prepared.as_ref().map_or(Ok(()), |prepared| self.store(prepared))?,
        }
        self.changed(&definition, device, live.is_some(), stored.is_some()).await
    }

    /// The document of a running guest with the aliases of its devices, where its driver tells them.
    async fn named_document(&self, definition: &Definition) -> Result<Domain, Error> {
        let current = self.current_xml(definition)?;
        match self.completed_next(definition, current.clone()).await {
            Ok(named) => Ok(named),
            Err(error) => {
                tracing::debug!(domain = definition.name, %error, "its devices have no aliases");
                Ok(Domain::parse(&current)?)
            }
        }
    }

    async fn unplug(
        &self,
        definition: &Definition,
        running: &str,
        device: &Device,
        prepared: Option<&Prepared>,
    ) -> Result<(), Error> {
        let driver = self.require_hotplug(definition)?;
        let identity = device.identity();
        let xml = devices::without(running, &identity)?;
        let (context, next) = self.changing(definition, &xml)?;
        let change =
            Change { device: identity.clone(), next: xml, force: false, stored: prepared.map(Stored::of) };
        let owner = self.owner()?;
        let payload = serde_json::to_value(&change).map_err(unwritable)?;
        let intent = owner.journal().begin(verb::DETACH, definition.uuid, "begun", payload)?;
        match driver.detach(&context, device.place).await {
            Ok(true) => self.replace_run_document(definition, &next)?,
            Ok(false) => self.note_leaving(definition, |leaving| {
                if !leaving.contains(&identity) {
                    leaving.push(identity.clone());
                }
            })?,
            Err(error) => {
                // It may be gone although something of it could not be removed.
                if let Err(unknown) = is_gone(self, definition, &identity).await {
                    tracing::debug!(device = identity, %unknown, "it was not taken out");
                }
                return Err(self.unsuccessful(&intent, error)?);
            }
        }
        prepared.map_or(Ok(()), |prepared| self.store(prepared))?;
        Ok(owner.journal().finish(&intent)?)
    }
}

/// What there is instead.
pub(super) fn not_found(definition: &Definition, running: Option<&Domain>, named: &str) -> Error {
    let stored = Domain::parse(&definition.xml).ok();
    let names: Vec<String> = running
        .or(stored.as_ref())
        .map(|domain| {
            devices::all(domain)
                .into_iter()
                .map(|device| device.name)
                .filter(|name| !name.is_empty())
                .collect()
        })
        .unwrap_or_default();
    let message = format!("'{}' has no device '{named}'", definition.name);
    let error = Error::new(Kind::NotFound, "device.not-found", message).about("domain", &definition.name);
    match nearest(named, names.iter().map(String::as_str)) {
        Some(nearest) => error.hint(format!("did you mean '{nearest}'?")),
        None => error.hint(format!("it has: {}", names.join(", "))),
    }
}
