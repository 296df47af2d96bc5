//! A guest that goes on in another QEMU while it runs.
//!
//! The side that receives activates its images only when its guest goes on ("late-block-activate"), and so takes their
//! locks only then. Until that moment the side that sends can have its guest back, and from then on it cannot: QEMU
//! itself keeps a guest with disks that are written to from running on both.

use hostler_sdk::{
    Command, Domain, Error, Fact, MigrationReport, MigrationState, Monitor, MonitorExt, ProblemExt, Process,
    Resources, RunState, Symbol, Value, fact, problem,
};
use serde_json::Value as Json;

use super::migration::{self, Progress};
use super::notes::{self, Note};
use super::{monitor_state, plan, restore, shares, start};

/// How long a guest may stand still at its end, if nobody says, in milliseconds: QEMU's own default.
const DOWNTIME_MS: u64 = 300;

/// Lets the guest begin to be written out while it runs.
///
/// # Errors
/// `conflict` for a guest that cannot go on; `unsupported` for one with something that QEMU cannot move; what the host or
/// the monitor answers.
pub(crate) fn begin(domain: &Domain, options: &[Fact]) -> Result<(), Error> {
    shares::refuse(domain, "moved")?;
    let monitor = domain.monitor()?;
    let state = monitor_state::ask(domain, &monitor)?;
    let hint = "a guest that sleeps has to be woken first; one that crashed or switched itself off has nothing to go on with";
    monitor_state::expect(domain, state, &[RunState::Running, RunState::Paused], hint)?;
    let bandwidth = option(options, "bandwidth")?.unwrap_or(migration::BANDWIDTH);
    let downtime = option(options, "downtime")?.unwrap_or(DOWNTIME_MS);
    notes::add(domain, if state == RunState::Running { Note::MovingRunning } else { Note::MovingPaused })?;
    let begun = set_up(&monitor, &[("events", true)], bandwidth, downtime)
        .and_then(|()| write(domain, &monitor))
        .map_err(explained);
    if begun.is_err() {
        notes::remove(domain, &[Note::MovingRunning, Note::MovingPaused])?;
    }
    begun
}

fn write(domain: &Domain, monitor: &Monitor) -> Result<(), Error> {
    let command = Command::new("migrate").with("uri", Symbol::Output);
    monitor.run_with(&command, domain, &mut Resources::default()).map(drop)
}

fn set_up(
    monitor: &Monitor,
    capabilities: &[(&str, bool)],
    bandwidth: u64,
    downtime: u64,
) -> Result<(), Error> {
    let capabilities = capabilities
        .iter()
        .map(|(name, on)| Value::mapping().with("capability", *name).with("state", *on))
        .collect();
    let commands = [
        Command::new("migrate-set-capabilities").with("capabilities", Value::Sequence(capabilities)),
        Command::new("migrate-set-parameters")
            .with("max-bandwidth", bandwidth)
            .with("downtime-limit", downtime),
    ];
    monitor.run_all(&commands).into_iter().try_for_each(|answer| answer.map(drop))
}

/// QEMU names what keeps a guest where it is, and it is the user who can do something about it.
fn explained(error: Error) -> Error {
    match error {
        Error::Hypervisor(told) => {
            problem("qemu.not-migratable", format!("QEMU cannot move this guest: {}", told.message))
                .hint("the guest goes on where it is; take out what QEMU names, or switch the guest off and define it there")
                .unsupported()
        }
        error => error,
    }
}

fn option(options: &[Fact], key: &str) -> Result<Option<u64>, Error> {
    let Some(option) = options.iter().find(|option| option.key == key) else { return Ok(None) };
    option.value.parse().map(Some).map_err(|_| {
        problem("qemu.migration-option", format!("'{}' is no number for '{key}'", option.value)).invalid()
    })
}

/// How it stands. Waits at most so long while the guest is copied.
///
/// # Errors
/// What the monitor answers.
pub(crate) fn report(domain: &Domain, timeout_ms: u64) -> Result<MigrationReport, Error> {
    let monitor = domain.monitor()?;
    let cursor = monitor.cursor();
    let told = told(&monitor)?;
    if told.state != MigrationState::Running || timeout_ms == 0 {
        return Ok(told);
    }
    let news = ["MIGRATION".to_owned()];
    monitor.wait_event(&news, cursor, timeout_ms)?;
    self::told(&monitor)
}

fn told(monitor: &Monitor) -> Result<MigrationReport, Error> {
    let answer: Json = serde_json::from_str(&monitor.run("query-migrate")?).unwrap_or_default();
    Ok(read(&answer))
}

fn read(answer: &Json) -> MigrationReport {
    let number = |path: &str| answer.pointer(path).and_then(Json::as_u64);
    let known = [
        ("memory-total", "/ram/total"),
        ("memory-left", "/ram/remaining"),
        ("transferred", "/ram/transferred"),
        ("downtime", "/downtime"),
        ("total-time", "/total-time"),
    ];
    MigrationReport {
        state: match migration::status(answer) {
            Progress::None => MigrationState::None,
            Progress::Active => MigrationState::Running,
            Progress::Completed => MigrationState::Done,
            Progress::Cancelled | Progress::Failed => MigrationState::Failed,
        },
        facts: known.iter().filter_map(|(key, path)| Some(fact(key, number(path)?.to_string()))).collect(),
        error: answer.get("error-desc").and_then(Json::as_str).map(str::to_owned),
    }
}

/// Lets the guest go on here, whatever was written of it.
///
/// # Errors
/// `conflict` when it runs elsewhere: its images are locked; what the monitor answers.
pub(crate) fn abandon(domain: &Domain) -> Result<(), Error> {
    let ran = notes::has(domain, Note::MovingRunning)?;
    if !ran && !notes::has(domain, Note::MovingPaused)? {
        return Ok(());
    }
    let monitor = domain.monitor()?;
    migration::cancel(&monitor)?;
    if ran && monitor_state::ask(domain, &monitor)? == RunState::Paused {
        monitor_state::run_and_wait(&monitor, "cont", &["RESUME"]).map_err(locked)?;
        domain.emit("resumed", &[]);
    }
    notes::remove(domain, &[Note::MovingRunning, Note::MovingPaused])
}

fn locked(error: Error) -> Error {
    match error {
        Error::Hypervisor(told) if told.message.contains("lock") => problem(
            "qemu.images-locked",
            format!("the guest cannot have its images back, something else uses them: {}", told.message),
        )
        .hint("if the guest runs at the destination, end what is left of it here: 'hostler destroy'")
        .conflict(),
        error => error,
    }
}

/// Starts a QEMU that waits for a guest.
///
/// # Errors
/// What a start fails of.
pub(crate) fn prepare(domain: &Domain) -> Result<(), Error> {
    let mut plan = plan::plan(domain)?;
    plan.launch.option("incoming", "defer");
    // Links that are down and the like are so before the guest comes.
    let (_, monitor) = start::launch(domain, plan, false)?;
    set_up(&monitor, &[("events", true), ("late-block-activate", true)], migration::BANDWIDTH, DOWNTIME_MS)
}

/// Reads the guest in. It is there and stopped when this returns.
///
/// # Errors
/// What QEMU says of the bytes.
pub(crate) fn receive(domain: &Domain) -> Result<(), Error> {
    let monitor = domain.monitor()?;
    let process = domain.process();
    migration::read_in(domain, &monitor).map_err(|error| unreadable(process.as_ref(), error))?;
    domain.emit("received", &[]);
    Ok(())
}

fn unreadable(process: Option<&Process>, error: Error) -> Error {
    let Some(why) = process.and_then(|process| restore::last_words(process, &error)) else { return error };
    problem("qemu.receive-failed", format!("QEMU cannot take the guest: {why}"))
        .hint("the machine has to be as it is there: same devices, same kind of processor, a QEMU that is not older")
        .hypervisor()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_has_what_qemu_tells_and_leaves_the_rest_out() {
        let answer =
            r#"{"status":"active","total-time":12,"ram":{"total":4096,"remaining":1,"transferred":9}}"#;
        let told = read(&serde_json::from_str(answer).unwrap());
        assert_eq!(told.state, MigrationState::Running);
        let keys: Vec<_> = told.facts.iter().map(|fact| (fact.key.as_str(), fact.value.as_str())).collect();
        assert_eq!(
            keys,
            [("memory-total", "4096"), ("memory-left", "1"), ("transferred", "9"), ("total-time", "12")]
        );
        let failed = read(&serde_json::from_str(r#"{"status":"failed","error-desc":"why"}"#).unwrap());
        assert_eq!((failed.state, failed.error.as_deref()), (MigrationState::Failed, Some("why")));
        assert_eq!(read(&Json::Null).state, MigrationState::None);
    }

    #[test]
    fn options_are_numbers() {
        assert_eq!(option(&[fact("bandwidth", "7")], "bandwidth").unwrap(), Some(7));
        assert_eq!(option(&[], "bandwidth").unwrap(), None);
        assert!(option(&[fact("bandwidth", "fast")], "bandwidth").is_err());
    }

    #[test]
    fn guest_that_cannot_have_its_images_back_is_told_of_with_what_to_do() {
        let told = problem("qmp.generic-error", "Failed to get \"write\" lock").hypervisor();
        assert!(matches!(locked(told), Error::Conflict(found) if found.code == "qemu.images-locked"));
        let blocked = problem("qmp.generic-error", "State blocked by non-migratable device 'x'").hypervisor();
        assert!(matches!(explained(blocked), Error::Unsupported(found) if found.message.contains("'x'")));
    }
}
