//! Devices of this machine. They are told of as they are, and nothing is done to any.

use std::sync::Arc;

use hostler_domains::NodeDevice;
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    ConnectListAllNodeDevicesAnswer, NodeDeviceGetAutostartAnswer, NodeDeviceGetParentAnswer,
    NodeDeviceGetXmlDesc, NodeDeviceGetXmlDescAnswer, NodeDeviceHandle, NodeDeviceIsActiveAnswer,
    NodeDeviceIsPersistentAnswer, NodeDeviceListCapsAnswer, NodeDeviceLookupByNameAnswer,
    NodeDeviceNumOfCapsAnswer, NodeListDevicesAnswer, NodeNumOfDevicesAnswer,
};
use hostler_rpc::xdr::List;

use super::{count, meets, only, unsupported};
use crate::access::object::Object;
use crate::client::Client;
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// What devices are, in the order of the flags that they are listed by.
const CAPABILITIES: [&str; 9] =
    ["system", "pci", "usb_device", "usb", "net", "scsi_host", "scsi_target", "scsi", "storage"];
/// The flags above them: of others that there are none of here.
const CAPABILITY_FLAGS: u32 = 0x003f_ffff;
/// Pairs of flags by which devices are listed: all are there, and all stay.
mod filter {
    pub(super) const PERSISTENT: u32 = 1 << 28;
    pub(super) const TRANSIENT: u32 = 1 << 29;
    pub(super) const INACTIVE: u32 = 1 << 30;
    pub(super) const ACTIVE: u32 = 1 << 31;
}

/// Why none is made or defined.
const NO_MEDIATED: &str = "only mediated devices are made, and this host makes none";
/// Why none is taken from the host's own drivers.
const NO_ASSIGNMENT: &str = "devices of the host are not given to guests by this version";

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        NodeNumOfDevices => async |client, call| {
            only(call.flags, 0, "virNodeNumOfDevices")?;
            Ok(NodeNumOfDevicesAnswer { num: count(with(&client, call.cap.as_deref()).await?.len()) })
        },
        NodeListDevices => async |client, call| {
            only(call.flags, 0, "virNodeListDevices")?;
            let room = usize::try_from(call.maxnames).unwrap_or(0);
            let devices = with(&client, call.cap.as_deref()).await?;
            Ok(NodeListDevicesAnswer { names: List(devices.into_iter().map(|device| device.name).take(room).collect()) })
        },
        ConnectListAllNodeDevices => async |client, call| {
            let devices = filtered(&client, call.flags).await?;
            let ret = count(devices.len());
            let devices = if call.need_results == 0 { Vec::new() } else { devices.into_iter().map(handle).collect() };
            Ok(ConnectListAllNodeDevicesAnswer { devices: List(devices), ret })
        },
        NodeDeviceLookupByName => async |client, call| {
            Ok(NodeDeviceLookupByNameAnswer { dev: handle(device(&client, &call.name).await?) })
        },
        NodeDeviceLookupScsiHostByWwn => async |_, call| missing(&format!(
            "no node device with matching wwnn '{}' and wwpn '{}'", call.wwnn, call.wwpn
        )),
        NodeDeviceGetXmlDesc => document,
        NodeDeviceGetParent => async |client, call| {
            Ok(NodeDeviceGetParentAnswer { parent_name: device(&client, &call.name).await?.parent })
        },
        NodeDeviceNumOfCaps => async |client, call| {
            Ok(NodeDeviceNumOfCapsAnswer { num: count(device(&client, &call.name).await?.capabilities.len()) })
        },
        NodeDeviceListCaps => async |client, call| {
            let room = usize::try_from(call.maxnames).unwrap_or(0);
            let capabilities = device(&client, &call.name).await?.capabilities;
            Ok(NodeDeviceListCapsAnswer { names: List(capabilities.into_iter().take(room).collect()) })
        },
        // Those that the kernel tells of are there, and come again by themselves.
        NodeDeviceIsActive => async |client, call| {
            device(&client, &call.name).await.map(|_| NodeDeviceIsActiveAnswer { active: 1 })
        },
        NodeDeviceIsPersistent => async |client, call| {
            device(&client, &call.name).await.map(|_| NodeDeviceIsPersistentAnswer { persistent: 1 })
        },
        NodeDeviceGetAutostart => async |client, call| {
            device(&client, &call.name).await.map(|_| NodeDeviceGetAutostartAnswer { autostart: 1 })
        },
        NodeDeviceSetAutostart => async |client, call| refused(&client, &call.name, NO_MEDIATED).await,
        NodeDeviceCreate => async |client, call| refused(&client, &call.name, NO_MEDIATED).await,
        NodeDeviceUndefine => async |client, call| refused(&client, &call.name, NO_MEDIATED).await,
        NodeDeviceDestroy => async |client, call| refused(&client, &call.name, NO_MEDIATED).await,
        NodeDeviceCreateXml => async |_, _| Err(unsupported(codes::FROM_NODEDEV, NO_MEDIATED)),
        NodeDeviceDefineXml => async |_, _| Err(unsupported(codes::FROM_NODEDEV, NO_MEDIATED)),
        NodeDeviceDettach => async |client, call| not_given(&client, &call.name).await,
        NodeDeviceDetachFlags => async |client, call| not_given(&client, &call.name).await,
        NodeDeviceReAttach => async |client, call| not_given(&client, &call.name).await,
        NodeDeviceReset => async |client, call| not_given(&client, &call.name).await,
    }
}

fn handle(device: NodeDevice) -> NodeDeviceHandle {
    NodeDeviceHandle { name: device.name }
}

const MISSING: (i32, i32) = (codes::ERR_NO_NODE_DEVICE, codes::FROM_NODEDEV);

fn missing<T>(detail: &str) -> Result<T, RpcError> {
    Err(RpcError::new(MISSING.0, MISSING.1, detail))
}

async fn device(client: &Client, name: &str) -> Result<NodeDevice, RpcError> {
    client.host().node_device(name).await.map_err(|error| failure::of_machine(&error, MISSING))
}

async fn all(client: &Client) -> Result<Vec<NodeDevice>, RpcError> {
    client.host().node_devices().await.map_err(|error| failure::of_machine(&error, MISSING))
}

/// Those that a client may be shown.
async fn seen(client: &Client) -> Result<Vec<NodeDevice>, RpcError> {
    let mut devices = all(client).await?;
    devices.retain(|device| client.sees("node_device.getattr", &Object::named(&device.name, None)));
    Ok(devices)
}

/// Those that are this; all where nothing is asked for.
async fn with(client: &Client, capability: Option<&str>) -> Result<Vec<NodeDevice>, RpcError> {
    let mut devices = seen(client).await?;
    devices
        .retain(|device| capability.is_none_or(|wanted| device.capabilities.iter().any(|one| one == wanted)));
    Ok(devices)
}

async fn filtered(client: &Client, flags: u32) -> Result<Vec<NodeDevice>, RpcError> {
    let stay = filter::PERSISTENT | filter::TRANSIENT | filter::INACTIVE | filter::ACTIVE;
    only(flags, CAPABILITY_FLAGS | stay, "virConnectListAllNodeDevices")?;
    let mut devices = seen(client).await?;
    let wanted = flags & CAPABILITY_FLAGS;
    let is_wanted = |name: &String| {
        let place = CAPABILITIES.iter().position(|capability| capability == name);
        place.is_some_and(|place| wanted >> place & 1 != 0)
    };
    devices.retain(|device| {
        (wanted == 0 || device.capabilities.iter().any(is_wanted))
            && meets(flags, (filter::PERSISTENT, filter::TRANSIENT), true)
            && meets(flags, (filter::ACTIVE, filter::INACTIVE), true)
    });
    Ok(devices)
}

async fn document(
    client: Arc<Client>,
    call: NodeDeviceGetXmlDesc,
) -> Result<NodeDeviceGetXmlDescAnswer, RpcError> {
    /// What is defined and not yet so: for devices that are there, it is the same.
    const INACTIVE: u32 = 1;
    only(call.flags, INACTIVE, "virNodeDeviceGetXMLDesc")?;
    Ok(NodeDeviceGetXmlDescAnswer { xml: device(&client, &call.name).await?.xml })
}

async fn refused<T>(client: &Client, name: &str, why: &str) -> Result<T, RpcError> {
    device(client, name).await?;
    Err(unsupported(codes::FROM_NODEDEV, why))
}

/// What is done to a device before a guest has it, or after: clients know this number from hosts without VFIO.
async fn not_given(client: &Client, name: &str) -> Result<(), RpcError> {
    device(client, name).await?;
    Err(RpcError::new(codes::ERR_ARGUMENT_UNSUPPORTED, codes::FROM_QEMU, NO_ASSIGNMENT))
}
