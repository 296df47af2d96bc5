//! Ports of the host that lead to a guest, in the words of the program that carries its packets (passt).

use hostler_domain::interface::{PortForward, PortProtocol, PortRange};

use crate::attachment::require_device_name;
use crate::error::NetworkError;

/// Ports of the host that lead to a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// What speaks through them.
    pub protocol: PortProtocol,
    /// Which they are, as the option of passt(1) has them: `ADDRESS%DEVICE/FIRST-LAST:TO-TO,~FIRST-LAST`.
    pub ports: String,
}

impl Forward {
    /// What a document's `<portForward>` says.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] for what is no name of a network device.
    pub fn of(forward: &PortForward) -> Result<Self, NetworkError> {
        let mut ports = forward.address.map(|address| address.to_string()).unwrap_or_default();
        if let Some(device) = &forward.device {
            let hint = "write the name of a network device of the host, or leave 'dev' of <portForward> out";
            require_device_name(device, hint)?;
            ports.push('%');
            ports.push_str(device);
        }
        if !ports.is_empty() {
            ports.push('/');
        }
        match forward.ranges.as_slice() {
            [] => ports.push_str("all"),
            ranges => ports.push_str(&ranges.iter().map(one).collect::<Vec<_>>().join(",")),
        }
        Ok(Self { protocol: forward.protocol, ports })
    }
}

fn one(range: &PortRange) -> String {
    let width = range.end.saturating_sub(range.start);
    let span = |first: u16| match width {
        0 => first.to_string(),
        _ => format!("{first}-{}", first.saturating_add(width)),
    };
    match range.to {
        _ if range.exclude => format!("~{}", span(range.start)),
        Some(to) => format!("{}:{}", span(range.start), span(to)),
        None => span(range.start),
    }
}

/// Whether only users of this host reach these ports.
#[must_use]
pub fn is_local(forward: &PortForward) -> bool {
    forward.address.is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use hostler_domain::Domain;

    use super::*;

    fn forward(element: &str) -> PortForward {
        let xml = format!(
            "<domain type='qemu'><name>n</name><memory>1</memory><os><type>hvm</type></os><devices>\
             <interface type='user'><backend type='passt'/>{element}</interface></devices></domain>"
        );
        Domain::parse(&xml).unwrap().devices.interfaces[0].port_forwards[0].clone()
    }

    #[test]
    fn ports_are_written_as_passt_reads_them() {
        for (element, expected) in [
            ("<portForward proto='tcp'/>", "all"),
            ("<portForward proto='udp' address='::1'/>", "::1/all"),
            ("<portForward proto='tcp'><range start='22'/></portForward>", "22"),
            ("<portForward proto='tcp'><range start='2222' to='22'/></portForward>", "2222:22"),
            (
                "<portForward proto='tcp' address='127.0.0.1' dev='eth0'><range start='22' end='80' to='32'/>\
                 <range start='25' exclude='yes'/><range start='30' end='31' exclude='yes'/></portForward>",
                "127.0.0.1%eth0/22-80:32-90,~25,~30-31",
            ),
            ("<portForward proto='tcp' dev='eth0'><range start='22'/></portForward>", "%eth0/22"),
        ] {
            assert_eq!(Forward::of(&forward(element)).unwrap().ports, expected, "{element}");
        }
        let named = forward("<portForward proto='tcp' dev='a/22,b'><range start='22'/></portForward>");
        assert_eq!(Forward::of(&named).unwrap_err().code(), "network.device-name");
    }

    #[test]
    fn only_loopback_addresses_are_local() {
        for (address, local) in [
            ("address='127.0.0.1'", true),
            ("address='::1'", true),
            ("address='10.0.0.1'", false),
            ("", false),
        ] {
            assert_eq!(is_local(&forward(&format!("<portForward proto='tcp' {address}/>"))), local);
        }
    }
}
