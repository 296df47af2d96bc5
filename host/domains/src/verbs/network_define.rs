//! `net define`: stores the definition of a network, new or in place of an older one.

use hostler_domain::DomainUuid;
use hostler_domain::interface::MacAddress;
use hostler_domain::network::{Network as Document, NetworkIp};
use hostler_network::{HostAddress, host_addresses, host_devices};
use hostler_state::{NetworkDefinition, Uuid, unix_ms};

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::network_summary::NetworkDefined;
use crate::networks::{Network, opened};
use crate::process;
use crate::summary::Warning;

/// What bridges are called that are given no name; a number follows.
const BRIDGES: &str = "hostler";
/// Most bridges that are looked at for a free name.
const BRIDGES_MAX: usize = 10_000;
/// The first three bytes of hardware addresses that are made here.
const MAC_PREFIX: [u8; 3] = [0x52, 0x54, 0x00];

impl Host {
    /// Checks a document and stores it; durable when this returns. A network that is started keeps what it was made from
    /// until it is stopped. Networks of every kind can be defined.
    ///
    /// # Errors
    /// [`Kind::Invalid`] with line, column and element; [`Kind::Exists`] when the name, the identifier or the bridge
    /// belongs to another network; [`Kind::Conflict`] when its addresses do. Nothing is stored then.
    pub async fn network_define(&self, xml: &str) -> Result<NetworkDefined, Error> {
        self.require_network_operator()?;
        self.owner()?;
        let mut document = Document::parse(xml)?;
        let older = self.older_network(&document)?;
        let uuid = match (&document.uuid, &older) {
            (Some(uuid), _) => Uuid::from_bytes(*uuid.as_bytes()),
            (None, Some(older)) => older.definition.uuid,
            (None, None) => Uuid::new_v4(),
        };
        let others: Vec<_> =
            self.networks()?.into_iter().filter(|other| other.definition.uuid != uuid).collect();
        self.complete_network(&mut document, uuid, older.as_ref(), &others).await?;
        require_apart(&document, &others)?;
        let (now, older) = (unix_ms(), older.map(|older| older.definition));
        let definition = NetworkDefinition {
            uuid,
            name: document.name.as_str().to_owned(),
            xml: document.to_xml(),
            persistent: true,
            autostart: older.as_ref().is_some_and(|older| older.autostart),
            generation: older.as_ref().map_or(1, |older| older.generation + 1),
            created_unix_ms: older.as_ref().map_or(now, |older| older.created_unix_ms),
            changed_unix_ms: now,
        };
        self.owner()?.put_network(&definition)?;
        let stored = opened(self.state(), definition)?;
        let mut warnings: Vec<_> = document
            .unmodelled()
            .iter()
            .map(|item| Warning { message: format!("{item} is kept and not acted on by this version") })
            .collect();
        if stored.is_active() {
            let message = "the network is started, and is what it was until it is stopped".to_owned();
            warnings.push(Warning { message });
        }
        Ok(NetworkDefined { summary: stored.summary(), created: older.is_none(), warnings })
    }

    /// Chooses what the document leaves open.
    pub(super) async fn complete_network(
        &self,
        document: &mut Document,
        uuid: Uuid,
        older: Option<&Network>,
        others: &[Network],
    ) -> Result<(), Error> {
        if let Some(chosen) = DomainUuid::from_bytes(uuid.into_bytes()) {
            document.set_uuid(&chosen)?;
        }
        if !document.makes_bridge() {
            return Ok(());
        }
        let before = older.map(|older| &older.document);
        if document.bridge.name.is_none() {
            let known = before.and_then(|before| before.bridge.name.clone());
            let name = match known {
                Some(name) => name,
                None => free_bridge(others, process::blocking(host_devices).await?)?,
            };
            document.set_bridge(&name)?;
        }
        if document.mac.is_none() {
            let known = before.and_then(|before| before.mac);
            let [a, b, c] = MAC_PREFIX;
            let [d, e, f, ..] = Uuid::new_v4().into_bytes();
            document.set_mac(known.unwrap_or(MacAddress([a, b, c, d, e, f])))?;
        }
        Ok(())
    }

    /// The network that this document replaces.
    pub(super) fn older_network(&self, document: &Document) -> Result<Option<Network>, Error> {
        let networks = self.state().networks()?;
        let named = networks.iter().find(|network| network.name == document.name.as_str());
        let uuid = document.uuid.map(|uuid| Uuid::from_bytes(*uuid.as_bytes()));
        let identified = networks.iter().find(|network| Some(network.uuid) == uuid);
        match (named, identified) {
            (Some(named), _) if uuid.is_some_and(|uuid| uuid != named.uuid) => Err(exists(
                format!("the name '{}' belongs to the network {}", named.name, named.uuid),
                "give the document another name, or that identifier",
            )),
            (_, Some(identified)) if identified.name != document.name.as_str() => Err(exists(
                format!("the identifier {} belongs to the network '{}'", identified.uuid, identified.name),
                "take the <uuid> out of the document to get a new one, or keep the name",
            )),
            (found, other) => found.or(other).cloned().map(|found| opened(self.state(), found)).transpose(),
        }
    }
}

/// Refuses the bridge and the addresses of another network.
pub(super) fn require_apart(document: &Document, others: &[Network]) -> Result<(), Error> {
    for other in others {
        let name = other.definition.name.as_str();
        let taken = document.bridge.name.as_deref().filter(|_| document.makes_bridge());
        for theirs in std::iter::once(&other.document).chain(&other.running) {
            if let Some(bridge) = taken.filter(|bridge| theirs.bridge.name.as_deref() == Some(bridge)) {
                return Err(exists(
                    format!("the bridge '{bridge}' belongs to the network '{name}'"),
                    "give the network another bridge, or leave its name out to get one",
                )
                .about("bridge", bridge));
            }
            let meet = |ip: &NetworkIp| {
                theirs.ips.iter().find(|other| other.overlaps(ip)).map(|other| other.address)
            };
            if let Some((ip, address)) = document.ips.iter().find_map(|ip| Some((ip, meet(ip)?))) {
                let message = format!(
                    "{}/{} has addresses of the network '{name}', whose own is {address}",
                    ip.address, ip.prefix
                );
                return Err(Error::new(Kind::Conflict, "network.addresses-taken", message)
                    .about("network", name)
                    .hint("give the network addresses that no other has, such as another 192.168.X.0/24"));
            }
        }
    }
    Ok(())
}

/// Refuses a network whose addresses a device of the host has: what is for that device would go to the guests.
///
/// # Errors
/// [`Kind::Conflict`] with the device.
pub(crate) async fn require_free_addresses(document: &Document) -> Result<(), Error> {
    let addresses = process::blocking(host_addresses).await??;
    let own = document.bridge.name.as_deref();
    for ip in &document.ips {
        let taken = |theirs: &&HostAddress| {
            let other = NetworkIp {
                address: theirs.address,
                prefix: theirs.prefix,
                dhcp: None,
                tftp_root: None,
                ..*ip
            };
            Some(theirs.device.as_str()) != own && other.overlaps(ip)
        };
        if let Some(theirs) = addresses.iter().find(taken) {
            let message = format!(
                "{}/{} has addresses of the host's device '{}', which has {}/{}",
                ip.address, ip.prefix, theirs.device, theirs.address, theirs.prefix
            );
            return Err(Error::new(Kind::Conflict, "network.addresses-taken", message)
                .about("network", document.name.as_str())
                .hint(
                    "give the network addresses that the host reaches nothing else by, and define it again",
                ));
        }
    }
    Ok(())
}

fn free_bridge(
    others: &[Network],
    devices: Result<Vec<String>, hostler_network::NetworkError>,
) -> Result<String, Error> {
    let devices = devices?;
    let taken = |name: &String| {
        devices.contains(name) || others.iter().any(|other| other.document.bridge.name.as_ref() == Some(name))
    };
    let mut names = (0..BRIDGES_MAX).map(|number| format!("{BRIDGES}{number}"));
    names.find(|name| !taken(name)).ok_or_else(|| {
        exists("no name for a bridge is free".to_owned(), "give the network a bridge: <bridge name='…'/>")
    })
}

fn exists(message: String, hint: &str) -> Error {
    Error::new(Kind::Exists, "network.exists", message).hint(hint)
}
