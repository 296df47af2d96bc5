//! The rules of the firewall for a network: one table of its own, put in place and taken away as a whole.

use std::fmt::Write as _;
use std::net::IpAddr;

use hostler_domain::network::{ForwardMode, Network, NetworkIp};

/// Where packets go that are for a part of the network, and never leave it.
const LOCAL_ONLY: [&str; 2] = ["224.0.0.0/24", "255.255.255.255/32"];

/// The table of a network as `nft -f` reads it; nothing where nothing is filtered. It replaces one of that name at once.
pub(crate) fn ruleset(network: &Network, bridge: &str, table: &str) -> Option<String> {
    if network.mode() == Some(ForwardMode::Open) || !network.makes_bridge() {
        return None;
    }
    let mut text = String::new();
    // Of a table that is not there nothing can be deleted, so it is made first.
    let _infallible = write!(
        text,
        "table inet {table} {{}}\ndelete table inet {table}\ntable inet {table} {{\n{}{}}}\n",
        forwarded(network, bridge),
        translated(network, bridge)
    );
    Some(text)
}

/// What passes between the network and others.
fn forwarded(network: &Network, bridge: &str) -> String {
    let mut text =
        "  chain forward {\n    type filter hook forward priority filter; policy accept;\n".to_owned();
    let mut rule = |words: String| {
        let _infallible = writeln!(text, "    {words}");
    };
    let dev = network.forward.as_ref().and_then(|forward| forward.dev.as_deref());
    let out = dev.map(|dev| format!("oifname \"{dev}\" ")).unwrap_or_default();
    let back = dev.map(|dev| format!("iifname \"{dev}\" ")).unwrap_or_default();
    rule(format!("iifname \"{bridge}\" oifname \"{bridge}\" accept"));
    if let Some(mode) = network.mode() {
        for ip in &network.ips {
            let (family, subnet) = (family(ip), subnet(ip));
            let translates = mode == ForwardMode::Nat && is_translated(network, ip);
            let answers = if translates { "ct state established,related " } else { "" };
            rule(format!("iifname \"{bridge}\" {out}{family} saddr {subnet} accept"));
            rule(format!("oifname \"{bridge}\" {back}{family} daddr {subnet} {answers}accept"));
        }
    }
    rule(format!("iifname \"{bridge}\" reject with icmpx type port-unreachable"));
    rule(format!("oifname \"{bridge}\" reject with icmpx type port-unreachable"));
    text.push_str("  }\n");
    text
}

/// What gets another address on its way out.
fn translated(network: &Network, bridge: &str) -> String {
    let Some(forward) = network.forward.as_ref().filter(|forward| forward.mode == ForwardMode::Nat) else {
        return String::new();
    };
    let mut text =
        "  chain postrouting {\n    type nat hook postrouting priority srcnat; policy accept;\n".to_owned();
    let mut rule = |words: String| {
        let _infallible = writeln!(text, "    {words}");
    };
    let out = forward.dev.as_deref().map(|dev| format!("oifname \"{dev}\" ")).unwrap_or_default();
    let ports = forward.nat.ports.map(|(first, last)| format!("{first}-{last}"));
    for ip in network.ips.iter().filter(|ip| is_translated(network, ip)) {
        let (family, subnet) = (family(ip), subnet(ip));
        if ip.address.is_ipv4() {
            for local in LOCAL_ONLY {
                rule(format!("{family} saddr {subnet} {family} daddr {local} return"));
            }
        }
        let whole =
            format!("{out}{family} saddr {subnet} {family} daddr != {subnet} oifname != \"{bridge}\"");
        match forward.nat.addresses.filter(|_| ip.address.is_ipv4()) {
            Some((first, last)) => {
                let to = if first == last { first.to_string() } else { format!("{first}-{last}") };
                if let Some(ports) = &ports {
                    rule(format!("{whole} meta l4proto {{ tcp, udp }} snat {family} to {to}:{ports}"));
                }
                rule(format!("{whole} snat {family} to {to}"));
            }
            None => {
                let ports = ports.as_deref().unwrap_or("1024-65535");
                rule(format!("{whole} meta l4proto {{ tcp, udp }} masquerade to :{ports}"));
                rule(format!("{whole} masquerade"));
            }
        }
    }
    text.push_str("  }\n");
    text
}

/// Addresses of IPv6 are the guests' own unless it is said otherwise.
fn is_translated(network: &Network, ip: &NetworkIp) -> bool {
    ip.address.is_ipv4() || network.forward.as_ref().is_some_and(|forward| forward.nat.ipv6)
}

fn family(ip: &NetworkIp) -> &'static str {
    match ip.address {
        IpAddr::V4(_) => "ip",
        IpAddr::V6(_) => "ip6",
    }
}

fn subnet(ip: &NetworkIp) -> String {
    format!("{}/{}", ip.first(), ip.prefix)
}
