//! Plugging a device in.

use hostler_sdk::domain::address::Address;
use hostler_sdk::domain::disk::Disk;
use hostler_sdk::domain::{Document as Text, Domain as Document};
use hostler_sdk::{Command, Domain, Error, Monitor, MonitorExt, ProblemExt, Resources, fact, problem};

use super::super::{notes, passphrase, plan};
use super::subject::{Subject, at};
use super::{limits, machine, names, nodes, steps};
use crate::alias::Aliases;
use crate::argv::{self, Inputs, Plugged};
use crate::blockdev::has_nodes;
use crate::chains::Chains;
use crate::machine::{DEFAULT_MACHINE, Machine};

/// Plugs in the device that the next document has at this place.
///
/// # Errors
/// What cannot be plugged in, with the reason; what host and monitor answer. Nothing of it is left then.
pub(crate) fn attach(domain: &Domain, place: u32) -> Result<(), Error> {
    let now = Document::parse(&domain.config())?;
    let next = Document::parse(&domain.next_config()?)?;
    let subject = Subject::at(&next, place)?;
    subject.require_pluggable(&next)?;
    require_alone(&now, &next, subject)?;
    require_slot(&next, subject)?;
    let monitor = domain.monitor()?;
    let id = match subject {
        Subject::Disk(disk) => self::disk(domain, &monitor, &next, disk)?,
        Subject::Other(device) => other(domain, &monitor, &now, &next, device)?,
    };
    domain.emit("device-attached", &[fact("device", id)]);
    Ok(())
}

/// Refuses a device that needs another one, which the machine can only have from its start.
fn require_alone(now: &Document, next: &Document, subject: Subject<'_>) -> Result<(), Error> {
    let is_other =
        |node| !matches!(subject, Subject::Other(Plugged::Controller(_))) || node != subject.node();
    if let (Subject::Other(Plugged::Watchdog(_)), Some(_)) = (subject, now.devices.watchdogs.first()) {
        return Err(at(next, subject.node(), "the machine has a watchdog, and can have one only")
            .hint("detach that one first")
            .conflict());
    }
    let all = |document: &Document| {
        document.devices.node.map_or(0, |devices| document.document().elements(devices).count())
    };
    let others: Vec<_> = next.devices.controllers.iter().filter(|one| is_other(one.node)).collect();
    let before = now.devices.controllers.len();
    if all(next) <= all(now) + 1 && others.len() == before {
        return Ok(());
    }
    let new = others.last().filter(|_| others.len() > before);
    let what = match new {
        Some(controller) => {
            let model = controller.model.as_deref().map(|model| format!(" ({model})")).unwrap_or_default();
            format!(
                "the machine has no free place for it: it needs another {} controller{model}",
                controller.kind
            )
        }
        None => "it needs another device that the machine does not have".to_owned(),
    };
    Err(problem("qemu.no-place", what)
        .hint("attach it to the stored definition only, and start the domain again")
        .hint("a definition with spare controllers, such as <controller type='pci' model='pcie-root-port'/>, leaves room")
        .conflict())
}

/// Refuses a place that devices are in from the start or never.
fn require_slot(next: &Document, subject: Subject<'_>) -> Result<(), Error> {
    let machine = Machine::of(next.os.machine.as_deref().unwrap_or(DEFAULT_MACHINE));
    match &subject.info().address {
        Some(Address::Pci(pci)) if pci.bus == 0 && machine.is_express() => {
            let what = format!(
                "the place {:02x}:{:02x}.{} is on the machine's own bus, which takes no devices while it runs",
                pci.bus, pci.slot, pci.function
            );
            Err(at(next, subject.node(), &what)
                .hint("leave the address out, or give one on a pcie-root-port or a pci-bridge")
                .conflict())
        }
        _ => Ok(()),
    }
}

fn disk(domain: &Domain, monitor: &Monitor, next: &Document, disk: &Disk) -> Result<String, Error> {
    let aliases = names::aliases(domain, next)?;
    let id = aliases.get(disk.node).unwrap_or_default().to_owned();
    require_gone(monitor, &id)?;
    let number = nodes::next_number(domain, monitor)?;
    let chains = chains(domain, disk)?;
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
    let launch = argv::plugged_disk(inputs, disk, number)?;
    let steps = steps::of(&launch, &machine::children(monitor, "/objects")?);
    let key = nodes::key(disk);
    notes::put(domain, &[(key.clone(), Some(nodes::joined(&steps::nodes(&steps))))])?;
    let plugged = steps::run(&steps, domain, monitor, &mut Resources::of_next()).and_then(|()| {
        let limited = if disk.iotune.is_some() { limits::set(monitor, &id, disk) } else { Ok(()) };
        limited.inspect_err(|_| steps::undo(&steps, monitor))
    });
    if let Err(error) = plugged {
        notes::put(domain, &[(key, None)])?;
        return Err(in_use(passphrase::of_disk(error, disk.target.as_str()), disk));
    }
    Ok(id)
}

/// An image that another process has open says so by its lock.
fn in_use(error: Error, disk: &Disk) -> Error {
    match error {
        Error::Hypervisor(told) if told.message.contains(" lock") => {
            let message = format!("an image of '{}' is in use: {}", disk.target, told.message);
            problem("qemu.image-in-use", message)
                .hint("another domain runs with it, or a disk of this one: end that, or give each an image of its own")
                .conflict()
        }
        other => other,
    }
}

/// The layers of a disk of the next document.
pub(super) fn chains(domain: &Domain, disk: &Disk) -> Result<Chains, Error> {
    let mut chains = Chains::default();
    if has_nodes(disk) {
        let target = disk.target.as_str();
        chains.insert(target, domain.next_disk(target)?.layers());
    }
    Ok(chains)
}

/// A device that is no disk.
fn other(
    domain: &Domain,
    monitor: &Monitor,
    now: &Document,
    next: &Document,
    device: Plugged<'_>,
) -> Result<String, Error> {
    let subject = Subject::Other(device);
    let aliases = names::choose(domain, monitor, now, next, subject)?;
    let id = aliases.get(subject.node()).unwrap_or_default().to_owned();
    if let Err(error) = plug(domain, monitor, next, (device, &id), &aliases) {
        names::forget(domain, next, subject)?;
        return Err(error);
    }
    Ok(id)
}

fn plug(
    domain: &Domain,
    monitor: &Monitor,
    next: &Document,
    (device, id): (Plugged<'_>, &str),
    aliases: &Aliases,
) -> Result<(), Error> {
    require_gone(monitor, id)?;
    let facts = plan::facts(domain);
    let text = Text::parse(&next.to_xml())?;
    let chains = Chains::default();
    let inputs =
        Inputs { domain: next, author: &text, aliases, chains: &chains, firmware: None, facts: &facts };
    let launch = argv::plugged(inputs, device)?;
    if let Some(companion) = launch.companions.first() {
        let message = format!(
            "'{id}' needs a program of its own beside QEMU ({}), which is started with QEMU and not later",
            companion.template
        );
        let hint = "add it to the stored definition (--config), and start the domain anew";
        return Err(problem("qemu.hotplug-companion", message).hint(hint).unsupported());
    }
    let steps = steps::of(&launch, &[]);
    steps::run(&steps, domain, monitor, &mut Resources::of_next())?;
    let Some(command) = afterwards(device, id) else { return Ok(()) };
    if let Some(Err(error)) = monitor.run_all(&[command]).pop() {
        steps::undo(&steps, monitor);
        return Err(error);
    }
    Ok(())
}

/// What is said of a device once it is there, because no option of its own says it.
fn afterwards(device: Plugged<'_>, id: &str) -> Option<Command> {
    match device {
        Plugged::Interface(interface) if interface.link_up == Some(false) => {
            Some(Command::new("set_link").with("name", id).with("up", false))
        }
        Plugged::Watchdog(watchdog) => {
            Some(Command::new("watchdog-set-action").with("action", argv::watchdog_action(watchdog)))
        }
        _ => None,
    }
}

/// Refuses the id of a device that the guest has not let go of yet.
fn require_gone(monitor: &Monitor, id: &str) -> Result<(), Error> {
    if !machine::has(monitor, id)? {
        return Ok(());
    }
    let message = format!("the guest still has a device '{id}': it was asked to let go of it");
    Err(problem("qemu.device-present", message)
        .hint("wait until it is gone, or give the new one another target name or alias")
        .conflict())
}
