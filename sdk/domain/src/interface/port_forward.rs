//! `<portForward>` of an interface: ports of the host that lead to the guest.

use std::net::IpAddr;

use crate::document::NodeId;
use crate::error::XmlError;
use crate::read::Element;

keywords! {
    /// What speaks through a port.
    PortProtocol { Tcp = "tcp", Udp = "udp" }
}

/// Ports of the host that lead to the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortForward {
    /// The element.
    pub node: NodeId,
    /// What speaks through them.
    pub protocol: PortProtocol,
    /// The host's address that they are at; all of its addresses where the document is silent.
    pub address: Option<IpAddr>,
    /// The host's network device that they are at.
    pub device: Option<String>,
    /// Which ports; all of them where there are none.
    pub ranges: Vec<PortRange>,
}

/// Ports one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The first, from 1.
    pub start: u16,
    /// The last; `start` where the document is silent.
    pub end: u16,
    /// The guest's port that the first one leads to; the same number where the document is silent.
    pub to: Option<u16>,
    /// Whether these are left out of what other ranges say.
    pub exclude: bool,
}

impl PortForward {
    pub(super) fn read(forward: Element<'_>) -> Result<Self, XmlError> {
        Ok(Self {
            node: forward.node,
            protocol: forward.need_keyword("proto")?,
            address: read_address(forward)?,
            device: forward.filled("dev"),
            ranges: forward.each("range", PortRange::read)?,
        })
    }
}

fn read_address(forward: Element<'_>) -> Result<Option<IpAddr>, XmlError> {
    let Some(text) = forward.filled("address") else { return Ok(None) };
    text.parse().map(Some).map_err(|_| forward.invalid(Some("address"), &text, "an IP address"))
}

impl PortRange {
    fn read(range: Element<'_>) -> Result<Self, XmlError> {
        let port = |name| match range.number::<u16>(name)? {
            Some(0) => Err(range.invalid(Some(name), "0", "a port from 1 to 65535")),
            port => Ok(port),
        };
        let start = port("start")?.ok_or_else(|| range.missing("start"))?;
        let end = port("end")?.unwrap_or(start);
        let to = port("to")?;
        if end < start {
            let wanted = format!("a port from {start}, where the range begins, to 65535");
            return Err(range.invalid(Some("end"), &end.to_string(), &wanted));
        }
        if to.is_some_and(|to| to.checked_add(end - start).is_none()) {
            let wanted = "a port behind which there are as many as the range has";
            return Err(range.invalid(Some("to"), &to.unwrap_or_default().to_string(), wanted));
        }
        Ok(Self { start, end, to, exclude: range.yes_no("exclude")?.unwrap_or(false) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Domain;

    fn read(forward: &str) -> Result<PortForward, XmlError> {
        let xml = format!(
            "<domain type='qemu'><name>n</name><memory>1</memory><os><type>hvm</type></os><devices>\
             <interface type='user'><backend type='passt'/>{forward}</interface></devices></domain>"
        );
        Domain::parse(&xml).map(|domain| domain.devices.interfaces[0].port_forwards[0].clone())
    }

    #[test]
    fn forwards_have_places_and_ranges() {
        let forward = read(
            "<portForward proto='tcp' address='::1' dev='eth0'><range start='80' to='8080'/>\
             <range start='1' end='9' exclude='yes'/></portForward>",
        )
        .unwrap();
        assert_eq!(forward.protocol, PortProtocol::Tcp);
        assert_eq!(
            (forward.address, forward.device.as_deref()),
            (Some("::1".parse().unwrap()), Some("eth0"))
        );
        let expected = [
            PortRange { start: 80, end: 80, to: Some(8080), exclude: false },
            PortRange { start: 1, end: 9, to: None, exclude: true },
        ];
        assert_eq!(forward.ranges, expected);
        assert!(read("<portForward proto='udp'/>").unwrap().ranges.is_empty());
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for (forward, code) in [
            ("<portForward/>", "xml.missing-attribute"),
            ("<portForward proto='icmp'/>", "xml.unknown-value"),
            ("<portForward proto='tcp' address='here'/>", "xml.invalid-value"),
            ("<portForward proto='tcp'><range/></portForward>", "xml.missing-attribute"),
            ("<portForward proto='tcp'><range start='0'/></portForward>", "xml.invalid-value"),
            ("<portForward proto='tcp'><range start='9' end='8'/></portForward>", "xml.invalid-value"),
            ("<portForward proto='tcp'><range start='70000'/></portForward>", "xml.out-of-range"),
            (
                "<portForward proto='tcp'><range start='1' end='9' to='65530'/></portForward>",
                "xml.invalid-value",
            ),
        ] {
            assert_eq!(read(forward).unwrap_err().code(), code, "{forward}");
        }
    }
}
