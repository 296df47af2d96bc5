//! What the dnsmasq of a network is told.

use std::fmt::Write as _;
use std::net::IpAddr;

use hostler_domain::network::{Dhcp, DhcpHost, ForwardMode, Network, NetworkIp};

use crate::plan::Places;

/// The user that dnsmasq becomes once it has its sockets. Debian's package makes it.
pub(crate) const USER: &str = "dnsmasq";
/// Most addresses that are lent at once: what a network of 16 bits has.
const LEASES_MAX: u32 = 65_536;

/// The settings of the network's dnsmasq; nothing where it would have nothing to do.
pub(crate) fn settings(network: &Network, bridge: &str, places: &Places) -> Option<String> {
    let serving = network.ips.iter().find(|ip| ip.dhcp.is_some());
    if network.ips.is_empty() || (serving.is_none() && !network.dns.enabled) {
        return None;
    }
    let mut text = Text("# Made by hostler, and made anew at each start of the network.\n".to_owned());
    // Nothing of the host's own settings counts, and it listens on this bridge alone.
    text.line("strict-order");
    text.line("bind-dynamic");
    text.line("except-interface=lo");
    text.pair("interface", bridge);
    if network.dns.enabled {
        names(network, &mut text);
    } else {
        text.line("port=0");
    }
    let dhcp = serving.and_then(|ip| Some((ip, ip.dhcp.as_ref()?)));
    match dhcp {
        Some((ip, dhcp)) => addresses(network, ip, dhcp, places, &mut text),
        None => text.pair("no-dhcp-interface", bridge),
    }
    for ip in network.ips.iter().filter(|ip| ip.address.is_ipv6()) {
        // Guests find addresses of their own in this network.
        text.pair("dhcp-range", &format!("{},ra-only", ip.first()));
    }
    Some(text.0)
}

struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        let _infallible = writeln!(self.0, "{line}");
    }

    fn pair(&mut self, key: &str, value: &str) {
        let _infallible = writeln!(self.0, "{key}={}", plain(value));
    }
}

/// A value stays in its line: what could begin another one is not in it.
fn plain(value: &str) -> String {
    value.chars().filter(|letter| !letter.is_control() && *letter != '"').collect()
}

/// What is one name stays one: commas separate names.
fn word(value: &str) -> String {
    plain(value).chars().filter(|letter| !matches!(letter, ',' | ' ' | '#' | '/')).collect()
}

fn names(network: &Network, text: &mut Text) {
    let isolated = network.mode().is_none();
    if isolated || !network.dns.forwarders.is_empty() {
        text.line("no-resolv");
    }
    for server in &network.dns.forwarders {
        text.pair("server", &server.to_string());
    }
    if let Some(domain) = &network.domain {
        let name = word(&domain.name);
        text.pair("domain", &name);
        text.line("expand-hosts");
        if domain.local_only {
            text.pair("local", &format!("/{name}/"));
        }
    }
    text.line("domain-needed");
    for (address, names) in &network.dns.hosts {
        let names: Vec<_> = names.iter().map(|name| word(name)).collect();
        text.pair("host-record", &format!("{},{address}", names.join(",")));
    }
    for (name, value) in &network.dns.texts {
        let value = plain(value).replace('\\', "");
        text.line(&format!("txt-record={},\"{value}\"", word(name)));
    }
}

fn addresses(network: &Network, ip: &NetworkIp, dhcp: &Dhcp, places: &Places, text: &mut Text) {
    let mask = mask(ip.prefix);
    for range in &dhcp.ranges {
        let lease = match range.lease_s {
            None => String::new(),
            Some(0) => ",infinite".to_owned(),
            Some(seconds) => format!(",{seconds}"),
        };
        text.pair("dhcp-range", &format!("{},{},{mask}{lease}", range.start, range.end));
    }
    if dhcp.ranges.is_empty() {
        text.pair("dhcp-range", &format!("{},static,{mask}", ip.first()));
    }
    // No other dnsmasq is asked whether an address is free: the network has one server.
    text.line("dhcp-authoritative");
    text.line("dhcp-no-override");
    text.pair("dhcp-leasefile", &places.leases.display().to_string());
    text.pair("dhcp-lease-max", &lent_at_once(dhcp).to_string());
    if !matches!(network.mode(), Some(ForwardMode::Nat | ForwardMode::Route | ForwardMode::Open)) {
        // Who is isolated is told of no way out.
        text.line("dhcp-option=3");
    }
    if !network.dns.enabled {
        text.line("dhcp-option=6");
    }
    if let Some(mtu) = network.mtu {
        text.pair("dhcp-option", &format!("option:mtu,{mtu}"));
    }
    dhcp.hosts.iter().for_each(|host| text.pair("dhcp-host", &known(host)));
    if let Some(root) = &ip.tftp_root {
        text.line("enable-tftp");
        text.pair("tftp-root", root);
    }
    if let Some((file, server)) = &dhcp.boot {
        let server = server.as_deref().map(|server| format!(",,{}", word(server))).unwrap_or_default();
        text.pair("dhcp-boot", &format!("{}{server}", plain(file).replace(',', "")));
    }
}

fn known(host: &DhcpHost) -> String {
    let mac = host.mac.map(|mac| mac.to_string());
    let parts = [mac, Some(host.ip.to_string()), host.name.as_deref().map(word)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(",")
}

fn lent_at_once(dhcp: &Dhcp) -> u32 {
    let count = |range: &hostler_domain::network::DhcpRange| match (range.start, range.end) {
        (IpAddr::V4(start), IpAddr::V4(end)) => {
            u32::from(end).saturating_sub(u32::from(start)).saturating_add(1)
        }
        _ => 0,
    };
    let all: u32 = dhcp.ranges.iter().map(count).fold(0, u32::saturating_add);
    let hosts = u32::try_from(dhcp.hosts.len()).unwrap_or(u32::MAX);
    all.saturating_add(hosts).clamp(1, LEASES_MAX)
}

fn mask(prefix: u8) -> std::net::Ipv4Addr {
    let hosts = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
    (!hosts).into()
}
