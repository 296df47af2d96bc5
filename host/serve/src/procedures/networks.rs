//! Networks.

use std::sync::Arc;

use hostler_domains::{Error, IfStarted, NetworkRef, NetworkSummary};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    ConnectListAllNetworksAnswer, ConnectListDefinedNetworksAnswer, ConnectListNetworksAnswer,
    ConnectNumOfDefinedNetworksAnswer, ConnectNumOfNetworksAnswer, NetworkCreate, NetworkCreateXmlAnswer,
    NetworkCreateXmlFlagsAnswer, NetworkDefineXmlAnswer, NetworkDefineXmlFlagsAnswer, NetworkDestroy,
    NetworkGetAutostartAnswer, NetworkGetBridgeName, NetworkGetBridgeNameAnswer, NetworkGetXmlDesc,
    NetworkGetXmlDescAnswer, NetworkHandle, NetworkIsActiveAnswer, NetworkIsPersistentAnswer,
    NetworkLookupByName, NetworkLookupByNameAnswer, NetworkLookupByUuid, NetworkLookupByUuidAnswer,
    NetworkSetAutostart, NetworkUndefine,
};
use hostler_rpc::xdr::List;
use uuid::Uuid;

use super::{count, meets, only};
use crate::access::object::Object;
use crate::client::Client;
use crate::dispatch::{Incoming, Work, routes};
use crate::events::objects::Step;
use crate::failure;
use crate::jobs::Job;

/// Under what changes of networks take turns.
const NETWORKS: Uuid = Uuid::from_u128(1);
/// The flag of a document that is to be checked before anything else; it is checked in any case.
const VALIDATE: u32 = 1;

/// Pairs of flags by which networks are listed.
mod filter {
    pub(super) const INACTIVE: u32 = 1;
    pub(super) const ACTIVE: u32 = 2;
    pub(super) const PERSISTENT: u32 = 4;
    pub(super) const TRANSIENT: u32 = 8;
    pub(super) const AUTOSTART: u32 = 16;
    pub(super) const NO_AUTOSTART: u32 = 32;
    pub(super) const ALL: u32 = INACTIVE | ACTIVE | PERSISTENT | TRANSIENT | AUTOSTART | NO_AUTOSTART;
}

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        ConnectListAllNetworks => async |client, call| {
            let nets = filtered(&client, call.flags).await?;
            let ret = count(nets.len());
            let nets = if call.need_results == 0 { Vec::new() } else { nets.iter().map(handle).collect() };
            Ok(ConnectListAllNetworksAnswer { nets: List(nets), ret })
        },
        ConnectNumOfNetworks => async |client, _| {
            Ok(ConnectNumOfNetworksAnswer { num: count(filtered(&client, filter::ACTIVE).await?.len()) })
        },
        ConnectListNetworks => async |client, call| {
            Ok(ConnectListNetworksAnswer { names: names(&client, filter::ACTIVE, call.maxnames).await? })
        },
        ConnectNumOfDefinedNetworks => async |client, _| {
            Ok(ConnectNumOfDefinedNetworksAnswer { num: count(filtered(&client, filter::INACTIVE).await?.len()) })
        },
        ConnectListDefinedNetworks => async |client, call| {
            Ok(ConnectListDefinedNetworksAnswer { names: names(&client, filter::INACTIVE, call.maxnames).await? })
        },
        NetworkLookupByName => by_name,
        NetworkLookupByUuid => by_uuid,
        NetworkGetXmlDesc => document,
        NetworkGetBridgeName => bridge,
        NetworkIsActive => async |client, call| {
            Ok(NetworkIsActiveAnswer { active: i32::from(network(&client, &call.net).await?.active) })
        },
        NetworkIsPersistent => async |client, call| {
            let persistent = network(&client, &call.net).await?.persistent;
            Ok(NetworkIsPersistentAnswer { persistent: i32::from(persistent) })
        },
        NetworkGetAutostart => async |client, call| {
            Ok(NetworkGetAutostartAnswer { autostart: i32::from(network(&client, &call.net).await?.autostart) })
        },
        NetworkSetAutostart => set_autostart,
        NetworkDefineXml => async |client, call| {
            Ok(NetworkDefineXmlAnswer { net: define(&client, &call.xml).await? })
        },
        NetworkDefineXmlFlags => async |client, call| {
            only(call.flags, VALIDATE, "virNetworkDefineXMLFlags")?;
            Ok(NetworkDefineXmlFlagsAnswer { net: define(&client, &call.xml).await? })
        },
        NetworkCreateXml => async |client, call| {
            Ok(NetworkCreateXmlAnswer { net: create(&client, &call.xml).await? })
        },
        NetworkCreateXmlFlags => async |client, call| {
            only(call.flags, VALIDATE, "virNetworkCreateXMLFlags")?;
            Ok(NetworkCreateXmlFlagsAnswer { net: create(&client, &call.xml).await? })
        },
        NetworkCreate => start,
        NetworkDestroy => stop,
        NetworkUndefine => undefine,
    }
}

/// How the library is asked for a network. Only its identifier is believed.
pub(super) fn reference(network: &NetworkHandle) -> NetworkRef {
    NetworkRef::new(Uuid::from_bytes(network.uuid).to_string())
}

/// How a client is told of a network.
pub(super) fn handle(network: &NetworkSummary) -> NetworkHandle {
    NetworkHandle { name: network.name.clone(), uuid: *network.uuid.as_bytes() }
}

async fn all(client: &Client) -> Result<Vec<NetworkSummary>, RpcError> {
    client.host().network_list().await.map_err(|error| failure::of_network(&error))
}

pub(super) async fn network(client: &Client, wanted: &NetworkHandle) -> Result<NetworkSummary, RpcError> {
    let found = all(client).await?.into_iter().find(|network| *network.uuid.as_bytes() == wanted.uuid);
    found.ok_or_else(|| {
        let uuid = Uuid::from_bytes(wanted.uuid);
        missing(format!("no network with matching uuid '{uuid}'"))
    })
}

pub(super) fn missing(detail: String) -> RpcError {
    RpcError::new(codes::ERR_NO_NETWORK, codes::FROM_NETWORK, detail)
}

async fn filtered(client: &Client, flags: u32) -> Result<Vec<NetworkSummary>, RpcError> {
    only(flags, filter::ALL, "virConnectListAllNetworks")?;
    let mut networks = all(client).await?;
    let pair = |yes, no, is| meets(flags, (yes, no), is);
    networks.retain(|network| {
        client.sees("network.getattr", &Object::named(&network.name, Some(network.uuid)))
            && pair(filter::ACTIVE, filter::INACTIVE, network.active)
            && pair(filter::PERSISTENT, filter::TRANSIENT, network.persistent)
            && pair(filter::AUTOSTART, filter::NO_AUTOSTART, network.autostart)
    });
    Ok(networks)
}

async fn names(client: &Client, flags: u32, room: i32) -> Result<List<String, 16_384>, RpcError> {
    let room = usize::try_from(room).unwrap_or(0);
    Ok(List(filtered(client, flags).await?.into_iter().map(|network| network.name).take(room).collect()))
}

async fn by_name(
    client: Arc<Client>,
    call: NetworkLookupByName,
) -> Result<NetworkLookupByNameAnswer, RpcError> {
    let found = all(&client).await?.into_iter().find(|network| network.name == call.name);
    let found = found.ok_or_else(|| missing(format!("no network with matching name '{}'", call.name)))?;
    Ok(NetworkLookupByNameAnswer { net: handle(&found) })
}

async fn by_uuid(
    client: Arc<Client>,
    call: NetworkLookupByUuid,
) -> Result<NetworkLookupByUuidAnswer, RpcError> {
    let wanted = NetworkHandle { name: String::new(), uuid: call.uuid };
    Ok(NetworkLookupByUuidAnswer { net: handle(&network(&client, &wanted).await?) })
}

async fn document(client: Arc<Client>, call: NetworkGetXmlDesc) -> Result<NetworkGetXmlDescAnswer, RpcError> {
    const INACTIVE_XML: u32 = 1;
    only(call.flags, INACTIVE_XML, "virNetworkGetXMLDesc")?;
    network(&client, &call.net).await?;
    let xml = match call.flags & INACTIVE_XML {
        0 => client.host().network_live_xml(&reference(&call.net)).await,
        _ => client.host().network_xml(&reference(&call.net)).await,
    };
    xml.map(|xml| NetworkGetXmlDescAnswer { xml }).map_err(|error| failure::of_network(&error))
}

async fn bridge(
    client: Arc<Client>,
    call: NetworkGetBridgeName,
) -> Result<NetworkGetBridgeNameAnswer, RpcError> {
    let network = network(&client, &call.net).await?;
    let name = network.bridge.ok_or_else(|| {
        let detail = format!("network '{}' does not have a bridge name.", network.name);
        RpcError::new(codes::ERR_INTERNAL_ERROR, codes::FROM_NETWORK, detail)
    })?;
    Ok(NetworkGetBridgeNameAnswer { name })
}

async fn set_autostart(client: Arc<Client>, call: NetworkSetAutostart) -> Result<(), RpcError> {
    let _turn = turn(&client).await?;
    if !network(&client, &call.net).await?.persistent {
        return Err(invalid("cannot set autostart for transient network"));
    }
    done(client.host().network_autostart(&reference(&call.net), call.autostart != 0).await)
}

/// Changes of networks take turns: names, bridges and addresses of one are compared with those of all others.
pub(super) async fn turn(client: &Client) -> Result<Job, RpcError> {
    client.server.jobs.begin(NETWORKS).await
}

async fn define(client: &Client, xml: &str) -> Result<NetworkHandle, RpcError> {
    let _turn = turn(client).await?;
    let defined = client.host().network_define(xml).await.map_err(|error| failure::of_network(&error))?;
    let defined = handle(&defined.summary);
    client.server.hub.network(&defined, Step::Defined);
    Ok(defined)
}

async fn create(client: &Client, xml: &str) -> Result<NetworkHandle, RpcError> {
    let _turn = turn(client).await?;
    let created = client.host().network_create(xml).await.map_err(|error| failure::of_network(&error))?;
    let created = handle(&created);
    client.server.hub.network(&created, Step::Started);
    Ok(created)
}

async fn start(client: Arc<Client>, call: NetworkCreate) -> Result<(), RpcError> {
    let _turn = turn(&client).await?;
    let network = network(&client, &call.net).await?;
    if network.active {
        return Err(invalid("network is already active"));
    }
    done(client.host().network_start(&reference(&call.net)).await)?;
    client.server.hub.network(&handle(&network), Step::Started);
    Ok(())
}

/// Ends it whether or not guests have interfaces in it, as clients of libvirt are used to.
async fn stop(client: Arc<Client>, call: NetworkDestroy) -> Result<(), RpcError> {
    let _turn = turn(&client).await?;
    let network = network(&client, &call.net).await?;
    if !network.active {
        return Err(invalid(&format!("network '{}' is not active", network.name)));
    }
    done(client.host().network_stop(&reference(&call.net), true).await)?;
    client.server.hub.network(&handle(&network), Step::Stopped);
    Ok(())
}

/// One that is started stays until it is stopped.
async fn undefine(client: Arc<Client>, call: NetworkUndefine) -> Result<(), RpcError> {
    let _turn = turn(&client).await?;
    let network = network(&client, &call.net).await?;
    if !network.persistent {
        return Err(invalid("can't undefine transient network"));
    }
    let stays = IfStarted::StaysUntilStopped;
    done(client.host().network_undefine(&reference(&call.net), stays).await)?;
    client.server.hub.network(&handle(&network), Step::Undefined);
    Ok(())
}

pub(super) fn done<T>(result: Result<T, Error>) -> Result<(), RpcError> {
    result.map(drop).map_err(|error| failure::of_network(&error))
}

pub(super) fn invalid(detail: &str) -> RpcError {
    RpcError::new(codes::ERR_OPERATION_INVALID, codes::FROM_NETWORK, detail)
}
