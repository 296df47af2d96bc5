//! A hostile driver: it launches a real, valid QEMU, and adds to that what its domain's document says.
//!
//! The document's description is JSON: `launch` is added to the launch, and each suspend sends the next of
//! `commands`. A text in angle brackets stands for a handle. So a test says in one place what is tried and what comes of
//! it. Each of the [`BEHAVIOURS`] is a way in which that can be hostile.

mod handles;
mod launch;
mod tree;

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::internal::driver::hostler::host::qmp::Command;
use hostler_sdk::{
    About, Description, Domain, Error, Event, Fact, Lifecycle, MonitorExt, ProblemExt, RunState, problem,
};
use serde_json::Value as Json;

use handles::Opened;

struct Abuse;

hostler_sdk::driver! {
    Abuse,
    name: "abuse",
    types: ["abuse"],
    grants: [
        "process:qemu-system-x86_64", "process:qemu-storage-daemon", "process:sh", "qmp", "storage", "firmware", "endpoint"
    ],
}

/// Members of the description, and what they are for.
pub const BEHAVIOURS: &[(&str, &str)] = &[
    ("options", "options that are added to the launch"),
    ("environment", "variables that are given to the program"),
    ("reactions", "commands that the shim is to send by itself"),
    ("template", "the program that is launched instead of QEMU"),
    ("commands", "commands that are sent to the running QEMU, one at each suspend"),
];

impl About for Abuse {
    fn describe() -> Description {
        Description { title: "adds to QEMU what a document says".to_owned(), facts: Vec::new() }
    }
}

impl Lifecycle for Abuse {
    fn check(domain: &Domain) -> Result<String, Error> {
        let config = domain.config();
        wish(&config)?;
        Ok(config)
    }

    fn start(domain: &Domain, _options: Vec<Fact>) -> Result<(), Error> {
        let wish = wish(&domain.config())?;
        launch::launch(domain, &wish)?;
        domain.put_state(b"0")?;
        // A daemon has nothing that would have to be let go.
        if launch::is_daemon(&wish) { Ok(()) } else { domain.monitor()?.run("cont").map(drop) }
    }

    fn shutdown(domain: &Domain) -> Result<(), Error> {
        domain.monitor()?.run("system_powerdown").map(drop)
    }

    fn destroy(domain: &Domain) -> Result<(), Error> {
        match domain.process() {
            Some(process) => process.end(true, 5_000).map(drop),
            None => Ok(()),
        }
    }

    /// Sends the next command of the document.
    fn suspend(domain: &Domain) -> Result<(), Error> {
        let next: usize = String::from_utf8_lossy(&domain.state()?).parse().unwrap_or(0);
        domain.put_state((next + 1).to_string().as_bytes())?;
        let wish = wish(&domain.config())?;
        let command = wish.get("commands").and_then(|commands| commands.get(next));
        let command =
            command.ok_or_else(|| problem("abuse.none", "there are no more commands").conflict())?;
        let mut opened = Opened::default();
        let (name, arguments) = pair(command);
        let arguments = (!arguments.is_null()).then(|| tree::tree(&arguments, &mut opened));
        opened.open(domain)?;
        let command = Command { name, arguments };
        domain.monitor()?.execute(&command, &opened.lend()).map(drop)
    }

    fn resume(domain: &Domain) -> Result<(), Error> {
        domain.monitor()?.run("cont").map(drop)
    }

    fn reset(domain: &Domain) -> Result<(), Error> {
        domain.monitor()?.run("system_reset").map(drop)
    }

    fn query(domain: &Domain) -> Result<RunState, Error> {
        if domain.process().is_none() {
            return Ok(RunState::Off);
        }
        if launch::is_daemon(&wish(&domain.config())?) {
            return domain.monitor()?.run("query-block-exports").map(|_| RunState::Running);
        }
        let status = domain.monitor()?.run("query-status")?;
        Ok(if status.contains("\"running\":true") { RunState::Running } else { RunState::Paused })
    }

    fn reattach(domain: &Domain) -> Result<RunState, Error> {
        Self::query(domain)
    }

    fn on_event(_domain: &Domain, _event: Event) -> Result<(), Error> {
        Ok(())
    }

    fn recovery_complete() {}
}

/// A name and a value, as a list of two has them.
pub(crate) fn pair(list: &Json) -> (String, Json) {
    let name = list.get(0).and_then(Json::as_str).unwrap_or_default();
    (name.to_owned(), list.get(1).cloned().unwrap_or_default())
}

/// What the document says.
fn wish(config: &str) -> Result<Json, Error> {
    let description = Document::parse(config)?.description.unwrap_or_default();
    serde_json::from_str(&description).map_err(|error| {
        problem("abuse.description", format!("the description is no JSON: {error}")).invalid()
    })
}
