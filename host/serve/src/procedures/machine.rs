//! What is done to the machine of a guest: interrupts, waking it, what follows its events.

use std::sync::Arc;

use hostler_domains::{LifecycleEvent, NativeSource};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    ConnectDomainXmlToNative, ConnectDomainXmlToNativeAnswer, DomainInjectNmi, DomainPmWakeup,
    DomainSetLifecycleAction,
};

use super::sizing::scope;
use super::{invalid, only};
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainInjectNmi => interrupt,
        DomainPmWakeup => wake,
        DomainSetLifecycleAction => set_action,
        ConnectDomainXmlToNative => to_native,
    }
}

async fn interrupt(client: Arc<Client>, call: DomainInjectNmi) -> Result<(), RpcError> {
    only(call.flags, 0, "virDomainInjectNMI")?;
    let (domain, _job) = client.change(&call.dom).await?;
    if domain.run_number.is_none() {
        return Err(invalid("domain is not running"));
    }
    client.host().interrupt(&reference(&domain)).await.map_err(|error| failure::of_domain(&error))
}

async fn wake(client: Arc<Client>, call: DomainPmWakeup) -> Result<(), RpcError> {
    only(call.flags, 0, "virDomainPMWakeup")?;
    let (domain, _job) = client.change(&call.dom).await?;
    if domain.run_number.is_none() {
        return Err(invalid("domain is not running"));
    }
    client.host().wake(&reference(&domain)).await.map_err(|error| failure::of_domain(&error))
}

async fn set_action(client: Arc<Client>, call: DomainSetLifecycleAction) -> Result<(), RpcError> {
    const EVENTS: [LifecycleEvent; 3] =
        [LifecycleEvent::PowerOff, LifecycleEvent::Reboot, LifecycleEvent::Crash];
    const ACTIONS: [&str; 6] =
        ["destroy", "restart", "rename-restart", "preserve", "coredump-destroy", "coredump-restart"];
    only(call.flags, 3, "virDomainSetLifecycleAction")?;
    let wrong = |what: &str| {
        RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_DOMAIN, format!("there is no such {what}"))
    };
    let at = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let event = EVENTS.get(at(call.r#type)).copied().ok_or_else(|| wrong("lifecycle type"))?;
    let action = ACTIONS.get(at(call.action)).copied().ok_or_else(|| wrong("lifecycle action"))?;
    if event != LifecycleEvent::Crash && action.starts_with("coredump") {
        return Err(wrong("action for this event"));
    }
    let (domain, _job) = client.change(&call.dom).await?;
    if scope(call.flags, &domain)?.live {
        let detail =
            "what follows the events of a guest is decided when it starts; change its stored definition";
        return Err(RpcError::new(codes::ERR_OPERATION_UNSUPPORTED, codes::FROM_QEMU, detail));
    }
    let set = client.host().set_lifecycle_action(&reference(&domain), event, action).await;
    set.map_err(|error| failure::of_domain(&error))
}

async fn to_native(
    client: Arc<Client>,
    call: ConnectDomainXmlToNative,
) -> Result<ConnectDomainXmlToNativeAnswer, RpcError> {
    only(call.flags, 0, "virConnectDomainXMLToNative")?;
    if call.native_format != "qemu-argv" {
        let detail = format!("unsupported config type {}", call.native_format);
        return Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail));
    }
    let shown = client.host().native(NativeSource::Xml(call.domain_xml), false).await;
    let shown = shown.map_err(|error| failure::of_domain(&error))?.program;
    let environment = shown.env.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
    let words: Vec<_> = environment.chain(shown.argv.iter().map(|word| quoted(word))).collect();
    Ok(ConnectDomainXmlToNativeAnswer { native_config: words.join(" ") + "\n" })
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./:=,+@%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        assert_eq!(
            (quoted("-m").as_str(), quoted("").as_str(), quoted("it's").as_str()),
            ("-m", "''", "'it'\\''s'")
        );
    }
}
