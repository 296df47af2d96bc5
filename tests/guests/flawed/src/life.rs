//! The life cycle of an in-memory hypervisor, but for the rule that is broken. Notes are the state, and after a
//! semicolon what some flaws add to it.

use hostler_sdk::{Domain, Error, Event, ProblemExt, RunState, problem};

use crate::flaw::has;

pub(crate) fn state(domain: &Domain) -> Result<RunState, Error> {
    let notes = domain.state()?;
    Ok(match notes.split(|byte| *byte == b';').next().unwrap_or_default() {
        b"running" => RunState::Running,
        b"paused" => RunState::Paused,
        _ => RunState::Off,
    })
}

pub(crate) fn start(domain: &Domain, paused: bool) -> Result<(), Error> {
    let spent = has("life-once") && domain.state()? == b"off;spent";
    if (state(domain)? != RunState::Off && !has("state-starts-twice")) || spent {
        return conflict(domain);
    }
    become_state(domain, if paused && !has("life-ignores-paused") { "paused" } else { "running" })
}

pub(crate) fn shutdown(domain: &Domain) -> Result<(), Error> {
    match state(domain)? {
        RunState::Running if has("life-shutdown-pauses") => become_state(domain, "paused"),
        RunState::Running => become_state(domain, "off"),
        _ => not_when_off(domain),
    }
}

pub(crate) fn destroy(domain: &Domain) -> Result<(), Error> {
    match state(domain)? {
        RunState::Off if has("state-destroy-off-fails") => {
            Err(problem("flawed.off", "it is off").detail("element", "domain").invalid())
        }
        RunState::Off => Ok(()),
        RunState::Paused if has("life-destroy-leaves-paused") => Ok(()),
        _ => become_state(domain, if has("life-once") { "off;spent" } else { "off" }),
    }
}

pub(crate) fn suspend(domain: &Domain) -> Result<(), Error> {
    match state(domain)? {
        RunState::Running if has("life-suspend-does-nothing") => Ok(()),
        RunState::Running => become_state(domain, "paused"),
        RunState::Paused if has("state-suspend-twice-resumes") => become_state(domain, "running"),
        _ => not_when_off(domain),
    }
}

pub(crate) fn resume(domain: &Domain) -> Result<(), Error> {
    match state(domain)? {
        RunState::Paused => become_state(domain, "running"),
        RunState::Running if has("state-resume-twice-fails") => {
            Err(problem("flawed.runs", "it runs").detail("element", "domain").invalid())
        }
        RunState::Running => Ok(()),
        _ => not_when_off(domain),
    }
}

pub(crate) fn reset(domain: &Domain) -> Result<(), Error> {
    match state(domain)? {
        RunState::Off => not_when_off(domain),
        _ if has("life-reset-ends") => become_state(domain, "off"),
        _ => Ok(()),
    }
}

pub(crate) fn reattach(domain: &Domain) -> Result<RunState, Error> {
    let found = state(domain)?;
    if has("recovery-forgets") {
        return Ok(RunState::Off);
    }
    if has("recovery-off-fails") && found == RunState::Off {
        return Err(problem("flawed.off", "it is off").conflict());
    }
    if has("recovery-disturbs") && found == RunState::Running {
        domain.put_state(b"running;taken over")?;
    }
    Ok(found)
}

pub(crate) fn on_event(domain: &Domain, event: &Event) -> Result<(), Error> {
    let found = state(domain)?;
    if has("event-unknown-fails") && event.name.starts_with("CONFORMANCE") {
        return Err(problem("flawed.event", "what is that").unsupported());
    }
    if has("event-trusts-data") && !event.data.starts_with('{') {
        std::process::abort();
    }
    if has("event-counts") && found == RunState::Running && event.name == "WATCHDOG" {
        let mut notes = domain.state()?;
        notes.extend_from_slice(b";one more");
        domain.put_state(&notes)?;
    }
    if has("event-revives") && found == RunState::Off && event.name == "RESUME" {
        return become_state(domain, "running");
    }
    Ok(())
}

fn become_state(domain: &Domain, state: &str) -> Result<(), Error> {
    domain.put_state(state.as_bytes())
}

fn not_when_off(domain: &Domain) -> Result<(), Error> {
    if has("state-ignores-off") { Ok(()) } else { conflict(domain) }
}

fn conflict(domain: &Domain) -> Result<(), Error> {
    Err(problem("domain.state", format!("the domain '{}' is not in the state for it", domain.name()))
        .conflict())
}
