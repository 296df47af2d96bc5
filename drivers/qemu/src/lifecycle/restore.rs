//! A guest brought back from a file.

use hostler_sdk::{Domain, Error, Fact, Monitor, Problem, ProblemExt, Process, problem};

use super::{migration, plan, start};

/// How long a QEMU that cannot read a guest may take to end.
const ENDING_MS: u64 = 5_000;

/// Starts a hypervisor that waits for a guest, and gives it the one that the operation's input brings.
///
/// # Errors
/// What a start fails of; what QEMU says of the bytes. The host then undoes the launch.
pub(crate) fn restore(domain: &Domain, options: &[Fact]) -> Result<(), Error> {
    let paused = start::is_paused(options);
    let mut plan = plan::plan(domain)?;
    plan.launch.option("incoming", "defer");
    // Links that are down and the like are so before the guest comes.
    let (process, monitor) = start::launch(domain, plan, paused)?;
    read(domain, &monitor).map_err(|error| explained(&process, error))?;
    start::go(domain, &monitor, paused, "restored")
}

fn read(domain: &Domain, monitor: &Monitor) -> Result<(), Error> {
    migration::prepare(monitor)?;
    migration::read_in(domain, monitor)
}

fn explained(process: &Process, error: Error) -> Error {
    let Some(why) = last_words(process, &error) else { return error };
    problem("qemu.restore-failed", format!("QEMU cannot take the guest that was saved: {why}"))
        .hint(
            "the machine has to be as it was when the guest was saved: same devices, same kind of processor",
        )
        .hint("the saved guest is kept as it is")
        .hypervisor()
}

/// A QEMU that cannot read a guest ends, and says why on its error output alone. Nothing for any other error.
pub(super) fn last_words(process: &Process, error: &Error) -> Option<String> {
    let told = |problem: &Problem| problem.code == "qmp.closed" || problem.code == "qemu.migration-failed";
    match error {
        Error::Conflict(found) | Error::Hypervisor(found) if told(found) => {}
        _ => return None,
    }
    // Best effort: without its last words, what the monitor said has to do.
    let _ended = process.wait(ENDING_MS);
    let tail = process.output_tail();
    tail.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
}
