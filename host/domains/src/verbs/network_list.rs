//! `net list`, `net show`, `net xml` and `net leases`: what is known about networks.

use hostler_domain::Domain;
use hostler_domain::interface::InterfaceSource;
use hostler_network::{Places, find, leases};

use crate::error::Error;
use crate::host::Host;
use crate::network_summary::{NetworkDetails, NetworkLeases, NetworkSummary};
use crate::networks::{opened, unreadable};
use crate::process;
use crate::reference::NetworkRef;

/// An interface of a running domain in a network.
pub(crate) struct Connected {
    domain: String,
    pub(crate) mac: Option<[u8; 6]>,
}

impl Host {
    /// Every network, sorted by name. One whose document cannot be read is in the list, with the reason.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when the state directory cannot be read; [`crate::Kind::Denied`] on behalf of a tenant.
    pub async fn network_list(&self) -> Result<Vec<NetworkSummary>, Error> {
        self.require_network_operator()?;
        let one =
            |definition: hostler_state::NetworkDefinition| match opened(self.state(), definition.clone()) {
                Ok(network) => network.summary(),
                Err(error) => unreadable(&definition, &error),
            };
        Ok(self.state().networks()?.into_iter().map(one).collect())
    }

    /// Everything about a network.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`].
    pub async fn network_show(&self, wanted: &NetworkRef) -> Result<NetworkDetails, Error> {
        let network = self.network(wanted)?;
        let makes = network.running.as_ref().is_some_and(hostler_domain::network::Network::makes_bridge);
        let found = match makes {
            true => {
                let plan = network.plan(self.state())?;
                Some(process::blocking(move || find(&plan)).await??)
            }
            false => None,
        };
        let missing = found.as_ref().map(|found| {
            let parts = [(found.bridge, "its bridge"), (found.server, "its dnsmasq")];
            parts.into_iter().filter(|(there, _)| !there).map(|(_, what)| what.to_owned()).collect()
        });
        Ok(NetworkDetails {
            ports: found.map(|found| found.ports).unwrap_or_default(),
            missing: missing.unwrap_or_default(),
            leases: self.lent(&network.definition)?.len(),
            domains: self.connected_domains(&network.definition.name)?,
            generation: network.definition.generation,
            created_unix_ms: network.definition.created_unix_ms,
            unmodelled: network.document.unmodelled().iter().map(ToString::to_string).collect(),
            summary: network.summary(),
        })
    }

    /// The document of a network, as it was given, with what was chosen.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`].
    pub async fn network_xml(&self, wanted: &NetworkRef) -> Result<String, Error> {
        Ok(self.network(wanted)?.definition.xml)
    }

    /// What the server of addresses of a network has lent.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`]; [`crate::Kind::Host`] when its file cannot be read.
    pub async fn network_leases(&self, wanted: &NetworkRef) -> Result<NetworkLeases, Error> {
        let network = self.network(wanted)?;
        let leases = self.lent(&network.definition)?;
        Ok(NetworkLeases { network: network.definition.name, leases })
    }

    fn lent(&self, network: &hostler_state::NetworkDefinition) -> Result<Vec<hostler_network::Lease>, Error> {
        Ok(leases(&Places::within(&self.state().network_dir(network.uuid)).leases)?)
    }

    /// The document of a network as it was made, or else as it was given.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`].
    pub async fn network_live_xml(&self, wanted: &NetworkRef) -> Result<String, Error> {
        let network = self.network(wanted)?;
        Ok(network.running.as_ref().unwrap_or(&network.document).to_xml())
    }

    /// Running domains of this state directory with interfaces in a network.
    fn connected_domains(&self, network: &str) -> Result<Vec<String>, Error> {
        let mut names: Vec<_> = self.connected(network)?.into_iter().map(|one| one.domain).collect();
        names.dedup();
        Ok(names)
    }

    /// Every such interface.
    pub(crate) fn connected(&self, network: &str) -> Result<Vec<Connected>, Error> {
        let mut found = Vec::new();
        for headline in self.state().headlines()? {
            if !self.state().is_held(headline.uuid)? {
                continue;
            }
            let Some(definition) = self.state().definition_by_uuid(headline.uuid)? else { continue };
            let Ok(domain) = Domain::parse(&self.current_xml(&definition)?) else { continue };
            let is_in = |source: &InterfaceSource| matches!(source, InterfaceSource::Network { network: named, .. } if named == network);
            let own = domain.devices.interfaces.iter().filter(|interface| is_in(&interface.source));
            let own = own.map(|interface| Connected {
                domain: definition.name.clone(),
                mac: interface.mac.map(|mac| mac.0),
            });
            found.extend(own);
        }
        Ok(found)
    }
}
