//! An in-memory hypervisor: the shortest complete driver.
//!
//! It starts no process. A domain's run state is the driver's own note, which the host keeps; so it
//! "runs" across commands, restarts and upgrades like any other, and serves to try everything above
//! the drivers without a hypervisor.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::{
    About, Description, Domain, Error, Event, Fact, Level, Lifecycle, ProblemExt, RunState, log, problem,
};

struct Test;

hostler_sdk::driver! { Test, name: "test", types: ["test"], grants: [] }

impl About for Test {
    fn describe() -> Description {
        Description { title: "in-memory test hypervisor".to_owned(), facts: Vec::new() }
    }
}

impl Lifecycle for Test {
    fn check(domain: &Domain) -> Result<String, Error> {
        let config = domain.config();
        read(&config)?;
        Ok(config)
    }

    fn start(domain: &Domain, options: Vec<Fact>) -> Result<(), Error> {
        read(&domain.config())?;
        expect(domain, &[RunState::Off])?;
        let paused = options.iter().any(|option| option.key == "paused" && option.value == "yes");
        become_state(domain, if paused { RunState::Paused } else { RunState::Running }, "started")
    }

    fn shutdown(domain: &Domain) -> Result<(), Error> {
        expect(domain, &[RunState::Running])?;
        become_state(domain, RunState::Off, "stopped")
    }

    fn destroy(domain: &Domain) -> Result<(), Error> {
        become_state(domain, RunState::Off, "stopped")
    }

    fn suspend(domain: &Domain) -> Result<(), Error> {
        expect(domain, &[RunState::Running])?;
        become_state(domain, RunState::Paused, "suspended")
    }

    fn resume(domain: &Domain) -> Result<(), Error> {
        expect(domain, &[RunState::Paused])?;
        become_state(domain, RunState::Running, "resumed")
    }

    fn reset(domain: &Domain) -> Result<(), Error> {
        expect(domain, &[RunState::Running, RunState::Paused])?;
        domain.emit("reset", &[]);
        Ok(())
    }

    fn query(domain: &Domain) -> Result<RunState, Error> {
        match domain.state()?.as_slice() {
            b"" | b"off" => Ok(RunState::Off),
            b"running" => Ok(RunState::Running),
            b"paused" => Ok(RunState::Paused),
            other => Err(problem(
                "test.notes-unreadable",
                format!("unknown run state {:?}", String::from_utf8_lossy(other)),
            )
            .hint("destroy the domain to start anew")
            .conflict()),
        }
    }

    fn reattach(domain: &Domain) -> Result<RunState, Error> {
        Self::query(domain)
    }

    fn on_event(_domain: &Domain, event: Event) -> Result<(), Error> {
        // Nothing here emits events of a hypervisor; whoever sends one should learn that it was seen.
        log::write(Level::Debug, &format!("ignored the event {}", event.name), &[]);
        Ok(())
    }

    fn recovery_complete() {}
}

/// Reads a document, which has to be one for this driver.
fn read(config: &str) -> Result<Document, Error> {
    let document = Document::parse(config)?;
    let kind = document.kind.as_str();
    if Test::takes(kind) {
        return Ok(document);
    }
    let line = document.document().position(document.document().root()).line;
    Err(problem("test.domain-type", format!("<domain type='{kind}'> is for another driver"))
        .hint("use <domain type='test'>")
        .detail("line", line.to_string())
        .detail("element", "domain")
        .unsupported())
}

fn expect(domain: &Domain, wanted: &[RunState]) -> Result<(), Error> {
    let found = Test::query(domain)?;
    if wanted.contains(&found) {
        return Ok(());
    }
    Err(problem("domain.state", format!("the domain '{}' is {}", domain.name(), word(found))).conflict())
}

fn become_state(domain: &Domain, state: RunState, kind: &str) -> Result<(), Error> {
    domain.put_state(word(state).as_bytes())?;
    domain.emit(kind, &[]);
    Ok(())
}

fn word(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Paused => "paused",
        RunState::Off
        | RunState::Starting
        | RunState::ShuttingDown
        | RunState::Crashed
        | RunState::Sleeping => "off",
    }
}
