//! The server of addresses of a network.

use std::net::IpAddr;

use crate::document::NodeId;
use crate::error::XmlError;
use crate::interface::MacAddress;
use crate::read::Element;

/// `<dhcp>`: what the server of addresses gives out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dhcp {
    /// Addresses for whoever asks.
    pub ranges: Vec<DhcpRange>,
    /// Addresses for those who are known.
    pub hosts: Vec<DhcpHost>,
    /// The file to boot, and the server that has it.
    pub boot: Option<(String, Option<String>)>,
}

/// Addresses from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DhcpRange {
    /// The element.
    pub node: NodeId,
    /// The first.
    pub start: IpAddr,
    /// The last.
    pub end: IpAddr,
    /// How long one is lent, in seconds; 0 for ever.
    pub lease_s: Option<u64>,
}

/// One who is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhcpHost {
    /// The element.
    pub node: NodeId,
    /// By its hardware address.
    pub mac: Option<MacAddress>,
    /// By its name, or the name that it is given.
    pub name: Option<String>,
    /// The address that it gets.
    pub ip: IpAddr,
}

impl Dhcp {
    pub(super) fn read(dhcp: Element<'_>) -> Result<Self, XmlError> {
        let boot = dhcp.maybe("bootp", |bootp| Ok((bootp.need_string("file")?, bootp.filled("server"))))?;
        Ok(Self { ranges: dhcp.each("range", read_range)?, hosts: dhcp.each("host", read_host)?, boot })
    }
}

fn read_range(range: Element<'_>) -> Result<DhcpRange, XmlError> {
    Ok(DhcpRange {
        node: range.node,
        start: address(range, "start")?,
        end: address(range, "end")?,
        lease_s: range.maybe("lease", read_lease)?,
    })
}

fn read_lease(lease: Element<'_>) -> Result<u64, XmlError> {
    let expiry: u64 = lease.need_number("expiry")?;
    let unit = match lease.get("unit").unwrap_or("minutes") {
        "seconds" => 1,
        "minutes" => 60,
        "hours" => 3600,
        other => return Err(lease.unknown(Some("unit"), other, &["seconds", "minutes", "hours"])),
    };
    let seconds = expiry.saturating_mul(unit);
    // dnsmasq lends for two minutes at least.
    if seconds != 0 && seconds < 120 {
        return Err(lease.invalid(Some("expiry"), &expiry.to_string(), "2 minutes or more, or 0 for ever"));
    }
    Ok(seconds)
}

fn read_host(host: Element<'_>) -> Result<DhcpHost, XmlError> {
    let mac =
        match host.get("mac") {
            None => None,
            Some(text) => Some(MacAddress::parse(text).ok_or_else(|| {
                host.invalid(Some("mac"), text, "a hardware address of six hexadecimal bytes")
            })?),
        };
    let name = host.filled("name");
    if mac.is_none() && name.is_none() && host.get("id").is_none() {
        return Err(host.missing("mac"));
    }
    Ok(DhcpHost { node: host.node, mac, name, ip: address(host, "ip")? })
}

fn address(element: Element<'_>, name: &'static str) -> Result<IpAddr, XmlError> {
    let text = element.need(name)?;
    text.parse().map_err(|_| element.invalid(Some(name), text, "an IP address"))
}
