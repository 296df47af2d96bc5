//! What a network is made of: a pure function of its document.

use std::net::IpAddr;
use std::path::PathBuf;

use hostler_domain::interface::Bandwidth;
use hostler_domain::network::{ForwardMode, Network};

use crate::error::{ErrorKind, NetworkError};
use crate::{dnsmasq, rules};

/// Where the files of a network are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The settings of its dnsmasq.
    pub settings: PathBuf,
    /// What its dnsmasq has lent.
    pub leases: PathBuf,
}

impl Places {
    /// In this directory of the network's own.
    #[must_use]
    pub fn within(directory: &std::path::Path) -> Self {
        Self { settings: directory.join("dnsmasq.conf"), leases: directory.join("leases") }
    }
}

/// What a network is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkPlan {
    /// The name of the network.
    pub name: String,
    /// What the bridge is marked with, so that it is known to be of this network and nobody else's.
    pub mark: String,
    /// The bridge.
    pub bridge: BridgePlan,
    /// The name of the firewall's table.
    pub table: String,
    /// Its content, as `nft -f` reads it; nothing where nothing is filtered.
    pub rules: Option<String>,
    /// The settings of dnsmasq; nothing where it has nothing to do.
    pub settings: Option<String>,
    /// Whether packets of IPv4 are to be forwarded by the host.
    pub forward_v4: bool,
    /// Whether packets of IPv6 are.
    pub forward_v6: bool,
    /// How much may go through the bridge's own end, which is the host's.
    pub bandwidth: Bandwidth,
    /// The network's files.
    pub places: Places,
}

/// The bridge of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgePlan {
    /// Its name.
    pub name: String,
    /// Whether it looks for loops.
    pub stp: bool,
    /// How long a new port waits, in seconds.
    pub delay_s: u32,
    /// Its hardware address.
    pub mac: Option<[u8; 6]>,
    /// Largest packet.
    pub mtu: Option<u32>,
    /// The host's addresses, with their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
}

impl NetworkPlan {
    /// What this network is made of. `identity` is 32 hexadecimal digits of its own, and `directory` is where its files are.
    ///
    /// # Errors
    /// A kind of network that is not made here, or one whose bridge has no name yet.
    pub fn of(network: &Network, identity: &str, directory: &std::path::Path) -> Result<Self, NetworkError> {
        require_makeable(network)?;
        let name = network.name.as_str();
        let Some(bridge) = network.bridge.name.clone() else {
            return Err(NetworkError::new(
                ErrorKind::Invalid,
                "network.no-bridge",
                format!("the bridge of the network '{name}' has no name"),
            )
            .hint("define the network again, and it gets one"));
        };
        let places = Places::within(directory);
        let table = format!("hostler_{identity}");
        let forwards =
            matches!(network.mode(), Some(ForwardMode::Nat | ForwardMode::Route | ForwardMode::Open));
        let has = |v4: bool| network.ips.iter().any(|ip| ip.address.is_ipv4() == v4);
        Ok(Self {
            name: name.to_owned(),
            mark: format!("hostler network {identity}"),
            rules: rules::ruleset(network, &bridge, &table),
            settings: dnsmasq::settings(network, &bridge, &places),
            forward_v4: forwards && has(true),
            forward_v6: forwards && has(false),
            bridge: BridgePlan {
                name: bridge,
                stp: network.bridge.stp,
                delay_s: network.bridge.delay_s,
                mac: network.mac.map(|mac| mac.0),
                mtu: network.mtu,
                addresses: network.ips.iter().map(|ip| (ip.address, ip.prefix)).collect(),
            },
            table,
            bandwidth: network.bandwidth,
            places,
        })
    }
}

/// Refuses what this version does not make.
fn require_makeable(network: &Network) -> Result<(), NetworkError> {
    let name = network.name.as_str();
    let refused = |what: String| {
        Err(NetworkError::new(ErrorKind::Unsupported, "network.unsupported", what).about("network", name))
    };
    if let Some(what) = network.needs_switch {
        return refused(format!(
            "the network '{name}' has {what}, which the bridges that are made here do not do"
        ));
    }
    if let Some(ip) = network.ips.iter().find(|ip| ip.address.is_ipv6() && ip.dhcp.is_some()) {
        return refused(format!(
            "the network '{name}' is to give out addresses of IPv6 ({}/{}), which is not done here",
            ip.address, ip.prefix
        ))
        .map_err(|error| {
            error.hint(
                "take <dhcp> out of that <ip>; guests find addresses of their own in a network of 64 bits",
            )
        });
    }
    if network.makes_bridge() {
        return Ok(());
    }
    let mode = network.mode().map(ForwardMode::as_str).unwrap_or_default();
    refused(format!("a network of mode '{mode}' is not made here"))
}

#[cfg(test)]
mod tests;
