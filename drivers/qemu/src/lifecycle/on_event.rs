//! What the hypervisor says by itself.

use hostler_sdk::{Domain, Event, Fact, Level, fact, log};

use super::upkeep;

/// Members of an event's data that are passed on, where they are there.
const PASSED_ON: &[&str] =
    &["guest", "reason", "action", "device", "id", "operation", "tray-open", "node-name"];

/// The event of a write that somebody waits for.
const THRESHOLD: &str = "BLOCK_WRITE_THRESHOLD";

/// Most bytes of one of them.
const FACT_BYTES: usize = 256;

/// Tells whoever listens. What the document says should follow has followed already: the shim has done it, by
/// the launch's reactions, whether anybody was attached or not.
pub(crate) fn on_event(domain: &Domain, event: &Event) {
    if event.name == THRESHOLD {
        return tell_threshold(domain, &event.data);
    }
    match kind(&event.name) {
        Some(kind) => domain.emit(kind, &facts(&event.data)),
        None => log::write(Level::Trace, &format!("ignored the event {}", event.name), &[]),
    }
}

/// Tells where a guest has written behind what somebody wanted to be told of: by its disk and the layer, where they are known.
fn tell_threshold(domain: &Domain, data: &str) {
    let Ok(data) = serde_json::from_str::<serde_json::Value>(data) else { return };
    let number =
        |key: &str| data.get(key).and_then(serde_json::Value::as_u64).unwrap_or_default().to_string();
    let node = data.get("node-name").and_then(serde_json::Value::as_str).unwrap_or_default();
    match upkeep::place_of(domain, node) {
        Ok(Some((target, layer, image))) => domain.emit(
            "write-threshold",
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
        "VSERPORT_CHANGE" => "channel-changed",
        _ => return None,
    })
}

/// What of an event's data is passed on: untrusted text, and short.
fn facts(data: &str) -> Vec<Fact> {
    let Ok(data) = serde_json::from_str::<serde_json::Value>(data) else { return Vec::new() };
    let short = |text: String| text.chars().take(FACT_BYTES / 4).collect::<String>();
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Bool(on) => Some(if *on { "yes" } else { "no" }.to_owned()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    PASSED_ON.iter().filter_map(|key| Some(fact(key, short(text(data.get(key)?)?)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_known_facts_are_passed_on() {
        let long = "x".repeat(10_000);
        let data = format!("{{\"guest\":true,\"reason\":\"{long}\",\"secret\":\"s\",\"action\":{{}}}}");
        let facts = facts(&data);
        assert_eq!(facts.iter().map(|fact| fact.key.as_str()).collect::<Vec<_>>(), ["guest", "reason"]);
        assert!(facts.iter().all(|fact| fact.value.len() <= FACT_BYTES));
        assert!(super::facts("not json").is_empty());
    }
}
