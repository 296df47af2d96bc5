//! What this host has none of: lists that are empty, and names that are not found.

use std::sync::Arc;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    ConnectListAllInterfacesAnswer, ConnectListAllNodeDevicesAnswer, ConnectListAllNwfilterBindingsAnswer,
    ConnectListAllNwfiltersAnswer, ConnectListAllSecretsAnswer, ConnectNumOfDefinedInterfacesAnswer,
    ConnectNumOfInterfacesAnswer, ConnectNumOfNwfiltersAnswer, ConnectNumOfSecretsAnswer,
    NodeDeviceLookupByName, NodeNumOfDevicesAnswer, SecretLookupByUsage, SecretLookupByUuid,
};
use hostler_rpc::xdr::List;
use uuid::Uuid;

use crate::client::Client;
use crate::dispatch::{Incoming, Work, routes};

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        ConnectListAllInterfaces => async |_, _| Ok(ConnectListAllInterfacesAnswer { ifaces: List(Vec::new()), ret: 0 }),
        ConnectNumOfInterfaces => async |_, _| Ok(ConnectNumOfInterfacesAnswer { num: 0 }),
        ConnectNumOfDefinedInterfaces => async |_, _| Ok(ConnectNumOfDefinedInterfacesAnswer { num: 0 }),
        ConnectListAllNodeDevices => async |_, _| Ok(ConnectListAllNodeDevicesAnswer { devices: List(Vec::new()), ret: 0 }),
        NodeNumOfDevices => async |_, _| Ok(NodeNumOfDevicesAnswer { num: 0 }),
        ConnectListAllNwfilters => async |_, _| Ok(ConnectListAllNwfiltersAnswer { filters: List(Vec::new()), ret: 0 }),
        ConnectNumOfNwfilters => async |_, _| Ok(ConnectNumOfNwfiltersAnswer { num: 0 }),
        ConnectListAllNwfilterBindings => async |_, _| Ok(ConnectListAllNwfilterBindingsAnswer { bindings: List(Vec::new()), ret: 0 }),
        ConnectListAllSecrets => async |_, _| Ok(ConnectListAllSecretsAnswer { secrets: List(Vec::new()), ret: 0 }),
        ConnectNumOfSecrets => async |_, _| Ok(ConnectNumOfSecretsAnswer { num: 0 }),
        NodeDeviceLookupByName => device_by_name,
        SecretLookupByUuid => secret_by_uuid,
        SecretLookupByUsage => secret_by_usage,
    }
}

/// Nothing is found, whatever the answer to what would be found is.
fn none<T>(code: i32, origin: i32, detail: String) -> Result<T, RpcError> {
    Err(RpcError::new(code, origin, detail))
}

async fn device_by_name<T>(_: Arc<Client>, call: NodeDeviceLookupByName) -> Result<T, RpcError> {
    let detail = format!("no node device with matching name '{}'", call.name);
    none(codes::ERR_NO_NODE_DEVICE, codes::FROM_NODEDEV, detail)
}

async fn secret_by_uuid<T>(_: Arc<Client>, call: SecretLookupByUuid) -> Result<T, RpcError> {
    let detail = format!("no secret with matching uuid '{}'", Uuid::from_bytes(call.uuid));
    none(codes::ERR_NO_SECRET, codes::FROM_SECRET, detail)
}

async fn secret_by_usage<T>(_: Arc<Client>, call: SecretLookupByUsage) -> Result<T, RpcError> {
    let detail = format!("no secret with matching usage '{}'", call.usage_id);
    none(codes::ERR_NO_SECRET, codes::FROM_SECRET, detail)
}
