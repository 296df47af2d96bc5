//! Network interfaces of this machine: they are told of, and changed by the tools of the system.

use std::sync::Arc;

use hostler_domains::HostInterface;
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    ConnectListAllInterfacesAnswer, ConnectListDefinedInterfacesAnswer, ConnectListInterfacesAnswer,
    ConnectNumOfDefinedInterfacesAnswer, ConnectNumOfInterfacesAnswer, InterfaceGetXmlDesc,
    InterfaceGetXmlDescAnswer, InterfaceHandle, InterfaceIsActiveAnswer, InterfaceLookupByMacString,
    InterfaceLookupByMacStringAnswer, InterfaceLookupByNameAnswer,
};
use hostler_rpc::xdr::List;

use super::{count, meets, only};
use crate::access::object::Object;
use crate::client::Client;
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// The pair of flags by which interfaces are listed.
mod filter {
    pub(super) const INACTIVE: u32 = 1;
    pub(super) const ACTIVE: u32 = 2;
}

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        ConnectListAllInterfaces => async |client, call| {
            only(call.flags, filter::INACTIVE | filter::ACTIVE, "virConnectListAllInterfaces")?;
            let found = filtered(&client, call.flags).await?;
            let ret = count(found.len());
            let ifaces = if call.need_results == 0 { Vec::new() } else { found.into_iter().map(handle).collect() };
            Ok(ConnectListAllInterfacesAnswer { ifaces: List(ifaces), ret })
        },
        ConnectNumOfInterfaces => async |client, _| {
            Ok(ConnectNumOfInterfacesAnswer { num: count(filtered(&client, filter::ACTIVE).await?.len()) })
        },
        ConnectListInterfaces => async |client, call| {
            Ok(ConnectListInterfacesAnswer { names: names(&client, filter::ACTIVE, call.maxnames).await? })
        },
        ConnectNumOfDefinedInterfaces => async |client, _| {
            Ok(ConnectNumOfDefinedInterfacesAnswer { num: count(filtered(&client, filter::INACTIVE).await?.len()) })
        },
        ConnectListDefinedInterfaces => async |client, call| {
            Ok(ConnectListDefinedInterfacesAnswer { names: names(&client, filter::INACTIVE, call.maxnames).await? })
        },
        InterfaceLookupByName => async |client, call| {
            Ok(InterfaceLookupByNameAnswer { iface: handle(interface(&client, &call.name).await?) })
        },
        InterfaceLookupByMacString => by_mac,
        InterfaceGetXmlDesc => document,
        InterfaceIsActive => async |client, call| {
            let active = interface(&client, &call.iface.name).await?.active;
            Ok(InterfaceIsActiveAnswer { active: i32::from(active) })
        },
        InterfaceDefineXml => async |_, _| read_only("virInterfaceDefineXML"),
        InterfaceUndefine => async |_, _| read_only("virInterfaceUndefine"),
        InterfaceCreate => async |_, _| read_only("virInterfaceCreate"),
        InterfaceDestroy => async |_, _| read_only("virInterfaceDestroy"),
        InterfaceChangeBegin => async |_, _| read_only("virInterfaceChangeBegin"),
        InterfaceChangeCommit => async |_, _| read_only("virInterfaceChangeCommit"),
        InterfaceChangeRollback => async |_, _| read_only("virInterfaceChangeRollback"),
    }
}

/// What changes an interface of the host is not served: clients know this answer from hosts that have no tool for it.
fn read_only<T>(function: &str) -> Result<T, RpcError> {
    Err(RpcError::new(codes::ERR_NO_SUPPORT, codes::FROM_INTERFACE, function))
}

const MISSING: (i32, i32) = (codes::ERR_NO_INTERFACE, codes::FROM_INTERFACE);

fn handle(interface: HostInterface) -> InterfaceHandle {
    InterfaceHandle { name: interface.name, mac: interface.mac }
}

async fn all(client: &Client) -> Result<Vec<HostInterface>, RpcError> {
    client.host().host_interfaces().await.map_err(|error| failure::of_machine(&error, MISSING))
}

async fn interface(client: &Client, name: &str) -> Result<HostInterface, RpcError> {
    client.host().host_interface(name).await.map_err(|error| failure::of_machine(&error, MISSING))
}

async fn filtered(client: &Client, flags: u32) -> Result<Vec<HostInterface>, RpcError> {
    let mut found = all(client).await?;
    found.retain(|interface| {
        client.sees("interface.getattr", &Object::named(&interface.name, None))
            && meets(flags, (filter::ACTIVE, filter::INACTIVE), interface.active)
    });
    Ok(found)
}

async fn names(client: &Client, flags: u32, room: i32) -> Result<List<String, 16_384>, RpcError> {
    let room = usize::try_from(room).unwrap_or(0);
    Ok(List(filtered(client, flags).await?.into_iter().map(|interface| interface.name).take(room).collect()))
}

async fn by_mac(
    client: Arc<Client>,
    call: InterfaceLookupByMacString,
) -> Result<InterfaceLookupByMacStringAnswer, RpcError> {
    let mut found = all(&client).await?;
    found.retain(|interface| interface.mac.eq_ignore_ascii_case(&call.mac));
    match (found.pop(), found.is_empty()) {
        (Some(interface), true) => Ok(InterfaceLookupByMacStringAnswer { iface: handle(interface) }),
        (Some(_), false) => {
            let detail = format!("several interfaces have the address '{}'", call.mac);
            Err(RpcError::new(codes::ERR_MULTIPLE_INTERFACES, codes::FROM_INTERFACE, detail))
        }
        (None, _) => {
            let detail = format!("couldn't find interface with MAC address '{}'", call.mac);
            Err(RpcError::new(MISSING.0, MISSING.1, detail))
        }
    }
}

async fn document(
    client: Arc<Client>,
    call: InterfaceGetXmlDesc,
) -> Result<InterfaceGetXmlDescAnswer, RpcError> {
    const INACTIVE: u32 = 1;
    only(call.flags, INACTIVE, "virInterfaceGetXMLDesc")?;
    Ok(InterfaceGetXmlDescAnswer { xml: interface(&client, &call.iface.name).await?.xml })
}
