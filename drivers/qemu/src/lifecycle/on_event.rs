//! What the hypervisor says by itself.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::domain::clock::ClockOffset;
use hostler_sdk::{Domain, Event, Fact, Level, fact, log};
use serde_json::Value as Json;

use super::{hotplug, upkeep};

/// Members of an event's data that are passed on, where they are there.
const PASSED_ON: &[&str] =
    &["guest", "reason", "action", "device", "id", "operation", "tray-open", "node-name", "open"];

/// The event of a write that somebody waits for.
const THRESHOLD: &str = "BLOCK_WRITE_THRESHOLD";

/// Most bytes of one of them.
const FACT_BYTES: usize = 256;

/// Tells whoever listens. What the document says should follow has followed already: the shim has done it, by
/// the launch's reactions, whether anybody was attached or not.
pub(crate) fn on_event(domain: &Domain, event: &Event) {
    let Some(kind) = kind(&event.name) else {
        return log::write(Level::Trace, &format!("ignored the event {}", event.name), &[]);
    };
    let data: Json = serde_json::from_str(&event.data).unwrap_or_default();
    match event.name.as_str() {
        THRESHOLD => tell_threshold(domain, kind, &data),
        "BLOCK_IO_ERROR" => domain.emit(kind, &io_error(domain, &data)),
        "RTC_CHANGE" => domain.emit(kind, &clock(domain, &data)),
        "VSERPORT_CHANGE" => domain.emit(kind, &channel(domain, &data)),
        name if name.starts_with("VNC_") || name.starts_with("SPICE_") => domain.emit(kind, &viewer(&data)),
        _ => domain.emit(kind, &facts(&data)),
    }
}

/// A request of the guest that the host could not serve: on which of its disks, by what they are called.
fn io_error(domain: &Domain, data: &Json) -> Vec<Fact> {
    let mut facts = facts(data);
    // The words of the hypervisor's own are for people: this one is for programs.
    facts.retain(|fact| fact.key != "reason");
    if data.get("nospace").and_then(Json::as_bool) == Some(true) {
        facts.push(fact("reason", "enospc"));
    }
    let node = data.get("node-name").and_then(Json::as_str).unwrap_or_default();
    match upkeep::disk_of(domain, node) {
        Ok(Some((target, alias, image))) => {
            facts.extend([fact("disk", target), fact("alias", alias), fact("image", image)]);
        }
        other => log::write(Level::Debug, &format!("nobody knows the node {node:?}: {other:?}"), &[]),
    }
    facts
}

/// A clock that the guest has set: how many seconds it is off from where it began, and from the document's basis.
fn clock(domain: &Domain, data: &Json) -> Vec<Fact> {
    let offset = data.get("offset").and_then(Json::as_i64).unwrap_or_default();
    let began = match Document::parse(&domain.config()).map(|document| document.clock.offset) {
        Ok(ClockOffset::Variable { adjustment, .. }) => adjustment,
        _ => 0,
    };
    vec![fact("seconds", offset.saturating_add(began).to_string())]
}

/// A channel that something in the guest has opened or closed, by the name that it has there.
fn channel(domain: &Domain, data: &Json) -> Vec<Fact> {
    let mut facts = facts(data);
    let Ok(document) = Document::parse(&domain.config()) else { return facts };
    let Ok(aliases) = hotplug::aliases(domain, &document) else { return facts };
    let id = data.get("id").and_then(Json::as_str);
    let mut channels = document.devices.channels.iter();
    let named = channels.find(|channel| id.is_some() && aliases.get(channel.node) == id);
    let name = named.and_then(|channel| channel.target.name.clone());
    facts.extend(name.map(|name| fact("name", name)));
    facts
}

/// Who looks at a display (`VncServerInfo`, `VncClientInfo`, and those of SPICE).
fn viewer(data: &Json) -> Vec<Fact> {
    const SAID: &[(&str, &[&str])] = &[
        ("server-family", &["/server/family"]),
        ("server-host", &["/server/host"]),
        ("server-service", &["/server/service", "/server/port"]),
        ("client-family", &["/client/family"]),
        ("client-host", &["/client/host"]),
        ("client-service", &["/client/service", "/client/port"]),
        ("auth", &["/server/auth"]),
        ("x509-dname", &["/client/x509_dname"]),
        ("sasl-username", &["/client/sasl_username"]),
    ];
    let found = |places: &[&str]| places.iter().find_map(|place| data.pointer(place)?.as_str());
    let told = SAID.iter().filter_map(|(name, places)| Some((name, found(places)?)));
    told.map(|(name, value)| fact(name, short(value))).collect()
}

/// Tells where a guest has written behind what somebody wanted to be told of: by its disk and the layer, where they are known.
fn tell_threshold(domain: &Domain, kind: &str, data: &Json) {
    let number = |key: &str| data.get(key).and_then(Json::as_u64).unwrap_or_default().to_string();
    let node = data.get("node-name").and_then(Json::as_str).unwrap_or_default();
    match upkeep::place_of(domain, node) {
        Ok(Some((target, layer, image))) => domain.emit(
            kind,
            &[
                fact("disk", target),
                fact("layer", layer.to_string()),
                fact("image", image),
                fact("threshold", number("write-threshold")),
                fact("excess", number("amount-exceeded")),
            ],
        ),
        other => log::write(Level::Debug, &format!("nobody knows the node {node:?}: {other:?}"), &[]),
    }
}

/// What an event is called outside. Events that an operation waits for are told by that operation.
fn kind(event: &str) -> Option<&'static str> {
    Some(match event {
        "SHUTDOWN" => "guest-shut-down",
        "GUEST_PANICKED" => "guest-panicked",
        "WATCHDOG" => "watchdog",
        "BLOCK_IO_ERROR" => "io-error",
        "SUSPEND" => "guest-slept",
        "WAKEUP" => "guest-woke",
        "DEVICE_TRAY_MOVED" => "tray-moved",
        "DEVICE_DELETED" => "device-removed",
        "DEVICE_UNPLUG_GUEST_ERROR" => "device-removal-refused",
        "VSERPORT_CHANGE" => "channel-changed",
        "RTC_CHANGE" => "clock-changed",
        "VNC_CONNECTED" | "SPICE_CONNECTED" => "display-connected",
        "VNC_INITIALIZED" | "SPICE_INITIALIZED" => "display-authenticated",
        "VNC_DISCONNECTED" | "SPICE_DISCONNECTED" => "display-disconnected",
        THRESHOLD => "write-threshold",
        _ => return None,
    })
}

/// What of an event's data is passed on: untrusted text, and short.
fn facts(data: &Json) -> Vec<Fact> {
    let text = |value: &Json| match value {
        Json::String(text) => Some(text.clone()),
        Json::Bool(on) => Some(if *on { "yes" } else { "no" }.to_owned()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    };
    PASSED_ON.iter().filter_map(|key| Some(fact(key, short(&text(data.get(key)?)?)))).collect()
}

/// Untrusted text, cut to what a fact may have.
fn short(text: &str) -> String {
    text.chars().take(FACT_BYTES / 4).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_known_facts_are_passed_on() {
        let long = "x".repeat(10_000);
        let data = format!("{{\"guest\":true,\"reason\":\"{long}\",\"secret\":\"s\",\"action\":{{}}}}");
        let facts = facts(&serde_json::from_str(&data).unwrap());
        assert_eq!(facts.iter().map(|fact| fact.key.as_str()).collect::<Vec<_>>(), ["guest", "reason"]);
        assert!(facts.iter().all(|fact| fact.value.len() <= FACT_BYTES));
        assert!(super::facts(&Json::Null).is_empty());
    }
}
