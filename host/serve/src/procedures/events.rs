//! What clients want to be told.

use std::sync::Arc;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    ConnectDomainEventCallbackRegisterAny, ConnectDomainEventCallbackRegisterAnyAnswer,
    ConnectNetworkEventRegisterAnyAnswer, ConnectNodeDeviceEventRegisterAnyAnswer,
    ConnectSecretEventRegisterAnyAnswer, ConnectStoragePoolEventRegisterAnyAnswer,
};

use crate::client::Client;
use crate::dispatch::{Incoming, Work, routes};
use crate::events::meaning::kind;

/// A kind for what is wanted and does not happen here yet: nothing is ever told of it.
const NEVER: i32 = -1;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        ConnectDomainEventCallbackRegisterAny => register,
        ConnectDomainEventCallbackDeregisterAny => async |client, call| remove(&client, call.callback_id),
        ConnectNetworkEventRegisterAny => async |client, _| {
            Ok(ConnectNetworkEventRegisterAnyAnswer { callback_id: client.callbacks.add(NEVER, None)? })
        },
        ConnectNetworkEventDeregisterAny => async |client, call| remove(&client, call.callback_id),
        ConnectStoragePoolEventRegisterAny => async |client, _| {
            Ok(ConnectStoragePoolEventRegisterAnyAnswer { callback_id: client.callbacks.add(NEVER, None)? })
        },
        ConnectStoragePoolEventDeregisterAny => async |client, call| remove(&client, call.callback_id),
        ConnectNodeDeviceEventRegisterAny => async |client, _| {
            Ok(ConnectNodeDeviceEventRegisterAnyAnswer { callback_id: client.callbacks.add(NEVER, None)? })
        },
        ConnectNodeDeviceEventDeregisterAny => async |client, call| remove(&client, call.callback_id),
        ConnectSecretEventRegisterAny => async |client, _| {
            Ok(ConnectSecretEventRegisterAnyAnswer { callback_id: client.callbacks.add(NEVER, None)? })
        },
        ConnectSecretEventDeregisterAny => async |client, call| remove(&client, call.callback_id),
    }
}

async fn register(
    client: Arc<Client>,
    call: ConnectDomainEventCallbackRegisterAny,
) -> Result<ConnectDomainEventCallbackRegisterAnyAnswer, RpcError> {
    if !(kind::LIFECYCLE..=kind::LAST).contains(&call.event_id) {
        let detail = format!("unsupported event ID {}", call.event_id);
        return Err(RpcError::new(codes::ERR_INTERNAL_ERROR, codes::FROM_EVENT, detail));
    }
    let domain = match &call.dom {
        Some(dom) => Some(client.domain(dom).await?.uuid),
        None => None,
    };
    let callback_id = client.callbacks.add(call.event_id, domain)?;
    Ok(ConnectDomainEventCallbackRegisterAnyAnswer { callback_id })
}

fn remove(client: &Client, number: i32) -> Result<(), RpcError> {
    client.callbacks.remove(number)
}
