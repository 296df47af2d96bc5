//! `<interface>`: network interfaces.

use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::XmlError;
use crate::read::Element;
use crate::storage_source::Reconnect;

mod bandwidth;
mod driver;
mod port_forward;
mod source;

pub use bandwidth::{Bandwidth, Rate};
pub use driver::{InterfaceBackend, InterfaceDriver, Offloads, TxMode};
pub use port_forward::{PortForward, PortProtocol, PortRange};
pub use source::{InterfaceSource, MacvtapMode, SocketEnds};

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The element.
    pub node: NodeId,
    /// What it is connected to.
    pub source: InterfaceSource,
    /// Its address; none when still to be chosen.
    pub mac: Option<MacAddress>,
    /// Its model, such as `virtio`; open, because drivers differ.
    pub model: Option<String>,
    /// Name of the interface on the host.
    pub target_dev: Option<String>,
    /// Whether the host makes that interface, or finds it.
    pub target_managed: Option<bool>,
    /// How it is driven.
    pub driver: InterfaceDriver,
    /// Host path of the tap device (`<backend tap>`).
    pub tap_path: Option<String>,
    /// Host path of the vhost device (`<backend vhost>`).
    pub vhost_path: Option<String>,
    /// Implementation of a user network (`<backend type>`), such as `passt`.
    pub backend_type: Option<String>,
    /// File that such an implementation writes about itself to (`<backend logFile>`).
    pub backend_log: Option<String>,
    /// Ports of the host that lead to the guest (`passt`).
    pub port_forwards: Vec<PortForward>,
    /// Program that sets the interface up.
    pub script: Option<String>,
    /// Whether the cable is plugged in.
    pub link_up: Option<bool>,
    /// Largest packet, in bytes.
    pub mtu: Option<u32>,
    /// Most frames gathered before an interrupt.
    pub coalesce_rx_frames: Option<u32>,
    /// VLANs.
    pub vlan: Option<Vlan>,
    /// Its part in a pair for migration.
    pub teaming: Option<Teaming>,
    /// Whether it reaches only ports that are not isolated.
    pub port_isolated: Option<bool>,
    /// How much may go through.
    pub bandwidth: Bandwidth,
    /// Network filter.
    pub filter: Option<String>,
    /// Addresses of the guest inside a user network.
    pub ips: Vec<GuestIp>,
    /// Size of the host's queue, in bytes (`<tune><sndbuf>`).
    pub sndbuf: Option<u64>,
    /// Whether the guest may change its filters (macvtap).
    pub trust_guest_rx_filters: Option<bool>,
    /// Alias, address, boot order.
    pub info: DeviceInfo,
}

/// A hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// Reads six hexadecimal bytes with colons between them; none when it is a group address.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| matches!(part.len(), 1 | 2))?;
            *byte = u8::from_str_radix(part, 16).ok().filter(|_| !part.starts_with('+'))?;
        }
        let [first, ..] = bytes;
        (parts.next().is_none() && first & 1 == 0).then_some(Self(bytes))
    }
}

impl std::fmt::Display for MacAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// `<vlan>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vlan {
    /// Whether several VLANs are carried.
    pub trunk: Option<bool>,
    /// Their ids, up to 4095.
    pub tags: Vec<u16>,
}

/// `<teaming>`: a passed-through and a virtio interface that stand in for each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Teaming {
    /// The one that stays.
    Persistent,
    /// The one that goes away during migration.
    Transient {
        /// Alias of the one that stays.
        persistent: String,
    },
}

/// `<ip>`: an address of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestIp {
    /// `ipv4` or `ipv6`; none means IPv4.
    pub family: Option<String>,
    /// The address.
    pub address: String,
    /// Length of the network prefix, in bits.
    pub prefix: Option<u8>,
}

impl GuestIp {
    /// Whether it is an address of IPv6.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        self.address.contains(':')
    }
}

impl Interface {
    /// Whether it is a user-mode network of `passt`.
    #[must_use]
    pub fn is_passt(&self) -> bool {
        matches!(self.source, InterfaceSource::User { .. }) && self.backend_type.as_deref() == Some("passt")
    }

    pub(crate) fn read(interface: Element<'_>) -> Result<Self, XmlError> {
        let backend = interface.child("backend");
        let of_backend = |name| backend.and_then(|backend| backend.filled(name));
        let target = interface.child("target");
        let named = |child, attribute| interface.child(child).and_then(|child| child.filled(attribute));
        Ok(Self {
            node: interface.node,
            source: InterfaceSource::read(interface)?,
            mac: interface.maybe("mac", read_mac)?,
            model: named("model", "type"),
            target_dev: target.and_then(|target| target.filled("dev")),
            target_managed: target.map(|target| target.yes_no("managed")).transpose()?.flatten(),
            driver: interface.maybe("driver", InterfaceDriver::read)?.unwrap_or_default(),
            tap_path: of_backend("tap"),
            vhost_path: of_backend("vhost"),
            backend_type: of_backend("type"),
            backend_log: of_backend("logFile"),
            port_forwards: interface.each("portForward", PortForward::read)?,
            script: named("script", "path"),
            link_up: interface.maybe("link", read_link)?.flatten(),
            mtu: interface.maybe("mtu", |mtu| mtu.need_number("size"))?,
            coalesce_rx_frames: read_coalesce(interface)?,
            vlan: interface.maybe("vlan", read_vlan)?,
            teaming: interface.maybe("teaming", read_teaming)?,
            port_isolated: interface.maybe("port", |port| port.yes_no("isolated"))?.flatten(),
            bandwidth: interface.maybe("bandwidth", Bandwidth::read)?.unwrap_or_default(),
            filter: named("filterref", "filter"),
            ips: interface.each("ip", |ip| {
                Ok(GuestIp {
                    family: ip.filled("family"),
                    address: ip.need_string("address")?,
                    prefix: ip.number("prefix")?,
                })
            })?,
            sndbuf: read_sndbuf(interface)?,
            trust_guest_rx_filters: interface.yes_no("trustGuestRxFilters")?,
            info: DeviceInfo::read(interface)?,
        })
    }
}

fn read_mac(mac: Element<'_>) -> Result<MacAddress, XmlError> {
    let text = mac.need("address")?;
    MacAddress::parse(text).ok_or_else(|| {
        mac.invalid(
            Some("address"),
            text,
            "a hardware address of six hexadecimal bytes with an even first byte",
        )
    })
}

fn read_link(link: Element<'_>) -> Result<Option<bool>, XmlError> {
    match link.get("state") {
        None => Ok(None),
        Some("up") => Ok(Some(true)),
        Some("down") => Ok(Some(false)),
        Some(other) => Err(link.unknown(Some("state"), other, &["up", "down"])),
    }
}

fn read_coalesce(interface: Element<'_>) -> Result<Option<u32>, XmlError> {
    let rx = interface.child("coalesce").and_then(|coalesce| coalesce.child("rx"));
    let frames = rx.and_then(|rx| rx.child("frames"));
    frames.map(|frames| frames.number("max")).transpose().map(Option::flatten)
}

fn read_sndbuf(interface: Element<'_>) -> Result<Option<u64>, XmlError> {
    let sndbuf = interface.child("tune").and_then(|tune| tune.child("sndbuf"));
    sndbuf.map(Element::content_number).transpose()
}

fn read_vlan(vlan: Element<'_>) -> Result<Vlan, XmlError> {
    let tags = vlan.each("tag", |tag| {
        let id = tag.c_number("id", 4095)?.ok_or_else(|| tag.missing("id"))?;
        Ok(u16::try_from(id).unwrap_or(u16::MAX))
    })?;
    Ok(Vlan { trunk: vlan.yes_no("trunk")?, tags })
}

fn read_teaming(teaming: Element<'_>) -> Result<Teaming, XmlError> {
    match teaming.need("type")? {
        "persistent" => Ok(Teaming::Persistent),
        "transient" => Ok(Teaming::Transient { persistent: teaming.need_string("persistent")? }),
        other => Err(teaming.unknown(Some("type"), other, &["persistent", "transient"])),
    }
}

/// The reconnect setting of a vhost-user source.
pub(crate) fn read_reconnect(source: Element<'_>) -> Result<Option<Reconnect>, XmlError> {
    source.maybe("reconnect", Reconnect::read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses() {
        assert_eq!(MacAddress::parse("52:54:0:E5:48:58").unwrap().to_string(), "52:54:00:e5:48:58");
        for bad in ["", "52:54:00:e5:48", "52:54:00:e5:48:58:1", "53:54:00:e5:48:58", "52:54:00:+5:48:58"] {
            assert_eq!(MacAddress::parse(bad), None, "{bad}");
        }
    }
}
