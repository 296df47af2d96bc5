//! What the hypervisor says by itself.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::{Command, Domain, Error, Event, Fact, Level, MonitorExt, fact, log};

use super::reactions;

/// Members of an event's data that are passed on, where they are there.
const PASSED_ON: &[&str] =
    &["guest", "reason", "action", "device", "id", "operation", "tray-open", "node-name"];

/// Most bytes of one of them.
const FACT_BYTES: usize = 256;

/// Tells whoever listens, and answers where the document says what follows.
///
/// # Errors
/// What the monitor answers, except that the hypervisor has ended.
pub(crate) fn on_event(domain: &Domain, event: &Event) -> Result<(), Error> {
    match kind(&event.name) {
        Some(kind) => domain.emit(kind, &facts(&event.data)),
        None => log::write(Level::Trace, &format!("ignored the event {}", event.name), &[]),
    }
    if is_answered(event) { react(domain, &event.name) } else { Ok(()) }
}

/// Whether the document says what follows: not when it was the host that ended the hypervisor.
fn is_answered(event: &Event) -> bool {
    match event.name.as_str() {
        "SHUTDOWN" => {
            let data: serde_json::Value = serde_json::from_str(&event.data).unwrap_or_default();
            let reason = data.get("reason").and_then(serde_json::Value::as_str);
            // A reset by the host is the document's business too, where a reboot ends the domain.
            data.get("guest").and_then(serde_json::Value::as_bool) == Some(true)
                || reason == Some("host-qmp-system-reset")
        }
        name => name == "GUEST_PANICKED",
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

fn react(domain: &Domain, event: &str) -> Result<(), Error> {
    let document = Document::parse(&domain.config())?;
    let Some((_, commands)) = reactions::reactions(&document).into_iter().find(|(name, _)| *name == event)
    else {
        return Ok(());
    };
    let commands: Vec<_> = commands.iter().map(|command| Command::new(command)).collect();
    let monitor = match domain.monitor() {
        // The shim answered while nobody was attached, and the hypervisor has ended.
        Err(Error::Conflict(_)) => return Ok(()),
        other => other?,
    };
    for answer in monitor.run_all(&commands) {
        match answer {
            Err(Error::Conflict(_)) => return Ok(()),
            other => other.map(drop)?,
        }
    }
    Ok(())
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
    fn only_what_the_guest_did_is_answered() {
        let event =
            |name: &str, data: &str| Event { cursor: 1, name: name.to_owned(), data: data.to_owned() };
        assert!(is_answered(&event("SHUTDOWN", "{\"guest\":true,\"reason\":\"guest-shutdown\"}")));
        assert!(!is_answered(&event("SHUTDOWN", "{\"guest\":false,\"reason\":\"host-signal\"}")));
        assert!(!is_answered(&event("SHUTDOWN", "nonsense")));
        let reset = "{\"guest\":false,\"reason\":\"host-qmp-system-reset\"}";
        assert!(is_answered(&event("SHUTDOWN", reset)));
        assert!(is_answered(&event("GUEST_PANICKED", "{}")));
        assert!(!is_answered(&event("STOP", "{}")));
    }

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
