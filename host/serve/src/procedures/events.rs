//! What clients want to be told.

use std::sync::Arc;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    ConnectDomainEventCallbackRegisterAny, ConnectDomainEventCallbackRegisterAnyAnswer,
    ConnectNetworkEventRegisterAnyAnswer, ConnectNodeDeviceEventRegisterAnyAnswer,
    ConnectSecretEventRegisterAnyAnswer, ConnectStoragePoolEventRegisterAnyAnswer,
};
use uuid::Uuid;

use crate::client::Client;
use crate::dispatch::{Incoming, Work, routes};
use crate::events::meaning::kind;
use crate::events::objects::{self, Topic};

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        ConnectDomainEventCallbackRegisterAny => register,
        ConnectDomainEventCallbackDeregisterAny => async |client, call| remove(&client, call.callback_id),
        ConnectNetworkEventRegisterAny => async |client, call| {
            let about = call.net.map(|net| net.uuid);
            let callback_id = add(&client, Topic::Network(call.event_id), (call.event_id, "network"), about)?;
            Ok(ConnectNetworkEventRegisterAnyAnswer { callback_id })
        },
        ConnectNetworkEventDeregisterAny => async |client, call| remove(&client, call.callback_id),
        ConnectStoragePoolEventRegisterAny => async |client, call| {
            let about = call.pool.map(|pool| pool.uuid);
            let callback_id = add(&client, Topic::Pool(call.event_id), (call.event_id, "storage pool"), about)?;
            Ok(ConnectStoragePoolEventRegisterAnyAnswer { callback_id })
        },
        ConnectStoragePoolEventDeregisterAny => async |client, call| remove(&client, call.callback_id),
        // Nobody tells this host of devices that come and go.
        ConnectNodeDeviceEventRegisterAny => async |client, call| {
            let callback_id = add(&client, Topic::Never, (call.event_id, "node device"), None)?;
            Ok(ConnectNodeDeviceEventRegisterAnyAnswer { callback_id })
        },
        ConnectNodeDeviceEventDeregisterAny => async |client, call| remove(&client, call.callback_id),
        ConnectSecretEventRegisterAny => async |client, call| {
            let about = call.secret.map(|secret| secret.uuid);
            let callback_id = add(&client, Topic::Secret(call.event_id), (call.event_id, "secret"), about)?;
            Ok(ConnectSecretEventRegisterAnyAnswer { callback_id })
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

/// Notes what is wanted of things that are no domains.
fn add(
    client: &Client,
    topic: Topic,
    (event, what): (i32, &str),
    about: Option<[u8; 16]>,
) -> Result<i32, RpcError> {
    if !(objects::kind::LIFECYCLE..=objects::kind::LAST).contains(&event) {
        let detail = format!("unsupported {what} event ID {event}");
        return Err(RpcError::new(codes::ERR_INTERNAL_ERROR, codes::FROM_EVENT, detail));
    }
    client.callbacks.add_topic(topic, about.map(Uuid::from_bytes))
}
