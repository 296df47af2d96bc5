//! `bandwidth`: how much may go through a network interface of a guest.

use hostler_domain::interface::{Bandwidth, Interface, Rate};
use hostler_domain::{Document, Domain};
use hostler_state::Definition;

use super::hotplug::Scope;
use super::limits::Limited;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::process;
use crate::reference::DomainRef;
use crate::verbs::{InterfaceDevice, Which};

/// New rates; a way of which nothing is said stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BandwidthChange {
    /// To the guest; no rate is no limit.
    pub inbound: Option<Option<Rate>>,
    /// From the guest.
    pub outbound: Option<Option<Rate>>,
}

impl BandwidthChange {
    fn of(self, before: Bandwidth) -> Bandwidth {
        Bandwidth {
            inbound: self.inbound.unwrap_or(before.inbound),
            outbound: self.outbound.unwrap_or(before.outbound),
        }
    }
}

impl Host {
    /// How much may go through an interface: of the guest that runs, if it does, or as it is stored.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such domain or interface.
    pub async fn bandwidth(&self, wanted: &DomainRef, named: &str, which: Which) -> Result<Bandwidth, Error> {
        let definition = self.find(wanted)?;
        let current = Domain::parse(&self.current_xml(&definition)?)?;
        let devices = self.devices_connecting(&definition, &current).await?;
        let named = address(&definition, &current, &devices, named);
        let domain = match which {
            Which::Stored => Domain::parse(&definition.xml)?,
            Which::Current => current,
        };
        Ok(interface(&definition, &domain, &named)?.bandwidth)
    }

    /// Has an interface keep to other rates: in the guest that runs, and in the stored definition.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such interface; [`Kind::Unsupported`] for one that no device of this host connects.
    pub async fn set_bandwidth(
        &self,
        wanted: &DomainRef,
        named: &str,
        change: BandwidthChange,
        scope: Scope,
    ) -> Result<Limited, Error> {
        self.owner()?;
        let definition = self.find(wanted)?;
        let places = self.places(&definition, scope)?;
        let current = Domain::parse(&self.current_xml(&definition)?)?;
        let devices = self.devices_connecting(&definition, &current).await?;
        let named = address(&definition, &current, &devices, named);
        let prepared = match places.stored {
            true => {
                let (xml, _) = changed(&definition, &definition.xml, &named, change)?;
                Some(self.prepare(&xml, true).await?)
            }
            false => None,
        };
        if places.live {
            self.set_live_bandwidth(&definition, devices, &named, change).await?;
        }
        self.limited(definition, places, prepared.as_ref()).await
    }

    async fn set_live_bandwidth(
        &self,
        definition: &Definition,
        devices: Vec<InterfaceDevice>,
        mac: &str,
        change: BandwidthChange,
    ) -> Result<(), Error> {
        let mut bandwidth = Bandwidth::default();
        let next = self.next_by(definition, |running| {
            let (xml, changed) = changed(definition, running, mac, change)?;
            bandwidth = changed;
            Ok(xml)
        })?;
        let device = devices.into_iter().find(|device| device.mac.eq_ignore_ascii_case(mac));
        let device = device.ok_or_else(|| {
            let message = format!("no device of this host connects the interface '{mac}'");
            Error::new(Kind::Unsupported, "interface.no-device", message)
                .about("domain", &definition.name)
                .hint("only what goes through a bridge, a network or a tap of this host can be limited")
        })?;
        process::blocking(move || hostler_network::limit(&device.device, &bandwidth)).await??;
        self.replace_run_document(definition, &next)
    }
}

/// The address of the interface that is meant, by which a stored definition has it as well; the name as it is when nothing of
/// the current document is called so.
fn address(definition: &Definition, current: &Domain, devices: &[InterfaceDevice], named: &str) -> String {
    if let Some(device) = devices.iter().find(|device| device.device == named) {
        return device.mac.clone();
    }
    let mac = interface(definition, current, named).ok().and_then(|found| found.mac);
    mac.map_or_else(|| named.to_owned(), |mac| mac.to_string())
}

/// The interface of this address, alias, or name of its device.
fn interface<'a>(definition: &Definition, domain: &'a Domain, named: &str) -> Result<&'a Interface, Error> {
    let is_meant = |interface: &&Interface| {
        interface.mac.is_some_and(|mac| mac.to_string().eq_ignore_ascii_case(named))
            || interface.target_dev.as_deref() == Some(named)
            || interface.info.alias.as_deref() == Some(named)
    };
    domain.devices.interfaces.iter().find(is_meant).ok_or_else(|| {
        let known: Vec<_> =
            domain.devices.interfaces.iter().filter_map(|one| Some(one.mac?.to_string())).collect();
        let message = format!("'{}' has no network interface '{named}'", definition.name);
        let error = Error::new(Kind::NotFound, "device.not-found", message).about("domain", &definition.name);
        match known.is_empty() {
            true => error.hint("it has none"),
            false => error.hint(format!("there are: {}", known.join(", "))),
        }
    })
}

fn changed(
    definition: &Definition,
    xml: &str,
    named: &str,
    change: BandwidthChange,
) -> Result<(String, Bandwidth), Error> {
    let domain = Domain::parse(xml)?;
    let found = interface(definition, &domain, named)?;
    let bandwidth = change.of(found.bandwidth);
    let mut document: Document = domain.document().clone();
    bandwidth.write(&mut document, found.node)?;
    Ok((document.to_xml(), bandwidth))
}
