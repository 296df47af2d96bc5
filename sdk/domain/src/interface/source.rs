//! What an interface is connected to.

use crate::address::{PciAddress, read_host_pci};
use crate::error::XmlError;
use crate::read::Element;
use crate::storage_source::Reconnect;

use super::read_reconnect;

keywords! {
    /// Who sees whose packets on a macvtap interface.
    MacvtapMode { Vepa = "vepa", Private = "private", Bridge = "bridge", Passthrough = "passthrough" }
}

/// What an interface is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterfaceSource {
    /// A virtual network by name.
    Network {
        /// Its name.
        network: String,
        /// The group of ports in it.
        portgroup: Option<String>,
        /// In a running domain: the bridge it turned out to be.
        bridge: Option<String>,
    },
    /// A bridge of the host.
    Bridge {
        /// Its name.
        bridge: String,
    },
    /// An interface of the host, through macvtap.
    Direct {
        /// Name of the host interface.
        dev: String,
        /// Who sees whose packets.
        mode: MacvtapMode,
    },
    /// A user-mode network.
    User {
        /// Host interface that packets leave by (passt).
        dev: Option<String>,
    },
    /// A tap interface that nothing is done about.
    Ethernet,
    /// A vhost-user server or client.
    VhostUser {
        /// Path of the socket.
        path: String,
        /// Whether QEMU listens (mode `server`).
        server: bool,
        /// How a lost connection comes back.
        reconnect: Option<Reconnect>,
    },
    /// A vDPA device.
    Vdpa {
        /// Its path.
        dev: String,
    },
    /// A multicast group shared with other QEMU processes.
    Mcast(SocketEnds),
    /// A TCP server for another QEMU process.
    Server(SocketEnds),
    /// A TCP client of another QEMU process.
    Client(SocketEnds),
    /// A UDP pair with another QEMU process.
    Udp(SocketEnds),
    /// A passed-through PCI function.
    Hostdev {
        /// The function.
        address: PciAddress,
        /// Whether it is taken from and given back to its host driver.
        managed: Option<bool>,
    },
    /// Nothing.
    Null,
    /// A standalone vDS port (ESX).
    Vds,
    /// A network internal to the hypervisor.
    Internal {
        /// Its name.
        name: String,
    },
}

/// The ends of a socket between QEMU processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketEnds {
    /// The address; none for all addresses (server).
    pub address: Option<String>,
    /// The port.
    pub port: u16,
    /// The address to listen on (udp).
    pub local_address: Option<String>,
    /// The port to listen on (udp).
    pub local_port: Option<u16>,
}

const TYPES: &[&str] = &[
    "network",
    "bridge",
    "direct",
    "user",
    "ethernet",
    "vhostuser",
    "vdpa",
    "mcast",
    "server",
    "client",
    "udp",
    "hostdev",
    "null",
    "vds",
    "internal",
];

impl InterfaceSource {
    pub(super) fn read(interface: Element<'_>) -> Result<Self, XmlError> {
        let kind = interface.need("type")?;
        let source = || interface.need_child("source");
        let optional = interface.child("source");
        Ok(match kind {
            "network" => {
                let source = source()?;
                Self::Network {
                    network: source.need_string("network")?,
                    portgroup: source.filled("portgroup"),
                    bridge: source.filled("bridge"),
                }
            }
            "bridge" => Self::Bridge { bridge: source()?.need_string("bridge")? },
            "direct" => Self::Direct {
                dev: source()?.need_string("dev")?,
                mode: source()?.keyword("mode")?.unwrap_or(MacvtapMode::Vepa),
            },
            "user" => Self::User { dev: optional.and_then(|source| source.filled("dev")) },
            "ethernet" => Self::Ethernet,
            "vhostuser" => read_vhost_user(source()?)?,
            "vdpa" => Self::Vdpa { dev: source()?.need_string("dev")? },
            "mcast" => Self::Mcast(read_ends(source()?, true)?),
            "server" => Self::Server(read_ends(source()?, false)?),
            "client" => Self::Client(read_ends(source()?, true)?),
            "udp" => Self::Udp(read_ends(source()?, true)?),
            "hostdev" => Self::Hostdev {
                address: read_host_pci(source()?.need_child("address")?)?,
                managed: interface.yes_no("managed")?,
            },
            "null" => Self::Null,
            "vds" => Self::Vds,
            "internal" => Self::Internal { name: source()?.need_string("name")? },
            other => return Err(interface.unknown(Some("type"), other, TYPES)),
        })
    }
}

fn read_vhost_user(source: Element<'_>) -> Result<InterfaceSource, XmlError> {
    match source.need("type")? {
        "unix" => {}
        other => return Err(source.unknown(Some("type"), other, &["unix"])),
    }
    let server = match source.need("mode")? {
        "server" => true,
        "client" => false,
        other => return Err(source.unknown(Some("mode"), other, &["server", "client"])),
    };
    Ok(InterfaceSource::VhostUser {
        path: source.need_string("path")?,
        server,
        reconnect: read_reconnect(source)?,
    })
}

fn read_ends(source: Element<'_>, needs_address: bool) -> Result<SocketEnds, XmlError> {
    let address = source.filled("address");
    if needs_address && address.is_none() {
        return Err(source.missing("address"));
    }
    let local = source.child("local");
    Ok(SocketEnds {
        address,
        port: source.need_number("port")?,
        local_address: local.and_then(|local| local.filled("address")),
        local_port: local.map(|local| local.number("port")).transpose()?.flatten(),
    })
}
