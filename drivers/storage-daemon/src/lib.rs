//! The storage daemon driver: a domain's disks, served over NBD by a `qemu-storage-daemon` of its own.
//!
//! There is no guest. Each disk is exported under its target name, on the socket `nbd.sock` in the domain's directory for
//! sockets; with `<readonly/>` to be read, otherwise to be written too. A suspended domain serves nothing, and has its
//! images open.

mod document;
mod launch;
mod serving;

use std::slice;

use hostler_sdk::{
    About, Description, Domain, Error, Event, Fact, Level, Lifecycle, NativeConfig, ProblemExt, Resources,
    RunState, fact, log, problem,
};

/// How long the daemon may take to write out what clients wrote, before it is killed.
const END_TIMEOUT_MS: u64 = 10_000;

struct StorageDaemon;

hostler_sdk::driver! {
    StorageDaemon,
    name: "storage-daemon",
    types: ["storage-daemon"],
    grants: ["process:qemu-storage-daemon", "qmp", "storage"],
    abilities: [native_config],
}

impl About for StorageDaemon {
    fn describe() -> Description {
        Description { title: "disks over NBD".to_owned(), facts: vec![fact("program", launch::TEMPLATE)] }
    }
}

impl Lifecycle for StorageDaemon {
    fn check(domain: &Domain) -> Result<String, Error> {
        let config = domain.config();
        document::read(&config)?;
        Ok(config)
    }

    fn start(domain: &Domain, options: Vec<Fact>) -> Result<(), Error> {
        let paused = options.iter().any(|option| option.key == "paused" && option.value == "yes");
        submit(domain, !paused)?;
        serving::note(domain, !paused)?;
        let how = fact("paused", "yes");
        domain.emit("started", if paused { slice::from_ref(&how) } else { &[] });
        Ok(())
    }

    /// Asking it and ending it are the same: it writes everything out, and goes.
    fn shutdown(domain: &Domain) -> Result<(), Error> {
        expect(domain, &[RunState::Running], "resume the domain first, or end it with 'destroy'")?;
        Self::destroy(domain)
    }

    fn destroy(domain: &Domain) -> Result<(), Error> {
        match domain.process() {
            Some(process) => process.end(true, END_TIMEOUT_MS).map(drop),
            None => Ok(()),
        }
    }

    fn suspend(domain: &Domain) -> Result<(), Error> {
        expect(domain, &[RunState::Running], "only a domain that serves can be suspended")?;
        serving::stop(domain)?;
        domain.emit("suspended", &[]);
        Ok(())
    }

    fn resume(domain: &Domain) -> Result<(), Error> {
        expect(domain, &[RunState::Paused], "only a suspended domain can be resumed")?;
        serving::begin(domain, &document::read(&domain.config())?)?;
        domain.emit("resumed", &[]);
        Ok(())
    }

    /// Every client has to connect again.
    fn reset(domain: &Domain) -> Result<(), Error> {
        if expect(domain, &[RunState::Running, RunState::Paused], "start the domain first")?
            == RunState::Running
        {
            serving::stop(domain)?;
            serving::begin(domain, &document::read(&domain.config())?)?;
        }
        domain.emit("reset", &[]);
        Ok(())
    }

    fn query(domain: &Domain) -> Result<RunState, Error> {
        let Some(process) = domain.process() else { return Ok(RunState::Off) };
        if process.ending().is_some() {
            return Ok(RunState::Off);
        }
        match serving::is_on(domain) {
            Ok(true) => Ok(RunState::Running),
            Ok(false) => Ok(RunState::Paused),
            // It may have ended between the two questions.
            Err(Error::Conflict(_)) if process.ending().is_some() => Ok(RunState::Off),
            Err(error) => Err(error),
        }
    }

    fn reattach(domain: &Domain) -> Result<RunState, Error> {
        Self::query(domain)
    }

    fn on_event(_domain: &Domain, event: Event) -> Result<(), Error> {
        log::write(Level::Trace, &format!("ignored the event {}", event.name), &[]);
        Ok(())
    }

    fn recovery_complete() {}
}

impl NativeConfig for StorageDaemon {
    fn show(domain: &Domain) -> Result<(), Error> {
        submit(domain, true)
    }
}

/// Asks for the launch that the document means.
fn submit(domain: &Domain, serving: bool) -> Result<(), Error> {
    let document = document::read(&domain.config())?;
    let mut chains = Vec::new();
    for disk in &document.devices.disks {
        chains.push(domain.disk(disk.target.as_str())?.layers());
    }
    launch::launch(&document, &chains, serving)?.submit(domain, &mut Resources::default()).map(drop)
}

/// The domain's state, which has to be one of these.
fn expect(domain: &Domain, wanted: &[RunState], hint: &str) -> Result<RunState, Error> {
    let found = StorageDaemon::query(domain)?;
    if wanted.contains(&found) {
        return Ok(found);
    }
    let word = match found {
        RunState::Running => "running",
        RunState::Paused => "paused",
        _ => "off",
    };
    Err(problem("domain.state", format!("the domain '{}' is {word}", domain.name())).hint(hint).conflict())
}
