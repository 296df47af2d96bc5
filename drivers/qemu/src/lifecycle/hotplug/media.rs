//! Another medium in a drive, or none.

use hostler_sdk::domain::disk::Disk;
use hostler_sdk::domain::{Document as Text, Domain as Document};
use hostler_sdk::{
    Command, Domain, Error, Monitor, MonitorExt, ProblemExt, Resources, Value, clock, fact, problem,
};

use super::super::{notes, passphrase, plan};
use super::attach::chains;
use super::detach::remove_nodes;
use super::{machine, names, nodes, steps};
use crate::argv::{self, Inputs};

/// How long a guest may take to open a drive that it has locked.
const PATIENCE_MS: u64 = 5_000;
/// How soon it is asked again, in milliseconds: a guest that only reads locks its drive for a moment.
const AGAIN_MS: u64 = 250;

/// What the drive holds, and what it is to hold.
struct Change<'a> {
    monitor: &'a Monitor,
    id: &'a str,
    /// The node that was in it; none when it was empty.
    before: Option<String>,
    /// The node that is to be in it.
    after: Option<String>,
}

/// Puts what the next document says into a drive, in place of what is in it.
///
/// # Errors
/// `conflict` when the guest has locked it and does not let go; what host and monitor answer. The drive has what it had
/// then.
pub(super) fn change(
    domain: &Domain,
    monitor: &Monitor,
    next: &Document,
    (before, disk): (&Disk, &Disk),
    force: bool,
) -> Result<(), Error> {
    let aliases = names::aliases(domain, next)?;
    let id = aliases.get(disk.node).unwrap_or_default();
    finish_earlier(domain, monitor, before, id)?;
    let old = nodes::of(domain, monitor, before, id)?;
    let (new, top, mut resources) = medium(domain, monitor, next, disk)?;
    let (key, pending) = (nodes::key(disk), nodes::pending_key(disk));
    let names = nodes::joined(&steps::nodes(&new));
    notes::put(domain, &[(key.clone(), Some(nodes::joined(&old))), (pending.clone(), Some(names.clone()))])?;
    let change =
        Change { monitor, id, before: machine::drive(monitor, id)?.and_then(|drive| drive.top), after: top };
    let changed = steps::run(&new, domain, monitor, &mut resources)
        .and_then(|()| change.exchange(force).inspect_err(|_| steps::undo(&new, monitor)));
    if let Err(error) = changed {
        notes::put(domain, &[(pending, None)])?;
        return Err(passphrase::of_disk(error, disk.target.as_str()));
    }
    remove_nodes(monitor, &old)?;
    notes::put(domain, &[(key, Some(names)), (pending, None)])?;
    domain.emit("medium-changed", &[fact("device", id)]);
    Ok(())
}

/// The steps that open what a disk of the next document has, the node that it uses, and what they name.
pub(super) fn medium(
    domain: &Domain,
    monitor: &Monitor,
    next: &Document,
    disk: &Disk,
) -> Result<(Vec<steps::Step>, Option<String>, Resources), Error> {
    let number = nodes::next_number(domain, monitor)?;
    let chains = chains(domain, disk)?;
    let aliases = names::aliases(domain, next)?;
    let facts = plan::facts(domain);
    let text = Text::parse(&next.to_xml())?;
    let inputs = Inputs {
        domain: next,
        author: &text,
        aliases: &aliases,
        chains: &chains,
        firmware: None,
        facts: &facts,
    };
    let (launch, top) = argv::medium(inputs, disk, number)?;
    Ok((steps::of(&launch, &machine::children(monitor, "/objects")?), top, Resources::of_next()))
}

/// A change whose end nobody saw: what it had put in stays in, what it had not is removed.
fn finish_earlier(domain: &Domain, monitor: &Monitor, disk: &Disk, id: &str) -> Result<(), Error> {
    let (key, pending) = (nodes::key(disk), nodes::pending_key(disk));
    let Some(new) = nodes::noted(domain, &pending)? else { return Ok(()) };
    let inside = machine::drive(monitor, id)?.and_then(|drive| drive.top);
    if inside.is_some_and(|top| new.contains(&top)) {
        remove_nodes(monitor, &nodes::noted(domain, &key)?.unwrap_or_default())?;
        return notes::put(domain, &[(key, Some(nodes::joined(&new))), (pending, None)]);
    }
    remove_nodes(monitor, &new)?;
    notes::put(domain, &[(pending, None)])
}

impl Change<'_> {
    fn exchange(&self, force: bool) -> Result<(), Error> {
        self.open(force)?;
        let exchanged = self.put(self.before.is_some(), self.after.as_deref());
        if let Err(error) = exchanged {
            // What was in it goes back in; the drive is told to the user as it is either way.
            if let Err(worse) = self.put(false, self.before.as_deref()) {
                return Err(hint(error, &format!("the drive may be empty now: {worse:?}")));
            }
            return Err(error);
        }
        Ok(())
    }

    /// Opens the drive. One that the guest has locked is asked for until the guest opens it, or lets it be opened.
    fn open(&self, force: bool) -> Result<(), Error> {
        let until = clock::monotonic_ms().saturating_add(PATIENCE_MS);
        loop {
            let cursor = self.monitor.cursor();
            let open = Command::new("blockdev-open-tray").with("id", self.id).with("force", force);
            match self.run(open) {
                Ok(()) => return Ok(()),
                Err(Error::Hypervisor(told)) if told.message.contains("locked") => {}
                Err(error) => return Err(error),
            }
            self.monitor.wait_event(&["DEVICE_TRAY_MOVED".to_owned()], cursor, AGAIN_MS)?;
            if machine::drive(self.monitor, self.id)?.is_some_and(|drive| drive.open) {
                return Ok(());
            }
            if clock::monotonic_ms() >= until {
                return Err(self.locked());
            }
        }
    }

    fn locked(&self) -> Error {
        let message = format!("the guest has locked the drive '{}', and does not open it", self.id);
        problem("qemu.drive-locked", message)
            .hint("unmount the medium in the guest, or open the drive by force: its guest may lose what it had not read")
            .conflict()
    }

    fn put(&self, remove: bool, node: Option<&str>) -> Result<(), Error> {
        if remove {
            self.run(Command::new("blockdev-remove-medium").with("id", self.id))?;
        }
        if let Some(node) = node {
            let insert = Command::new("blockdev-insert-medium").with("id", self.id);
            self.run(insert.with("node-name", Value::from(node)))?;
        }
        self.run(Command::new("blockdev-close-tray").with("id", self.id))
    }

    fn run(&self, command: Command) -> Result<(), Error> {
        self.monitor.run_all(&[command]).pop().transpose().map(drop)
    }
}

fn hint(error: Error, text: &str) -> Error {
    match error {
        Error::Hypervisor(mut problem) => {
            problem.hints.push(text.to_owned());
            Error::Hypervisor(problem)
        }
        other => other,
    }
}
