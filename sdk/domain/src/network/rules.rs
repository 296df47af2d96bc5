//! What a network must not contradict.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::document::NodeId;
use crate::error::{XmlError, XmlErrorKind};
use crate::read::Element;

use super::{Dhcp, ForwardMode, Network, NetworkIp};

/// Smallest MTU that IPv4 works with.
const MTU_MIN: u32 = 68;
/// Largest MTU of a network device.
const MTU_MAX: u32 = 65_521;

/// Refuses what cannot be.
pub(super) fn check(root: Element<'_>, network: &Network) -> Result<(), XmlError> {
    let wrong = |element: &'static str, message: String| {
        let at = root.child(element).unwrap_or(root);
        Err(at.error(XmlErrorKind::InvalidValue, message))
    };
    if let Some(mtu) = network.mtu.filter(|mtu| !(MTU_MIN..=MTU_MAX).contains(mtu)) {
        return wrong("mtu", format!("an MTU of {mtu} is not from {MTU_MIN} to {MTU_MAX}"));
    }
    let mode = network.mode();
    if matches!(mode, Some(ForwardMode::Nat | ForwardMode::Route)) && network.ips.is_empty() {
        let mode = mode.map(ForwardMode::as_str).unwrap_or_default();
        return wrong("forward", format!("a network of mode '{mode}' needs an <ip>"));
    }
    if !network.makes_bridge() && !network.ips.is_empty() {
        return wrong("ip", "a network on a device of the host has no <ip> of its own".to_owned());
    }
    if let Some(forward) = &network.forward {
        let reversed = forward.nat.addresses.is_some_and(|(first, last)| first > last)
            || forward.nat.ports.is_some_and(|(first, last)| first > last || first == 0);
        if reversed {
            return wrong("forward", "a range in <nat> ends before it begins".to_owned());
        }
    }
    addresses(root, network)
}

fn addresses(root: Element<'_>, network: &Network) -> Result<(), XmlError> {
    let mut serving = 0;
    for (at, ip) in network.ips.iter().enumerate() {
        let place = Place { root, ip: at };
        if let Some(other) = network.ips.iter().take(at).find(|other| other.overlaps(ip)) {
            return place
                .wrong(ip.node, format!("the network of {} is that of {} too", ip.address, other.address));
        }
        let Some(dhcp) = &ip.dhcp else { continue };
        serving += usize::from(ip.address.is_ipv4());
        if serving > 1 {
            return place.wrong(ip.node, "only one <ip> of a network can have <dhcp>".to_owned());
        }
        lent(&place, ip, dhcp)?;
    }
    Ok(())
}

/// Where in a document something is wrong.
struct Place<'d> {
    root: Element<'d>,
    ip: usize,
}

impl Place<'_> {
    /// Something wrong with the element of this id within `<ip>`, or with `<ip>` itself.
    fn wrong(&self, node: NodeId, message: String) -> Result<(), XmlError> {
        let ip = self.root.children("ip").nth(self.ip).unwrap_or(self.root);
        let dhcp = ip.child("dhcp");
        let inner = dhcp.and_then(|dhcp| {
            dhcp.children("range").chain(dhcp.children("host")).find(|child| child.node == node)
        });
        Err(inner.unwrap_or(ip).error(XmlErrorKind::InvalidValue, message))
    }
}

fn lent(place: &Place<'_>, ip: &NetworkIp, dhcp: &Dhcp) -> Result<(), XmlError> {
    let usable = |address: IpAddr| {
        ip.contains(address) && address != ip.address && address != ip.first() && address != ip.last()
    };
    for range in &dhcp.ranges {
        let (start, end) = (range.start, range.end);
        if start.is_ipv4() != end.is_ipv4() || start > end {
            return place
                .wrong(range.node, format!("the range from {start} ends before it begins, at {end}"));
        }
        if let Some(outside) = [start, end].into_iter().find(|address| !ip.contains(*address)) {
            let message = format!("{outside} is not in the network of {}/{}", ip.address, ip.prefix);
            return place.wrong(range.node, message);
        }
        if start == ip.first() || end == ip.last() {
            let message =
                format!("the range from {start} to {end} has the address of the network, or of all in it");
            return place.wrong(range.node, message);
        }
    }
    let (mut macs, mut names, mut ips) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for host in &dhcp.hosts {
        if !usable(host.ip) {
            let message = format!("{} is no address for others in {}/{}", host.ip, ip.address, ip.prefix);
            return place.wrong(host.node, message);
        }
        let twice = host.mac.is_some_and(|mac| !macs.insert(mac))
            || host.name.as_ref().is_some_and(|name| !names.insert(name.clone()))
            || !ips.insert(host.ip);
        if twice {
            let message = "a <host> of <dhcp> has the mac, the name or the ip of another one".to_owned();
            return place.wrong(host.node, message);
        }
    }
    Ok(())
}
