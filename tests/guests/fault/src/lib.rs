//! A driver that misbehaves on purpose, in the way its domain's name asks for.
//!
//! Only `start` misbehaves; every other call is ordinary, so that a test can show that driver and
//! domain still work afterwards. Each behaviour is a name in [`BEHAVIOURS`] and has a host test.

use hostler_sdk::{
    About, Description, Domain, Error, Event, Fact, Level, Lifecycle, ProblemExt, RunState, clock, log,
    problem,
};

struct Fault;

hostler_sdk::driver! { Fault, name: "fault", types: ["fault"], grants: [] }

/// Names of domains, and what starting one does.
pub const BEHAVIOURS: &[(&str, fn())] = &[
    ("trap", trap),
    ("loop", spin),
    ("memory", hoard_memory),
    ("recursion", overflow_stack),
    ("log-flood", flood_log),
    ("host-calls", storm_host),
];

/// What such a start does.
pub type Question = fn(&Domain) -> Result<(), Error>;

/// Names of domains whose start asks for what only an operation that changes a running guest has, or only a setting allows.
pub const QUESTIONS: &[(&str, Question)] =
    &[("next-config", keep_next), ("next-disk", open_next), ("deep-recursion", use_stack)];

impl About for Fault {
    fn describe() -> Description {
        Description { title: "misbehaves on purpose".to_owned(), facts: Vec::new() }
    }
}

impl Lifecycle for Fault {
    fn check(domain: &Domain) -> Result<String, Error> {
        Ok(domain.config())
    }
    fn start(domain: &Domain, _options: Vec<Fact>) -> Result<(), Error> {
        let name = domain.name();
        if let Some((_, ask)) = QUESTIONS.iter().find(|(known, _)| *known == name) {
            return ask(domain);
        }
        let behaviour = BEHAVIOURS.iter().find(|(known, _)| *known == name);
        let (_, behave) = behaviour
            .ok_or_else(|| problem("fault.unknown", format!("no behaviour is called '{name}'")).invalid())?;
        behave();
        Ok(())
    }
    fn shutdown(_domain: &Domain) -> Result<(), Error> {
        Ok(())
    }
    fn destroy(_domain: &Domain) -> Result<(), Error> {
        Ok(())
    }
    fn suspend(_domain: &Domain) -> Result<(), Error> {
        Ok(())
    }
    fn resume(_domain: &Domain) -> Result<(), Error> {
        Ok(())
    }
    fn reset(_domain: &Domain) -> Result<(), Error> {
        Ok(())
    }
    fn query(_domain: &Domain) -> Result<RunState, Error> {
        Ok(RunState::Off)
    }
    fn reattach(_domain: &Domain) -> Result<RunState, Error> {
        Ok(RunState::Off)
    }
    fn on_event(_domain: &Domain, _event: Event) -> Result<(), Error> {
        Ok(())
    }
    fn recovery_complete() {}
}

fn keep_next(domain: &Domain) -> Result<(), Error> {
    domain.put_state(domain.next_config()?.as_bytes())
}

fn open_next(domain: &Domain) -> Result<(), Error> {
    domain.next_disk("vda").map(drop)
}

fn trap() {
    std::process::abort();
}

fn spin() {
    let mut turns = 0_u64;
    while core::hint::black_box(turns) != u64::MAX {
        turns += 1;
    }
}

fn hoard_memory() {
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    loop {
        hoard.push(core::hint::black_box(vec![1; 1 << 20]));
    }
}

fn overflow_stack() {
    core::hint::black_box(recurse(0));
}

/// Goes some thousand calls deep, and comes back: more than the smallest stack that a policy can say, less than the largest.
fn use_stack(_: &Domain) -> Result<(), Error> {
    core::hint::black_box(descend(4_000));
    Ok(())
}

fn descend(depth: u64) -> u64 {
    match core::hint::black_box(depth) {
        0 => 0,
        depth => core::hint::black_box(descend(depth - 1)) + 1,
    }
}

#[expect(unconditional_recursion, reason = "overflowing the stack is what this is for")]
fn recurse(depth: u64) -> u64 {
    core::hint::black_box(recurse(core::hint::black_box(depth + 1)) + 1)
}

fn flood_log() {
    let line = "x".repeat(8 << 10);
    for _ in 0..200 {
        log::write(Level::Info, &line, &[]);
    }
}

fn storm_host() {
    loop {
        core::hint::black_box(clock::monotonic_ms());
    }
}
