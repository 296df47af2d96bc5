//! The storage daemon driver: a domain's disks, served over NBD by a `qemu-storage-daemon` of its own.
//!
//! There is no guest. Each disk is exported under its target name, on the socket [`launch::SOCKET`] in the domain's
//! directory for sockets; with `<readonly/>` to be read, otherwise to be written too.

mod document;
mod launch;

use hostler_sdk::{
    About, Description, Domain, Error, Event, Fact, Level, Lifecycle, MonitorExt, NativeConfig, ProblemExt,
    Resources, RunState, fact, log, problem,
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
        if options.iter().any(|option| option.key == "paused" && option.value == "yes") {
            return Err(no_processors("started paused"));
        }
        submit(domain)?;
        domain.emit("started", &[]);
        Ok(())
    }

    /// Asking it and ending it are the same: it writes everything out, and goes.
    fn shutdown(domain: &Domain) -> Result<(), Error> {
        Self::destroy(domain)
    }

    fn destroy(domain: &Domain) -> Result<(), Error> {
        match domain.process() {
            Some(process) => process.end(true, END_TIMEOUT_MS).map(drop),
            None => Ok(()),
        }
    }

    fn suspend(_domain: &Domain) -> Result<(), Error> {
        Err(no_processors("suspended"))
    }

    fn resume(_domain: &Domain) -> Result<(), Error> {
        Err(no_processors("resumed"))
    }

    fn reset(_domain: &Domain) -> Result<(), Error> {
        Err(no_processors("reset"))
    }

    fn query(domain: &Domain) -> Result<RunState, Error> {
        let Some(process) = domain.process() else { return Ok(RunState::Off) };
        if process.ending().is_some() {
            return Ok(RunState::Off);
        }
        match domain.monitor().and_then(|monitor| monitor.run("query-block-exports")) {
            Ok(_) => Ok(RunState::Running),
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
        submit(domain)
    }
}

/// Asks for the launch that the document means.
fn submit(domain: &Domain) -> Result<(), Error> {
    let document = document::read(&domain.config())?;
    let mut chains = Vec::new();
    for disk in &document.devices.disks {
        chains.push(domain.disk(disk.target.as_str())?.layers());
    }
    launch::launch(&document, &chains)?.submit(domain, &mut Resources::default()).map(drop)
}

fn no_processors(what: &str) -> Error {
    problem("storage-daemon.no-guest", format!("a storage daemon has no guest that could be {what}"))
        .hint("shut it down to stop serving")
        .unsupported()
}
