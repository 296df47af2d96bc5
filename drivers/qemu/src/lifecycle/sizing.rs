//! More or less memory, more or fewer processors, while the guest runs.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::{
    Amounts, Command, Domain, Error, Monitor, MonitorExt, ProblemExt, Value, clock, fact, problem,
};
use serde_json::Value as Json;

use super::hotplug;

/// How long a guest may take to give memory back while somebody waits.
const PATIENCE_MS: u64 = 3_000;

/// What the guest has.
///
/// # Errors
/// What host and monitor answer.
pub(crate) fn read(domain: &Domain) -> Result<Amounts, Error> {
    amounts(domain, &domain.monitor()?)
}

fn amounts(domain: &Domain, monitor: &Monitor) -> Result<Amounts, Error> {
    let document = Document::parse(&domain.config())?;
    let mut answers = monitor.run_all(&["query-cpus-fast", "query-balloon"].map(Command::new)).into_iter();
    let cpus = json(&answers.next().unwrap_or_else(|| Ok(String::new()))?);
    let vcpus = cpus.as_array().map_or(0, Vec::len);
    // A machine without a balloon has all its memory.
    let balloon = answers.next().and_then(Result::ok).and_then(|answer| actual(&json(&answer)));
    let memory = balloon.unwrap_or(document.memory.0);
    Ok(Amounts { memory, vcpus: u32::try_from(vcpus).unwrap_or(u32::MAX) })
}

fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_default()
}

fn actual(told: &Json) -> Option<u64> {
    told.get("actual").and_then(Json::as_u64)
}

/// Asks the guest to do with so many bytes.
///
/// # Errors
/// `unsupported` without a balloon; what host and monitor answer.
pub(crate) fn set_memory(domain: &Domain, bytes: u64) -> Result<Amounts, Error> {
    let document = Document::parse(&domain.config())?;
    if document.devices.memballoon.as_ref().is_none_or(|balloon| balloon.model == "none") {
        let message = format!("the machine of '{}' has no balloon to take memory with", domain.name());
        return Err(problem("qemu.no-balloon", message)
            .hint("give it one, <memballoon model='virtio'/>, and start it anew")
            .unsupported());
    }
    let monitor = domain.monitor()?;
    let mut cursor = monitor.cursor();
    monitor.run_all(&[Command::new("balloon").with("value", bytes)]).pop().transpose()?;
    let until = clock::monotonic_ms().saturating_add(PATIENCE_MS);
    loop {
        let now = amounts(domain, &monitor)?;
        let left = until.saturating_sub(clock::monotonic_ms());
        if now.memory == bytes || left == 0 {
            domain.emit("memory-changed", &[fact("bytes", now.memory.to_string())]);
            return Ok(now);
        }
        // Without an event the next look is the last one.
        if let Some(event) = monitor.wait_event(&["BALLOON_CHANGE".to_owned()], cursor, left)? {
            cursor = event.cursor;
        }
    }
}

/// Plugs processors in or out until there are so many.
///
/// # Errors
/// `unsupported` for processors that stay; `hypervisor` for a guest that does not let go of one; what host and monitor
/// answer.
pub(crate) fn set_vcpus(domain: &Domain, count: u32) -> Result<Amounts, Error> {
    let monitor = domain.monitor()?;
    let processors = Processors::read(&json(&monitor.run("query-hotpluggable-cpus")?));
    let wanted = usize::try_from(count).unwrap_or(usize::MAX);
    let now = processors.0.iter().filter(|processor| processor.is_there()).count();
    if wanted > processors.0.len() {
        let message = format!("the machine has room for {} processors, not for {wanted}", processors.0.len());
        return Err(problem("qemu.vcpu-room", message).invalid());
    }
    for (place, processor) in processors.to_plug().take(wanted.saturating_sub(now)) {
        monitor.run_all(&[processor.plug(place)]).pop().transpose()?;
    }
    let leaving = processors.to_unplug(now.saturating_sub(wanted))?;
    if !leaving.is_empty() {
        require_kvm(&monitor)?;
    }
    for id in leaving {
        if !hotplug::is_let_go(&monitor, &id)? {
            break;
        }
    }
    let amounts = amounts(domain, &monitor)?;
    domain.emit("processors-changed", &[fact("count", amounts.vcpus.to_string())]);
    Ok(amounts)
}

/// Under translation QEMU keeps listening for changes of memory in the name of a processor that is gone, and ends at the next
/// one (seen with 7.2: a save after an unplug): the guest would be lost with a command that did what it said.
fn require_kvm(monitor: &Monitor) -> Result<(), Error> {
    if json(&monitor.run("query-kvm")?).get("enabled").and_then(Json::as_bool) == Some(true) {
        return Ok(());
    }
    Err(problem(
        "qemu.vcpu-translated",
        "QEMU may end later when a processor is taken from a guest that runs without KVM",
    )
    .hint("change the stored definition: --config, and start the domain anew")
    .unsupported())
}

/// Places for processors, in the order in which a machine fills them.
struct Processors(Vec<Processor>);

/// One place for a processor.
struct Processor {
    /// The model that fits.
    model: String,
    /// Where it is: `socket-id`, `core-id`, … by name.
    place: Vec<(String, i64)>,
    /// The object that is there.
    object: Option<String>,
}

/// The parts of a processor's place, from the largest to the smallest.
const PARTS: [&str; 6] = ["node-id", "socket-id", "die-id", "cluster-id", "core-id", "thread-id"];

/// What the path of a device begins with that was plugged in, and has a name.
const NAMED: &str = "/machine/peripheral/";

impl Processors {
    /// The answer to `query-hotpluggable-cpus`: untrusted.
    fn read(told: &Json) -> Self {
        let mut all: Vec<_> = told.as_array().into_iter().flatten().filter_map(Processor::read).collect();
        all.sort_by_key(Processor::order);
        Self(all)
    }

    /// Those that are not there, with their numbers.
    fn to_plug(&self) -> impl Iterator<Item = (usize, &Processor)> {
        self.0.iter().enumerate().filter(|(_, processor)| !processor.is_there())
    }

    /// The names of the last so many that are there.
    ///
    /// # Errors
    /// One of them was there from the start, and stays.
    fn to_unplug(&self, count: usize) -> Result<Vec<String>, Error> {
        let there = self.0.iter().rev().filter_map(|processor| processor.object.as_deref());
        there
            .take(count)
            .map(|object| {
                object.strip_prefix(NAMED).map(str::to_owned).ok_or_else(|| {
                    problem(
                        "qemu.vcpu-stays",
                        "a processor that was there at the start stays for as long as the guest runs",
                    )
                    .hint("change the stored definition: --config, and start the domain anew")
                    .unsupported()
                })
            })
            .collect()
    }
}

impl Processor {
    fn read(told: &Json) -> Option<Self> {
        let place = told.get("props")?.as_object()?;
        let place = PARTS.iter().filter_map(|part| Some(((*part).to_owned(), place.get(*part)?.as_i64()?)));
        Some(Self {
            model: told.get("type")?.as_str()?.to_owned(),
            place: place.collect(),
            object: told.get("qom-path").and_then(Json::as_str).map(str::to_owned),
        })
    }

    fn is_there(&self) -> bool {
        self.object.is_some()
    }

    fn order(&self) -> Vec<i64> {
        let part = |name: &&str| self.place.iter().find(|(part, _)| part == name).map_or(0, |(_, at)| *at);
        PARTS.iter().map(part).collect()
    }

    fn plug(&self, number: usize) -> Command {
        let command = Command::new("device_add")
            .with("driver", self.model.as_str())
            .with("id", format!("vcpu{number}"));
        self.place.iter().fold(command, |command, (part, at)| command.with(part, Value::Integer(*at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn processors() -> Processors {
        let at = |socket: u32, object: Option<&str>| {
            let mut told = json!({"type": "qemu64-x86_64-cpu", "vcpus-count": 1,
                "props": {"socket-id": socket, "core-id": 0, "thread-id": 0}});
            if let Some(object) = object {
                told["qom-path"] = json!(object);
            }
            told
        };
        Processors::read(&json!([
            at(3, None),
            at(2, None),
            at(1, Some("/machine/peripheral/vcpu1")),
            at(0, Some("/machine/unattached/device[0]")),
        ]))
    }

    #[test]
    fn next_place_is_filled_first_and_the_last_one_emptied() {
        let processors = processors();
        let (number, next) = processors.to_plug().next().unwrap();
        let arguments = next.plug(number).arguments.unwrap();
        assert_eq!(arguments.get("id"), Some(&Value::from("vcpu2")));
        assert_eq!(arguments.get("socket-id"), Some(&Value::Integer(2)));
        assert_eq!(processors.to_unplug(1).unwrap(), ["vcpu1"]);
        assert_eq!(processors.to_unplug(0).unwrap(), [""; 0]);
    }

    #[test]
    fn processor_of_the_start_stays() {
        let Err(Error::Unsupported(problem)) = processors().to_unplug(2) else { panic!("unplugged") };
        assert_eq!(problem.code, "qemu.vcpu-stays");
    }

    #[test]
    fn answer_that_is_none_has_no_places() {
        assert!(Processors::read(&json!({"props": 7})).0.is_empty());
        assert!(Processors::read(&json!([{"type": 7}, {"type": "x", "props": []}])).0.is_empty());
    }
}
