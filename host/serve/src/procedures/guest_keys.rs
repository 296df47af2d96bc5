//! The keys by which users get into a guest over ssh, asked of the agent in it and changed by it.

use std::sync::Arc;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    DomainAuthorizedSshKeysGet, DomainAuthorizedSshKeysGetAnswer, DomainAuthorizedSshKeysSet,
};
use hostler_rpc::xdr::List;
use serde_json::{Value, json};

use super::guest_agent::asked;
use super::only;
use crate::client::Client;
use crate::dispatch::{Incoming, Work, routes};

/// Most keys of an answer that are passed on, and the longest of them, in bytes: libvirt's own bound for a list.
const KEYS: usize = 2_048;
const KEY_BYTES: usize = 16 << 10;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainAuthorizedSshKeysGet => keys,
        DomainAuthorizedSshKeysSet => set_keys,
    }
}

async fn keys(
    client: Arc<Client>,
    call: DomainAuthorizedSshKeysGet,
) -> Result<DomainAuthorizedSshKeysGetAnswer, RpcError> {
    only(call.flags, 0, "virDomainAuthorizedSSHKeysGet")?;
    let arguments = json!({"username": call.user});
    let told = asked(&client, &call.dom, "guest-ssh-get-authorized-keys", Some(arguments)).await?;
    Ok(DomainAuthorizedSshKeysGetAnswer { keys: List(keys_in(&told)) })
}

/// The keys of an answer: a guest's, so each is one line and of a length that can be.
fn keys_in(told: &Value) -> Vec<String> {
    let listed = told.get("keys").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let whole = listed.filter(|key| key.len() <= KEY_BYTES && !key.contains(char::is_control));
    whole.take(KEYS).map(str::to_owned).collect()
}

async fn set_keys(client: Arc<Client>, call: DomainAuthorizedSshKeysSet) -> Result<(), RpcError> {
    const APPEND: u32 = 1;
    const REMOVE: u32 = 2;
    only(call.flags, APPEND | REMOVE, "virDomainAuthorizedSSHKeysSet")?;
    let keys = &call.keys.0;
    let wrong = |detail: &str| Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail));
    match call.flags {
        flags if flags == APPEND | REMOVE => return wrong("keys are added or removed, not both"),
        APPEND | REMOVE if keys.is_empty() => return wrong("no key is named"),
        _ => {}
    }
    let (command, arguments) = match call.flags {
        REMOVE => ("guest-ssh-remove-authorized-keys", json!({"username": call.user, "keys": keys})),
        flags => (
            "guest-ssh-add-authorized-keys",
            json!({"username": call.user, "keys": keys, "reset": flags & APPEND == 0}),
        ),
    };
    asked(&client, &call.dom, command, Some(arguments)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_guest_are_lines() {
        let told = json!({"keys": ["ssh-ed25519 AAAA a@b", "two\nlines", 7, "k".repeat(KEY_BYTES + 1)]});
        assert_eq!(keys_in(&told), ["ssh-ed25519 AAAA a@b"]);
        assert!(keys_in(&json!({"keys": "x"})).is_empty() && keys_in(&Value::Null).is_empty());
        let many = json!({"keys": vec!["k"; KEYS + 1]});
        assert_eq!(keys_in(&many).len(), KEYS);
    }
}
