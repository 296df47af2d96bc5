//! Secrets. No message that is logged has a value in it, and none is kept after it was answered.

use std::sync::Arc;

use hostler_domains::{SecretRef, SecretSummary, SecretValue};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    ConnectListAllSecretsAnswer, ConnectListSecretsAnswer, ConnectNumOfSecretsAnswer, SecretDefineXml,
    SecretDefineXmlAnswer, SecretGetValue, SecretGetValueAnswer, SecretGetXmlDesc, SecretGetXmlDescAnswer,
    SecretHandle, SecretLookupByUsage, SecretLookupByUsageAnswer, SecretLookupByUuidAnswer, SecretSetValue,
    SecretUndefine,
};
use hostler_rpc::xdr::{List, Opaque};
use uuid::Uuid;

use super::{count, meets, only};
use crate::access::object::Object;
use crate::client::Client;
use crate::dispatch::{Incoming, Work, routes};
use crate::events::objects::Step;
use crate::failure;

/// Pairs of flags by which secrets are listed.
mod filter {
    pub(super) const EPHEMERAL: u32 = 1;
    pub(super) const NO_EPHEMERAL: u32 = 2;
    pub(super) const PRIVATE: u32 = 4;
    pub(super) const NO_PRIVATE: u32 = 8;
}

/// Kinds of use, in the order of their numbers.
const USAGES: [&str; 6] = ["none", "volume", "ceph", "iscsi", "tls", "vtpm"];

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        ConnectNumOfSecrets => async |client, _| {
            Ok(ConnectNumOfSecretsAnswer { num: count(seen(&client).await?.len()) })
        },
        ConnectListSecrets => async |client, call| {
            let room = usize::try_from(call.maxuuids).unwrap_or(0);
            let secrets = seen(&client).await?;
            let uuids = secrets.iter().map(|secret| secret.uuid.to_string()).take(room).collect();
            Ok(ConnectListSecretsAnswer { uuids: List(uuids) })
        },
        ConnectListAllSecrets => async |client, call| {
            let secrets = filtered(&client, call.flags).await?;
            let ret = count(secrets.len());
            let secrets = if call.need_results == 0 { Vec::new() } else { secrets.iter().map(handle).collect() };
            Ok(ConnectListAllSecretsAnswer { secrets: List(secrets), ret })
        },
        SecretLookupByUuid => async |client, call| {
            Ok(SecretLookupByUuidAnswer { secret: handle(&secret(&client, call.uuid).await?) })
        },
        SecretLookupByUsage => by_usage,
        SecretDefineXml => define,
        SecretGetXmlDesc => document,
        SecretSetValue => set_value,
        SecretGetValue => value,
        SecretUndefine => undefine,
    }
}

/// How the library is asked for a secret. Only its identifier is believed.
fn reference(secret: &SecretHandle) -> SecretRef {
    SecretRef::new(Uuid::from_bytes(secret.uuid).to_string())
}

/// How a client is told of a secret.
fn handle(secret: &SecretSummary) -> SecretHandle {
    let number = USAGES.iter().position(|usage| *usage == secret.usage);
    let usage_type = number.and_then(|number| i32::try_from(number).ok()).unwrap_or(0);
    SecretHandle { uuid: *secret.uuid.as_bytes(), usage_type, usage_id: secret.usage_id.clone() }
}

async fn all(client: &Client) -> Result<Vec<SecretSummary>, RpcError> {
    client.host().secret_list().await.map_err(|error| failure::of_secret(&error))
}

/// Those that a client may be shown.
async fn seen(client: &Client) -> Result<Vec<SecretSummary>, RpcError> {
    let mut secrets = all(client).await?;
    secrets.retain(|secret| client.sees("secret.getattr", &Object::secret(secret.uuid, &secret.usage_id)));
    Ok(secrets)
}

async fn secret(client: &Client, uuid: [u8; 16]) -> Result<SecretSummary, RpcError> {
    let found = all(client).await?.into_iter().find(|secret| *secret.uuid.as_bytes() == uuid);
    found.ok_or_else(|| missing(&format!("no secret with matching uuid '{}'", Uuid::from_bytes(uuid))))
}

fn missing(detail: &str) -> RpcError {
    RpcError::new(codes::ERR_NO_SECRET, codes::FROM_SECRET, detail)
}

async fn filtered(client: &Client, flags: u32) -> Result<Vec<SecretSummary>, RpcError> {
    let known = filter::EPHEMERAL | filter::NO_EPHEMERAL | filter::PRIVATE | filter::NO_PRIVATE;
    only(flags, known, "virConnectListAllSecrets")?;
    let mut secrets = seen(client).await?;
    secrets.retain(|secret| {
        meets(flags, (filter::EPHEMERAL, filter::NO_EPHEMERAL), secret.ephemeral)
            && meets(flags, (filter::PRIVATE, filter::NO_PRIVATE), secret.private)
    });
    Ok(secrets)
}

async fn by_usage(
    client: Arc<Client>,
    call: SecretLookupByUsage,
) -> Result<SecretLookupByUsageAnswer, RpcError> {
    let found = all(&client).await?.into_iter().map(|secret| handle(&secret)).find(|secret| {
        secret.usage_type == call.usage_type && secret.usage_id == call.usage_id && call.usage_type != 0
    });
    let secret =
        found.ok_or_else(|| missing(&format!("no secret with matching usage '{}'", call.usage_id)))?;
    Ok(SecretLookupByUsageAnswer { secret })
}

async fn define(client: Arc<Client>, call: SecretDefineXml) -> Result<SecretDefineXmlAnswer, RpcError> {
    const VALIDATE: u32 = 1;
    only(call.flags, VALIDATE, "virSecretDefineXML")?;
    let defined = client.host().secret_define(&call.xml).await;
    let secret = handle(&defined.map_err(|error| failure::of_secret(&error))?.summary);
    client.server.hub.secret(&secret, Step::Defined);
    Ok(SecretDefineXmlAnswer { secret })
}

async fn document(client: Arc<Client>, call: SecretGetXmlDesc) -> Result<SecretGetXmlDescAnswer, RpcError> {
    only(call.flags, 0, "virSecretGetXMLDesc")?;
    secret(&client, call.secret.uuid).await?;
    let xml = client.host().secret_xml(&reference(&call.secret)).await;
    xml.map(|xml| SecretGetXmlDescAnswer { xml }).map_err(|error| failure::of_secret(&error))
}

async fn set_value(client: Arc<Client>, call: SecretSetValue) -> Result<(), RpcError> {
    let value = SecretValue::new(call.value.0);
    only(call.flags, 0, "virSecretSetValue")?;
    secret(&client, call.secret.uuid).await?;
    let set = client.host().secret_set(&reference(&call.secret), value).await;
    let secret = handle(&set.map_err(|error| failure::of_secret(&error))?);
    client.server.hub.secret_value(&secret);
    Ok(())
}

async fn value(client: Arc<Client>, call: SecretGetValue) -> Result<SecretGetValueAnswer, RpcError> {
    only(call.flags, 0, "virSecretGetValue")?;
    secret(&client, call.secret.uuid).await?;
    let value = client.host().secret_get(&reference(&call.secret)).await;
    let value = value.map_err(|error| failure::of_secret(&error))?;
    Ok(SecretGetValueAnswer { value: Opaque(value.to_vec()) })
}

async fn undefine(client: Arc<Client>, call: SecretUndefine) -> Result<(), RpcError> {
    let secret = handle(&secret(&client, call.secret.uuid).await?);
    let gone = client.host().secret_undefine(&reference(&secret)).await;
    gone.map_err(|error| failure::of_secret(&error))?;
    client.server.hub.secret(&secret, Step::Undefined);
    Ok(())
}
