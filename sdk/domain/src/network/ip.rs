//! The host's addresses in a network, and its server of names.

use std::net::{IpAddr, Ipv4Addr};

use crate::document::NodeId;
use crate::error::XmlError;
use crate::read::Element;

use super::Dhcp;

/// `<ip>`: an address of the host in a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkIp {
    /// The element.
    pub node: NodeId,
    /// The address.
    pub address: IpAddr,
    /// How many bits of it are the network's.
    pub prefix: u8,
    /// The server of addresses; none when there is none.
    pub dhcp: Option<Dhcp>,
    /// The directory that files are booted from.
    pub tftp_root: Option<String>,
}

impl NetworkIp {
    pub(super) fn read(ip: Element<'_>) -> Result<Self, XmlError> {
        let text = ip.need("address")?;
        let address: IpAddr = text.parse().map_err(|_| ip.invalid(Some("address"), text, "an IP address"))?;
        let family = ip.get("family").unwrap_or(if address.is_ipv4() { "ipv4" } else { "ipv6" });
        match (family, address) {
            ("ipv4", IpAddr::V4(_)) | ("ipv6", IpAddr::V6(_)) => {}
            ("ipv4" | "ipv6", _) => {
                return Err(ip.invalid(Some("address"), text, "an address of the family that is given"));
            }
            (other, _) => return Err(ip.unknown(Some("family"), other, &["ipv4", "ipv6"])),
        }
        Ok(Self {
            node: ip.node,
            address,
            prefix: read_prefix(ip, address)?,
            dhcp: ip.maybe("dhcp", |dhcp| Dhcp::read(dhcp))?,
            tftp_root: ip.child("tftp").and_then(|tftp| tftp.filled("root")),
        })
    }

    /// Whether an address is in the same network.
    pub fn contains(&self, other: IpAddr) -> bool {
        bits(self.address).0 == bits(other).0 && self.network_of(self.address) == self.network_of(other)
    }

    /// The first address of the network, which is the network itself.
    pub fn first(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(_) => {
                IpAddr::V4(Ipv4Addr::from(u32::try_from(self.network_of(self.address)).unwrap_or_default()))
            }
            IpAddr::V6(_) => IpAddr::V6(self.network_of(self.address).into()),
        }
    }

    /// The last address of the network, which is that of all in it.
    pub fn last(&self) -> IpAddr {
        let (length, _) = bits(self.address);
        let hosts = all_ones(length.saturating_sub(self.prefix));
        match self.first() {
            IpAddr::V4(first) => {
                IpAddr::V4(Ipv4Addr::from(u32::from(first) | u32::try_from(hosts).unwrap_or(u32::MAX)))
            }
            IpAddr::V6(first) => IpAddr::V6((u128::from(first) | hosts).into()),
        }
    }

    /// Whether two networks have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.first()) || other.contains(self.first())
    }

    fn network_of(&self, address: IpAddr) -> u128 {
        let (length, value) = bits(address);
        value & !all_ones(length.saturating_sub(self.prefix))
    }
}

/// How many bits an address has, and what they are.
fn bits(address: IpAddr) -> (u8, u128) {
    match address {
        IpAddr::V4(address) => (32, u128::from(u32::from(address))),
        IpAddr::V6(address) => (128, u128::from(address)),
    }
}

fn all_ones(count: u8) -> u128 {
    if count >= 128 { u128::MAX } else { (1_u128 << count) - 1 }
}

/// The prefix, from its own attribute, a netmask, or the class that the address would have had.
fn read_prefix(ip: Element<'_>, address: IpAddr) -> Result<u8, XmlError> {
    let most = bits(address).0;
    if let Some(prefix) = ip.number::<u8>("prefix")? {
        return match prefix {
            1.. if prefix <= most => Ok(prefix),
            _ => Err(ip.invalid(Some("prefix"), &prefix.to_string(), &format!("a number from 1 to {most}"))),
        };
    }
    let Some(text) = ip.get("netmask").filter(|text| !text.is_empty()) else {
        return Ok(match address {
            IpAddr::V6(_) => 64,
            IpAddr::V4(address) => match address.octets() {
                [0..=127, ..] => 8,
                [128..=191, ..] => 16,
                _ => 24,
            },
        });
    };
    let mask = text.parse::<Ipv4Addr>().ok().filter(|_| most == 32).map(u32::from);
    match mask.filter(|mask| *mask != 0 && mask.leading_ones() + mask.trailing_zeros() == 32) {
        Some(mask) => Ok(u8::try_from(mask.leading_ones()).unwrap_or(most)),
        None => Err(ip.invalid(Some("netmask"), text, "a mask such as 255.255.255.0")),
    }
}

/// `<dns>`: the server of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkDns {
    /// Whether there is one.
    pub enabled: bool,
    /// Servers that are asked instead of the host's.
    pub forwarders: Vec<IpAddr>,
    /// Names of addresses.
    pub hosts: Vec<(IpAddr, Vec<String>)>,
    /// Texts by name.
    pub texts: Vec<(String, String)>,
}

impl Default for NetworkDns {
    fn default() -> Self {
        Self { enabled: true, forwarders: Vec::new(), hosts: Vec::new(), texts: Vec::new() }
    }
}

impl NetworkDns {
    pub(super) fn read(dns: Element<'_>) -> Result<Self, XmlError> {
        let address = |element: Element<'_>, name| {
            let text = element.need(name)?;
            text.parse().map_err(|_| element.invalid(Some(name), text, "an IP address"))
        };
        Ok(Self {
            enabled: dns.yes_no("enable")?.unwrap_or(true),
            forwarders: dns.each("forwarder", |forwarder| address(forwarder, "addr"))?,
            hosts: dns.each("host", |host| {
                let names = host.each("hostname", |name| Ok(name.word()))?;
                Ok((address(host, "ip")?, names))
            })?,
            texts: dns.each("txt", |txt| Ok((txt.need_string("name")?, txt.need_string("value")?)))?,
        })
    }
}
