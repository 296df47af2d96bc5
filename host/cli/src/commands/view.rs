//! Shows the answers of the host that several commands have in common: domains, chains, drivers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hostler_domains::{Confinement, DomainSummary, DriverSummary, LayerSummary, RunState};
use serde::Serialize;
use serde_json::Value;

use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::output::colour::Tone;
use crate::output::table::{Cell, Facts, Table};
use crate::output::{Block, Reply, quantity};

/// The JSON of an answer.
pub(super) fn to_json(answer: &impl Serialize) -> Result<Value, Stop> {
    serde_json::to_value(answer).map_err(|error| {
        Failure::new("cli.json", Exit::Failed, "the answer cannot be written as JSON").cause(&error).into()
    })
}

/// The reply of a command that changed what one domain does.
pub(super) fn changed(summary: &DomainSummary) -> Result<Reply, Stop> {
    Ok(Reply::confirmation(to_json(summary)?, vec![Block::Line(sentence(summary))]))
}

/// `domain 'web' is running (pid 4711)`.
pub(super) fn sentence(summary: &DomainSummary) -> String {
    let mut text = format!("domain '{}' is {}", summary.name, summary.state.word());
    if let Some(pid) = summary.pid {
        text.push_str(&format!(" (pid {pid})"));
    }
    if let Some(reason) = &summary.reason {
        text.push_str(&format!(": {reason}"));
        text.push_str(&as_of(summary).unwrap_or_default());
    }
    text
}

/// The state, in the tone that its meaning has.
pub(super) fn state(state: RunState) -> Cell {
    let tone = match state {
        RunState::Running => Tone::Good,
        RunState::Paused | RunState::Sleeping | RunState::Starting | RunState::ShuttingDown => Tone::Warning,
        RunState::Crashed | RunState::Quarantined => Tone::Bad,
        RunState::Off => Tone::Faint,
    };
    Cell::new(state.word()).tone(tone)
}

/// How long a domain has been up, from the clock of this host; none when that has been set back since.
pub(super) fn uptime(started_unix_ms: Option<u64>) -> Option<String> {
    let started = UNIX_EPOCH.checked_add(Duration::from_millis(started_unix_ms?))?;
    SystemTime::now().duration_since(started).ok().map(quantity::span)
}

/// How old what is said of a domain is, where that is not from now.
pub(super) fn as_of(summary: &DomainSummary) -> Option<String> {
    uptime(summary.as_of_unix_ms).map(|age| format!("; it was so {age} ago"))
}

/// Why a domain does what it does, and how old that is.
pub(super) fn reason(summary: &DomainSummary) -> Option<String> {
    summary.reason.as_ref().map(|reason| format!("{reason}{}", as_of(summary).unwrap_or_default()))
}

/// Whether a domain stays when it is off, and comes back by itself.
pub(super) fn kind(summary: &DomainSummary) -> &'static str {
    match (summary.persistent, summary.autostart) {
        (true, true) => "autostart",
        (true, false) => "persistent",
        (false, _) => "transient",
    }
}

/// What confines a hypervisor, in a few words.
pub(super) fn confinement(found: &Confinement) -> Cell {
    let report = match found {
        Confinement::None => return Cell::new("none: not caged").tone(Tone::Bad),
        Confinement::Cage(report) => report,
    };
    let network = if report.host_network { "the host's network" } else { "no network" };
    let shown = format!("user {}, private namespaces, {network}", report.uid);
    match report.landlock_abi {
        0 => Cell::new(format!("{shown}, without Landlock")).tone(Tone::Warning),
        abi => Cell::new(format!("{shown}, Landlock {abi}")),
    }
}

/// What a start has to warn of.
pub(super) fn weakness(name: &str, found: &Confinement) -> Option<String> {
    match found {
        Confinement::None => Some(format!(
            "'{name}' is not caged: a guest that takes its hypervisor over has all the rights of the user who started it"
        )),
        Confinement::Cage(report) if report.landlock_abi == 0 => {
            Some(format!("the cage of '{name}' is without Landlock; its other walls stand"))
        }
        Confinement::Cage(_) => None,
    }
}

/// The layers of a chain, the active one first.
pub(super) fn layers(layers: &[LayerSummary]) -> Table {
    let mut table = Table::new()
        .numbers("LAYER")
        .words("FORMAT")
        .words("ACCESS")
        .numbers("VIRTUAL")
        .numbers("ON DISK")
        .words("BELOW")
        .words("FLAGS")
        .prose("PATH");
    for (index, layer) in layers.iter().enumerate() {
        let flags = layer.flags.join(",");
        table.row(vec![
            Cell::new(index.to_string()),
            Cell::new(&layer.format),
            Cell::new(if layer.read_only { "read-only" } else { "read-write" }),
            Cell::new(quantity::size(layer.virtual_size)),
            Cell::new(quantity::size(layer.allocated)),
            Cell::new(layer.below.map_or_else(|| "nothing".to_owned(), |below| below.to_string())),
            Cell::optional(Some(flags.as_str()).filter(|flags| !flags.is_empty())).tone(Tone::Warning),
            Cell::new(layer.path.to_string_lossy()),
        ]);
    }
    table
}

/// What a driver is and what it may do.
pub(super) fn driver(driver: &DriverSummary) -> Facts {
    let mut facts = Facts::new();
    facts.add("driver", format!("{} {} ({})", driver.name, driver.version, driver.title));
    facts.add("digest", &driver.digest);
    facts.add("component", format!("{}, {}", driver.path.display(), quantity::size(driver.size)));
    facts.add("contract", &driver.contract);
    facts.add("domain types", driver.domain_types.join(", "));
    facts.add("abilities", or_none(&driver.abilities));
    facts.add("granted", or_none(&driver.granted));
    if !driver.denied.is_empty() {
        facts.add("denied", Cell::new(driver.denied.join(", ")).tone(Tone::Warning));
    }
    facts.add("code", if driver.cached { "from the cache" } else { "compiled now" });
    facts
}

fn or_none(words: &[String]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
pub(super) mod samples {
    //! Answers of the host for the tests of this folder.

    use super::*;

    pub(in crate::commands) fn summary(name: &str, state: RunState) -> DomainSummary {
        DomainSummary {
            name: name.into(),
            uuid: "5d4e2ee3-5a0a-4a1c-9d0c-7f6a3e0b9a11".parse().unwrap(),
            state,
            reason: None,
            as_of_unix_ms: None,
            autostart: false,
            persistent: true,
            driver: "qemu".into(),
            pid: state.is_active().then_some(4711),
            started_unix_ms: None,
            memory_bytes: 512 << 20,
            current_memory_bytes: 512 << 20,
            vcpus: 2,
            current_vcpus: 2,
        }
    }

    pub(in crate::commands) fn chain() -> Vec<LayerSummary> {
        let layer = |path: &str, format: &str, read_only, below| LayerSummary {
            path: path.into(),
            format: format.into(),
            virtual_size: 2 << 30,
            allocated: 200 << 10,
            read_only,
            below,
            flags: Vec::new(),
        };
        vec![layer("/srv/web.qcow2", "qcow2", false, Some(1)), layer("/srv/base.img", "raw", true, None)]
    }

    pub(in crate::commands) fn driver() -> DriverSummary {
        DriverSummary {
            name: "qemu".into(),
            version: "0.1.0".into(),
            contract: "0.1.0".into(),
            digest: "sha256:00ff".into(),
            path: "/drivers/qemu.wasm".into(),
            origin: hostler_domains::DriverOrigin::Directory,
            hidden: false,
            pinned: false,
            signer: None,
            size: 1 << 20,
            title: "QEMU".into(),
            domain_types: vec!["kvm".into(), "qemu".into()],
            granted: vec!["process:qemu-system-x86_64".into()],
            denied: Vec::new(),
            abilities: vec!["native-config".into()],
            cached: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentence_tells_state_process_and_reason() {
        let mut summary = samples::summary("web", RunState::Running);
        assert_eq!(sentence(&summary), "domain 'web' is running (pid 4711)");
        summary.reason = Some("the shim is gone".into());
        summary.state = RunState::Quarantined;
        assert_eq!(sentence(&summary), "domain 'web' is quarantined (pid 4711): the shim is gone");
    }

    #[test]
    fn layers_say_what_lies_below() {
        let expected = "\
LAYER  FORMAT  ACCESS      VIRTUAL  ON DISK  BELOW    FLAGS  PATH
    0  qcow2   read-write    2 GiB  200 KiB  1        -      /srv/web.qcow2
    1  raw     read-only     2 GiB  200 KiB  nothing  -      /srv/base.img
";
        assert_eq!(layers(&samples::chain()).render(None, false), expected);
    }

    #[test]
    fn uptime_is_unknown_when_the_clock_was_set_back() {
        assert_eq!(uptime(Some(u64::MAX)), None);
        assert_eq!(uptime(None), None);
        assert!(uptime(Some(0)).is_some_and(|up| up.contains(" d ")));
    }
}
