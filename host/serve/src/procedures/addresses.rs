//! The addresses of guests: lent by this host's networks, told by their agents, or seen by the kernel.

use std::fs;
use std::net::IpAddr;
use std::sync::Arc;

use hostler_domains::{DomainIdentity, Lease, NetworkRef, Which};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    DomainInterface, DomainInterfaceAddresses, DomainInterfaceAddressesAnswer, DomainIpAddr,
};
use hostler_rpc::xdr::List;
use serde_json::Value;

use super::guest_agent::{ask, text};
use super::only;
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// Kinds of addresses.
const IPV4: i32 = 0;
const IPV6: i32 = 1;
/// Most addresses of one guest.
const LISTED: usize = 1_024;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming; DomainInterfaceAddresses => addresses, }
}

async fn addresses(
    client: Arc<Client>,
    call: DomainInterfaceAddresses,
) -> Result<DomainInterfaceAddressesAnswer, RpcError> {
    only(call.flags, 0, "virDomainInterfaceAddresses")?;
    let domain = super::counters::running(&client, &call.dom).await?;
    let ifaces = match call.source {
        0 => leased(&client, &domain).await?,
        1 => told(&ask(&client, &domain, "guest-network-get-interfaces", None).await?),
        2 => seen(&client, &domain).await?,
        other => {
            let detail = format!("Unknown IP address data source {other}");
            return Err(RpcError::new(codes::ERR_ARGUMENT_UNSUPPORTED, codes::FROM_QEMU, detail));
        }
    };
    Ok(DomainInterfaceAddressesAnswer { ifaces: List(ifaces) })
}

/// The guest's addresses, and the devices that connect them where there are such.
async fn interfaces(client: &Client, domain: &DomainIdentity) -> Result<Vec<(String, String)>, RpcError> {
    let document = super::sizing::document(client, domain, Which::Current).await?;
    let devices = client.host().interface_devices(&reference(domain)).await;
    let devices = devices.map_err(|error| failure::of_domain(&error))?;
    let one = |interface: &hostler_domain::interface::Interface| {
        let mac = interface.mac.as_ref()?.to_string();
        let device = devices.iter().find(|device| device.mac.eq_ignore_ascii_case(&mac));
        // What has no device here is called by its address.
        Some((mac.clone(), device.map_or(mac, |device| device.device.clone())))
    };
    Ok(document.devices.interfaces.iter().filter_map(one).collect())
}

/// What the networks of this host have lent.
async fn leases(client: &Client) -> Result<Vec<Lease>, RpcError> {
    let networks = match client.host().network_list().await {
        Ok(networks) => networks,
        // Tenants see no networks, and no leases either.
        Err(error) if error.kind == hostler_domains::Kind::Denied => return Ok(Vec::new()),
        Err(error) => return Err(failure::of_network(&error)),
    };
    let mut found = Vec::new();
    for network in networks {
        let lent = client.host().network_leases(&NetworkRef::new(network.name)).await;
        found.extend(lent.map_err(|error| failure::of_network(&error))?.leases);
    }
    Ok(found)
}

async fn leased(client: &Client, domain: &DomainIdentity) -> Result<Vec<DomainInterface>, RpcError> {
    let lent = leases(client).await?;
    let of = |(mac, name): (String, String)| {
        let own = lent.iter().filter(|lease| lease.mac.eq_ignore_ascii_case(&mac));
        let addrs: Vec<_> = own.map(|lease| address(lease.ip, None)).take(LISTED).collect();
        (!addrs.is_empty()).then_some(DomainInterface { name, hwaddr: Some(mac), addrs: List(addrs) })
    };
    Ok(interfaces(client, domain).await?.into_iter().filter_map(of).collect())
}

/// The name that a guest has given when it was lent an address.
pub(super) async fn leased_name(client: &Client, domain: &DomainIdentity) -> Result<String, RpcError> {
    let macs = interfaces(client, domain).await?;
    let named = leases(client).await?.into_iter().find_map(|lease| {
        let own = macs.iter().any(|(mac, _)| lease.mac.eq_ignore_ascii_case(mac));
        lease.hostname.filter(|_| own)
    });
    named.ok_or_else(|| {
        let detail = format!("no hostname found for domain {}", domain.name);
        RpcError::new(codes::ERR_NO_HOSTNAME, codes::FROM_QEMU, detail)
    })
}

fn address(ip: IpAddr, prefix: Option<u32>) -> DomainIpAddr {
    let (r#type, all) = match ip {
        IpAddr::V4(_) => (IPV4, 24),
        IpAddr::V6(_) => (IPV6, 64),
    };
    DomainIpAddr { r#type, addr: ip.to_string(), prefix: prefix.unwrap_or(all) }
}

/// What an agent tells: a guest's words.
fn told(told: &Value) -> Vec<DomainInterface> {
    let one = |interface: &Value| {
        let addresses = interface.get("ip-addresses").and_then(Value::as_array);
        let address = |told: &Value| {
            let ip = text(told, "ip-address")?.parse().ok()?;
            let prefix =
                told.get("prefix").and_then(Value::as_u64).and_then(|prefix| u32::try_from(prefix).ok());
            Some(address(ip, prefix.or(Some(0))))
        };
        let addrs = addresses.into_iter().flatten().filter_map(address).take(LISTED).collect();
        Some(DomainInterface {
            name: text(interface, "name")?,
            hwaddr: text(interface, "hardware-address"),
            addrs: List(addrs),
        })
    };
    told.as_array().into_iter().flatten().filter_map(one).take(LISTED).collect()
}

/// What the kernel has seen of neighbours (proc(5)).
async fn seen(client: &Client, domain: &DomainIdentity) -> Result<Vec<DomainInterface>, RpcError> {
    let table = fs::read_to_string("/proc/net/arp").map_err(|error| {
        RpcError::new(
            codes::ERR_SYSTEM_ERROR,
            codes::FROM_QEMU,
            format!("cannot read /proc/net/arp: {error}"),
        )
    })?;
    let known = neighbours(&table);
    let of = |(mac, name): (String, String)| {
        let own = known.iter().filter(|(_, address)| address.eq_ignore_ascii_case(&mac));
        let addrs: Vec<_> = own.map(|(ip, _)| address(*ip, Some(0))).collect();
        (!addrs.is_empty()).then_some(DomainInterface { name, hwaddr: Some(mac), addrs: List(addrs) })
    };
    Ok(interfaces(client, domain).await?.into_iter().filter_map(of).collect())
}

fn neighbours(table: &str) -> Vec<(IpAddr, String)> {
    let one = |line: &str| {
        let mut words = line.split_whitespace();
        let ip = words.next()?.parse().ok()?;
        Some((ip, words.nth(2)?.to_owned()))
    };
    table.lines().skip(1).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn neighbours_are_read_from_the_kernels_table() {
        let table = "IP address HW type Flags HW address Mask Device\n\
                     192.168.9.2 0x1 0x2 52:54:00:00:00:01 * virbr0\nnonsense\n";
        let found = neighbours(table);
        assert_eq!(found, [("192.168.9.2".parse().unwrap(), "52:54:00:00:00:01".to_owned())]);
    }

    #[test]
    fn agents_tell_addresses_that_are_some() {
        let found = told(&json!([{"name": "eth0", "ip-addresses": [
            {"ip-address": "10.0.0.1", "prefix": 8}, {"ip-address": "x"}, {"ip-address": "::1", "prefix": 128}]},
            {"ip-addresses": []}]));
        let [one] = found.as_slice() else { panic!("{found:?}") };
        let kinds: Vec<_> = one.addrs.0.iter().map(|address| (address.r#type, address.prefix)).collect();
        assert_eq!(kinds, [(0, 8), (1, 128)]);
    }
}
