//! `<network>`: a virtual network of this host.

mod dhcp;
mod forward;
mod ip;
mod rules;
mod update;

use crate::document::{Document, NodeId};
use crate::error::{XmlError, XmlErrorKind};
use crate::fragment::Fragment;
use crate::identity::DomainUuid;
use crate::interface::{Bandwidth, MacAddress};
use crate::read::Element;
use crate::storage_name::StorageName;
use crate::trace::{Trace, Unmodelled};

pub use dhcp::{Dhcp, DhcpHost, DhcpRange};
pub use forward::{Forward, ForwardMode, Nat};
pub use ip::{NetworkDns, NetworkIp};
pub use update::{NetworkCommand, NetworkSection, NetworkUpdateError};

/// Longest name of a network device, in bytes: the kernel's IFNAMSIZ without its NUL.
pub const DEVICE_NAME_MAX_BYTES: usize = 15;

/// A virtual network: a document, and what it says.
#[derive(Debug, Clone)]
pub struct Network {
    document: Document,
    /// Its name.
    pub name: StorageName,
    /// Its UUID; none when still to be chosen.
    pub uuid: Option<DomainUuid>,
    /// How it reaches other networks; none when it reaches none.
    pub forward: Option<Forward>,
    /// The bridge.
    pub bridge: NetworkBridge,
    /// The address of the bridge; none when still to be chosen.
    pub mac: Option<MacAddress>,
    /// Largest packet, in bytes.
    pub mtu: Option<u32>,
    /// The domain of names.
    pub domain: Option<NetworkDomain>,
    /// The server of names.
    pub dns: NetworkDns,
    /// The host's addresses in it.
    pub ips: Vec<NetworkIp>,
    /// How much may go between it and its host, and what is beyond.
    pub bandwidth: Bandwidth,
    /// What only a switch of another kind does: refused when the network is started.
    pub needs_switch: Option<&'static str>,
    unmodelled: Vec<Unmodelled>,
}

/// `<bridge>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkBridge {
    /// Its name; none when still to be chosen.
    pub name: Option<String>,
    /// Whether it looks for loops.
    pub stp: bool,
    /// How long a new port waits before it forwards, in seconds.
    pub delay_s: u32,
}

/// `<domain>`: the domain of the names of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkDomain {
    /// The domain.
    pub name: String,
    /// Whether its names are asked for nowhere else.
    pub local_only: bool,
}

impl Network {
    /// Parses a network document.
    ///
    /// # Errors
    /// The text is not well-formed, exceeds a limit, is no network, or contradicts itself.
    pub fn parse(text: &str) -> Result<Self, XmlError> {
        let document = Document::parse(text)?;
        let trace = Trace::default();
        let root = Element::new(&document, &trace, document.root());
        root.require_root("network")?;
        let read = read(root)?;
        rules::check(root, &read)?;
        let unmodelled = trace.unread(&document)?;
        Ok(Self { document, unmodelled, ..read })
    }

    /// The document as text; byte for byte what was parsed, apart from edits.
    pub fn to_xml(&self) -> String {
        self.document.to_xml()
    }

    /// What the model does not read, in document order: kept verbatim, and of no effect.
    pub fn unmodelled(&self) -> &[Unmodelled] {
        &self.unmodelled
    }

    /// How it reaches other networks; none when it reaches none.
    pub fn mode(&self) -> Option<ForwardMode> {
        self.forward.as_ref().map(|forward| forward.mode)
    }

    /// Whether this host makes the bridge, and all that belongs to it.
    pub fn makes_bridge(&self) -> bool {
        matches!(self.mode(), None | Some(ForwardMode::Nat | ForwardMode::Route | ForwardMode::Open))
    }

    /// Sets the UUID; a new element follows the name.
    ///
    /// # Errors
    /// A limit of the document is exceeded.
    pub fn set_uuid(&mut self, uuid: &DomainUuid) -> Result<(), XmlError> {
        self.uuid = Some(*uuid);
        if let Some(node) = self.child("uuid") {
            return self.document.set_text(node, &uuid.to_string());
        }
        self.add_after("name", &Fragment::new("uuid").text(uuid).to_xml()).map(drop)
    }

    /// Sets the name of the bridge, and makes what goes without saying about it explicit.
    ///
    /// # Errors
    /// A limit of the document is exceeded.
    pub fn set_bridge(&mut self, name: &str) -> Result<(), XmlError> {
        self.bridge.name = Some(name.to_owned());
        let node = match self.child("bridge") {
            Some(node) => node,
            None => self.add_after("forward", &Fragment::new("bridge").to_xml())?,
        };
        self.document.set_attribute(node, "name", name)
    }

    /// Sets the address of the bridge.
    ///
    /// # Errors
    /// A limit of the document is exceeded.
    pub fn set_mac(&mut self, mac: MacAddress) -> Result<(), XmlError> {
        self.mac = Some(mac);
        let node = match self.child("mac") {
            Some(node) => node,
            None => self.add_after("bridge", &Fragment::new("mac").to_xml())?,
        };
        self.document.set_attribute(node, "address", &mac.to_string())
    }

    fn child(&self, name: &str) -> Option<NodeId> {
        self.document.child(self.document.root(), name)
    }

    /// Adds an element behind another one, or behind the last of those that stand before it in every document.
    fn add_after(&mut self, name: &str, fragment: &str) -> Result<NodeId, XmlError> {
        const ORDER: [&str; 6] = ["name", "uuid", "metadata", "forward", "bridge", "mac"];
        let root = self.document.root();
        let place = ORDER.iter().position(|known| *known == name).unwrap_or_default();
        let is_before = |node: &NodeId| {
            let found = ORDER.iter().position(|known| *known == self.document.name(*node));
            found.is_some_and(|found| found <= place)
        };
        let elements: Vec<_> = self.document.elements(root).collect();
        let next = elements.iter().rposition(is_before).map_or(0, |last| last + 1);
        match elements.get(next) {
            Some(next) => self.document.insert_before(*next, fragment),
            None => self.document.append_child(root, fragment),
        }
    }
}

/// Whether a text can be the name of a network device of Linux.
pub fn is_device_name(name: &str) -> bool {
    let fine = |letter: char| letter.is_ascii_graphic() && !matches!(letter, '/' | ':' | '%');
    !name.is_empty()
        && name.len() <= DEVICE_NAME_MAX_BYTES
        && !matches!(name, "." | "..")
        && !name.starts_with('-')
        && name.chars().all(fine)
}

fn read(root: Element<'_>) -> Result<Network, XmlError> {
    for kept in ["metadata", "title", "description"] {
        root.keep(kept);
    }
    // libvirt prints it into every network that it shows.
    root.keep_attribute("connections");
    Ok(Network {
        document: Document::placeholder(),
        name: read_name(root)?,
        uuid: root.maybe("uuid", read_uuid)?,
        forward: root.maybe("forward", Forward::read)?.filter(|forward| forward.mode != ForwardMode::None),
        bridge: root.maybe("bridge", read_bridge)?.unwrap_or(NetworkBridge {
            name: None,
            stp: true,
            delay_s: 0,
        }),
        mac: root.maybe("mac", read_mac)?,
        mtu: root.maybe("mtu", |mtu| mtu.need_number("size"))?,
        domain: root.maybe("domain", |domain| {
            Ok(NetworkDomain {
                name: domain.need_string("name")?,
                local_only: domain.yes_no("localOnly")?.unwrap_or(false),
            })
        })?,
        dns: root.maybe("dns", NetworkDns::read)?.unwrap_or_default(),
        ips: root.each("ip", NetworkIp::read)?,
        bandwidth: root.maybe("bandwidth", Bandwidth::read)?.unwrap_or_default(),
        needs_switch: needs_switch(root)?,
        unmodelled: Vec::new(),
    })
}

/// What the bridges of this host do not do, and must not be left out in silence.
fn needs_switch(root: Element<'_>) -> Result<Option<&'static str>, XmlError> {
    let isolated = root.maybe("port", |port| port.yes_no("isolated"))?.flatten() == Some(true);
    Ok(match () {
        () if isolated => Some("<port isolated='yes'/>"),
        () if root.has("vlan") => Some("<vlan>"),
        () if root.has("virtualport") => Some("<virtualport>"),
        () => None,
    })
}

fn read_name(root: Element<'_>) -> Result<StorageName, XmlError> {
    let name = root.need_child("name")?;
    StorageName::parse(&name.content())
        .map_err(|wrong| name.error(XmlErrorKind::InvalidValue, format!("the name of the network {wrong}")))
}

fn read_uuid(uuid: Element<'_>) -> Result<DomainUuid, XmlError> {
    DomainUuid::parse(&uuid.word())
        .map_err(|wrong| uuid.error(XmlErrorKind::InvalidValue, format!("the text of 'uuid' {wrong}")))
}

fn read_bridge(bridge: Element<'_>) -> Result<NetworkBridge, XmlError> {
    let name = bridge.filled("name");
    if let Some(wrong) = name.as_deref().filter(|name| !is_device_name(name)) {
        let wanted = format!("a name of 1 to {DEVICE_NAME_MAX_BYTES} letters, digits, '-', '_' or '.'");
        return Err(bridge.invalid(Some("name"), wrong, &wanted));
    }
    Ok(NetworkBridge {
        name,
        stp: bridge.on_off("stp")?.unwrap_or(true),
        delay_s: bridge.number("delay")?.unwrap_or(0),
    })
}

pub(super) fn read_mac(mac: Element<'_>) -> Result<MacAddress, XmlError> {
    let text = mac.need("address")?;
    MacAddress::parse(text)
        .ok_or_else(|| mac.invalid(Some("address"), text, "a hardware address of six hexadecimal bytes"))
}

#[cfg(test)]
mod tests;
