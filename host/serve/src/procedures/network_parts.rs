//! Parts of networks: what they lend, who is connected, changes of a part, and notes.

use std::sync::Arc;

use hostler_domains::{Host, Lease, NetworkChange, NetworkCommand, NetworkSection, NetworkSummary, Scope};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    NetworkDhcpLease, NetworkGetDhcpLeases, NetworkGetDhcpLeasesAnswer, NetworkGetMetadata,
    NetworkGetMetadataAnswer, NetworkListAllPorts, NetworkListAllPortsAnswer, NetworkPortLookupByUuid,
    NetworkPortLookupByUuidAnswer, NetworkSetMetadata, NetworkUpdate,
};
use hostler_rpc::xdr::List;
use uuid::Uuid;

use super::metadata::note;
use super::networks::{self, done, handle, invalid, network, reference};
use super::{count, only};
use crate::client::Client;
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// In what runs, in the definition; where neither is said, in what there is of the two.
const LIVE: u32 = 1;
const CONFIG: u32 = 2;
/// Metadata that is not there. Newer than the tables.
const ERR_NO_NETWORK_METADATA: i32 = 111;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        NetworkUpdate => update,
        NetworkGetDhcpLeases => leases,
        NetworkListAllPorts => ports,
        NetworkPortLookupByUuid => port,
        NetworkGetMetadata => metadata,
        NetworkSetMetadata => set_metadata,
    }
}

/// Which documents are meant, and whether they are there.
fn scope(network: &NetworkSummary, flags: u32) -> Result<Scope, RpcError> {
    let scope = match flags & (LIVE | CONFIG) {
        0 => Scope { live: network.active, config: !network.active },
        flags => Scope { live: flags & LIVE != 0, config: flags & CONFIG != 0 },
    };
    if scope.live && !network.active {
        return Err(invalid("network is not running"));
    }
    if scope.config && !network.persistent {
        return Err(invalid("cannot change persistent config of a transient network"));
    }
    Ok(scope)
}

async fn update(client: Arc<Client>, call: NetworkUpdate) -> Result<(), RpcError> {
    only(call.flags, LIVE | CONFIG, "virNetworkUpdate")?;
    let _turn = networks::turn(&client).await?;
    let network = network(&client, &call.net).await?;
    let scope = scope(&network, call.flags)?;
    let change = NetworkChange {
        command: command(call.command)?,
        section: section(call.section, &network)?,
        parent: usize::try_from(call.parent_index).ok(),
        xml: call.xml,
    };
    done(client.host().network_update(&reference(&call.net), &change, scope).await)
}

fn command(number: u32) -> Result<NetworkCommand, RpcError> {
    match number {
        1 => Ok(NetworkCommand::Modify),
        2 => Ok(NetworkCommand::Delete),
        3 => Ok(NetworkCommand::AddLast),
        4 => Ok(NetworkCommand::AddFirst),
        _ => {
            let detail = format!("unrecognized network update command code {number}");
            Err(RpcError::new(codes::ERR_OPERATION_UNSUPPORTED, codes::FROM_NETWORK, detail))
        }
    }
}

fn section(number: u32, network: &NetworkSummary) -> Result<NetworkSection, RpcError> {
    const NAMES: [&str; 13] = [
        "none",
        "bridge",
        "domain",
        "ip",
        "ip-dhcp-host",
        "ip-dhcp-range",
        "forward",
        "forward-interface",
        "forward-pf",
        "portgroup",
        "dns-host",
        "dns-txt",
        "dns-srv",
    ];
    match number {
        4 => Ok(NetworkSection::DhcpHost),
        5 => Ok(NetworkSection::DhcpRange),
        10 => Ok(NetworkSection::DnsHost),
        11 => Ok(NetworkSection::DnsTxt),
        _ => {
            let name =
                usize::try_from(number).ok().and_then(|number| NAMES.get(number)).unwrap_or(&"unknown");
            let detail = format!("can't update '{name}' section of network '{}'", network.name);
            Err(RpcError::new(codes::ERR_OPERATION_UNSUPPORTED, codes::FROM_NETWORK, detail))
        }
    }
}

async fn leases(
    client: Arc<Client>,
    call: NetworkGetDhcpLeases,
) -> Result<NetworkGetDhcpLeasesAnswer, RpcError> {
    only(call.flags, 0, "virNetworkGetDHCPLeases")?;
    let network = network(&client, &call.net).await?;
    let lent = client.host().network_leases(&reference(&call.net)).await;
    let mut lent = lent.map_err(|error| failure::of_network(&error))?.leases;
    lent.retain(|lease| call.mac.as_ref().is_none_or(|mac| lease.mac.eq_ignore_ascii_case(mac)));
    let ret = count(lent.len());
    let leases = match call.need_results {
        0 => Vec::new(),
        _ => lent.into_iter().map(|one| lease(one, &network)).collect(),
    };
    Ok(NetworkGetDhcpLeasesAnswer { leases: List(leases), ret })
}

fn lease(lease: Lease, network: &NetworkSummary) -> NetworkDhcpLease {
    const IPV4: i32 = 0;
    const IPV6: i32 = 1;
    let is_v4 = lease.ip.is_ipv4();
    // That of the network's own address of this kind: there is one server of addresses.
    let own = network.addresses.iter().filter_map(|address| address.split_once('/'));
    let same = own.filter(|(address, _)| address.contains(':') != is_v4);
    let prefix = same.filter_map(|(_, prefix)| prefix.parse().ok()).next();
    NetworkDhcpLease {
        iface: network.bridge.clone().unwrap_or_default(),
        expirytime: lease.expires_unix.and_then(|at| i64::try_from(at).ok()).unwrap_or(0),
        r#type: if is_v4 { IPV4 } else { IPV6 },
        mac: Some(lease.mac),
        iaid: None,
        ipaddr: lease.ip.to_string(),
        prefix: prefix.unwrap_or(0),
        hostname: lease.hostname,
        clientid: lease.client_id,
    }
}

/// Interfaces of guests are joined to bridges, and have no ports of their own that could be told of.
async fn ports(
    client: Arc<Client>,
    call: NetworkListAllPorts,
) -> Result<NetworkListAllPortsAnswer, RpcError> {
    only(call.flags, 0, "virNetworkListAllPorts")?;
    network(&client, &call.network).await?;
    Ok(NetworkListAllPortsAnswer { ports: List(Vec::new()), ret: 0 })
}

async fn port(
    client: Arc<Client>,
    call: NetworkPortLookupByUuid,
) -> Result<NetworkPortLookupByUuidAnswer, RpcError> {
    network(&client, &call.network).await?;
    let detail = format!("network port with UUID {} does not exist", Uuid::from_bytes(call.uuid));
    Err(RpcError::new(codes::ERR_NO_NETWORK_PORT, codes::FROM_NETWORK, detail))
}

async fn metadata(
    client: Arc<Client>,
    call: NetworkGetMetadata,
) -> Result<NetworkGetMetadataAnswer, RpcError> {
    only(call.flags, LIVE | CONFIG, "virNetworkGetMetadata")?;
    let note = note(call.r#type, call.uri, codes::FROM_NETWORK)?;
    let scope = scope(&network(&client, &call.network).await?, call.flags)?;
    let wanted = reference(&call.network);
    let xml = match scope.live {
        true => client.host().network_live_xml(&wanted).await,
        false => client.host().network_xml(&wanted).await,
    };
    let found =
        xml.and_then(|xml| Host::annotation(&xml, &note)).map_err(|error| failure::of_network(&error))?;
    let metadata = found.ok_or_else(|| {
        let detail = "metadata not found: Requested metadata element is not present";
        RpcError::new(ERR_NO_NETWORK_METADATA, codes::FROM_NETWORK, detail)
    })?;
    Ok(NetworkGetMetadataAnswer { metadata })
}

async fn set_metadata(client: Arc<Client>, call: NetworkSetMetadata) -> Result<(), RpcError> {
    only(call.flags, LIVE | CONFIG, "virNetworkSetMetadata")?;
    let note = note(call.r#type, call.uri.clone(), codes::FROM_NETWORK)?;
    let _turn = networks::turn(&client).await?;
    let network = network(&client, &call.network).await?;
    let scope = scope(&network, call.flags)?;
    let content = (call.metadata.as_deref().filter(|text| !text.is_empty()), call.key.as_deref());
    done(client.host().network_annotate(&reference(&call.network), &note, content, scope).await)?;
    client.server.hub.network_metadata(&handle(&network), call.r#type, call.uri);
    Ok(())
}
