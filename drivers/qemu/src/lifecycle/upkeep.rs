//! Small services on a running guest.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::{Command, Domain, Error, Monitor, MonitorExt, ProblemExt, RunState, Value, problem};
use serde_json::Value as Json;

use super::monitor_state;
use super::nodes::{self, DiskNodes};
use super::statistics::balloon_path;

/// What the names of commands begin with that only read.
const READS: &str = "query-";
/// Longest measurement of a guest's writes, in seconds: QEMU's own bound.
const MEASURED_SECONDS: u32 = 60;

/// Asks QEMU what only reads.
///
/// # Errors
/// `denied` for another command; `invalid` for arguments that are no JSON object; what the monitor answers.
pub(crate) fn ask(domain: &Domain, question: &str, arguments: &str) -> Result<String, Error> {
    if !question.starts_with(READS) {
        let message =
            format!("'{question}' is no question: a guest is only changed by what the host knows of");
        let problem = problem("qemu.no-question", message);
        return Err(Error::Denied(problem.hint("commands whose name begins with 'query-' are passed on")));
    }
    let monitor = domain.monitor()?;
    let command = Command { name: question.to_owned(), arguments: arguments_of(arguments)? };
    run(&monitor, command)
}

/// The arguments of a question, as values.
fn arguments_of(text: &str) -> Result<Option<Value>, Error> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let parsed: Json = serde_json::from_str(text).unwrap_or_default();
    if !parsed.is_object() {
        return Err(problem("qemu.arguments", "the arguments of a question are a JSON object").invalid());
    }
    value(&parsed).map(Some)
}

fn value(json: &Json) -> Result<Value, Error> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(on) => Value::from(*on),
        Json::Number(number) => Value::Integer(
            number
                .as_i64()
                .ok_or_else(|| problem("qemu.arguments", format!("{number} is no whole number")).invalid())?,
        ),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::Sequence(items.iter().map(value).collect::<Result<_, _>>()?),
        Json::Object(members) => {
            let pairs = members.iter().map(|(key, member)| Ok((key.clone(), value(member)?)));
            Value::Mapping(pairs.collect::<Result<_, Error>>()?)
        }
    })
}

fn run(monitor: &Monitor, command: Command) -> Result<String, Error> {
    monitor.run_all(&[command]).pop().unwrap_or_else(|| Ok(String::new()))
}

/// Interrupts all processors.
///
/// # Errors
/// What the monitor answers.
pub(crate) fn interrupt(domain: &Domain) -> Result<(), Error> {
    domain.monitor()?.run("inject-nmi").map(drop)
}

/// Wakes the guest.
///
/// # Errors
/// `conflict` when it does not sleep; what the monitor answers.
pub(crate) fn wake(domain: &Domain) -> Result<(), Error> {
    let monitor = domain.monitor()?;
    let state = monitor_state::ask(domain, &monitor)?;
    monitor_state::expect(domain, state, &[RunState::Sleeping], "only a guest that sleeps is woken")?;
    monitor.run("system_wakeup").map(drop)
}

/// How often the guest's balloon tells what it counts.
///
/// # Errors
/// `unsupported` without a balloon; what the monitor answers.
pub(crate) fn count_memory(domain: &Domain, seconds: u32) -> Result<(), Error> {
    let document = Document::parse(&domain.config())?;
    let Some(path) = balloon_path(&document) else {
        let message = format!("the machine of '{}' has no balloon that counts", domain.name());
        return Err(problem("qemu.no-balloon", message)
            .hint("give it one, <memballoon model='virtio'/>, and start it anew")
            .unsupported());
    };
    let command = Command::new("qom-set")
        .with("path", path)
        .with("property", "guest-stats-polling-interval")
        .with("value", u64::from(seconds));
    run(&domain.monitor()?, command).map(drop)
}

/// Has a write told that goes behind so many bytes.
///
/// # Errors
/// `not-found` for a disk or layer that there is not; what the monitor answers.
pub(crate) fn watch_writes(domain: &Domain, target: &str, layer: u32, bytes: u64) -> Result<(), Error> {
    let monitor = domain.monitor()?;
    let node = DiskNodes::of(domain, &monitor, target)?.storage(layer, &nodes::counted(&monitor)?)?;
    let command =
        Command::new("block-set-write-threshold").with("node-name", node).with("write-threshold", bytes);
    run(&monitor, command).map(drop)
}

/// The disk and the layer whose bytes a node holds, and what that is.
///
/// # Errors
/// What the host or the monitor answers.
pub(super) fn place_of(domain: &Domain, node: &str) -> Result<Option<(String, u32, String)>, Error> {
    let monitor = domain.monitor()?;
    let told = nodes::counted(&monitor)?;
    for disk in DiskNodes::all(domain, &monitor)? {
        for (layer, described) in (0_u32..).zip(&disk.layers) {
            if disk.storage(layer, &told).is_ok_and(|own| own == node) {
                return Ok(Some((disk.disk.target.to_string(), layer, described.description.clone())));
            }
        }
    }
    Ok(None)
}

/// The disk whose device uses a node: its target, its alias, and what its active layer is.
///
/// # Errors
/// What the host or the monitor answers.
pub(super) fn disk_of(domain: &Domain, node: &str) -> Result<Option<(String, String, String)>, Error> {
    let monitor = domain.monitor()?;
    let found = DiskNodes::all(domain, &monitor)?.find(|disk| disk.root().is_ok_and(|root| root == node));
    Ok(found.map(|disk| {
        let image = disk.layers.first().map(|layer| layer.description.clone()).unwrap_or_default();
        (disk.disk.target.to_string(), disk.alias, image)
    }))
}

/// Begins to measure how fast the guest writes to its memory.
///
/// # Errors
/// `invalid` for a time that QEMU does not measure; what the monitor answers.
pub(crate) fn measure_writes(domain: &Domain, seconds: u32) -> Result<(), Error> {
    if !(1..=MEASURED_SECONDS).contains(&seconds) {
        let message = format!("writes are measured for 1 to {MEASURED_SECONDS} s, not for {seconds}");
        return Err(problem("qemu.measured", message).invalid());
    }
    let command = Command::new("calc-dirty-rate").with("calc-time", u64::from(seconds));
    run(&domain.monitor()?, command).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_an_object_or_nothing() {
        assert_eq!(arguments_of(" ").unwrap(), None);
        let flat = arguments_of(r#"{"flat": true, "list": [1, "a", null]}"#).unwrap().unwrap();
        assert_eq!(flat.get("flat"), Some(&Value::from(true)));
        for wrong in ["[1]", "7", "{", r#"{"a": 1.5}"#] {
            assert!(matches!(arguments_of(wrong), Err(Error::Invalid(_))), "{wrong}");
        }
    }
}
