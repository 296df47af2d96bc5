//! Overlays over the images of a running guest's disks.
//!
//! Which node is an overlay's is noted, with the overlay, before anything is done: so whoever asks later finds out from
//! the machine itself whether the guest writes to it.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::domain::disk::Disk;
use hostler_sdk::{
    Below, Command, Domain, Error, Layer, Monitor, MonitorExt, ProblemExt, Resources, RunState, Value,
    problem,
};

use super::super::{monitor_state, notes, save, shares};
use super::{machine, names, nodes, steps};
use crate::blockdev::{Chain, LayerNames, Names, Node};

/// A disk that goes on in an overlay.
struct Switch {
    target: String,
    /// The node that it has now, and all nodes that are its.
    top: String,
    nodes: Vec<String>,
    /// The overlay's node, and its name.
    overlay: Value,
    name: String,
    /// What is noted while it is not sure what is true.
    mark: String,
}

impl Switch {
    fn of(
        domain: &Domain,
        monitor: &Monitor,
        (now, next): (&Document, &Document),
        target: &str,
        number: u32,
    ) -> Result<Self, Error> {
        let (before, after) = (disk(now, target)?, disk(next, target)?);
        if before.driver.copy_on_read == Some(true) {
            let message =
                format!("the disk '{target}' has a filter above its image, which an overlay cannot go below");
            return Err(problem("qemu.filtered", message)
                .hint("take copy_on_read out of its definition, or take the snapshot while it is off")
                .unsupported());
        }
        let id = device(domain, now, before)?;
        let top = machine::drive(monitor, &id)?.and_then(|drive| drive.top).ok_or_else(|| {
            problem("qemu.no-medium", format!("the disk '{target}' has no image in the hypervisor"))
                .conflict()
        })?;
        let layer = active(domain, target)?;
        let name = LayerNames::numbered(number).format;
        Ok(Self {
            nodes: nodes::of(domain, monitor, before, &id)?,
            overlay: node(after, &layer, number)?,
            mark: marked(&name, &layer),
            target: target.to_owned(),
            top,
            name,
        })
    }

    /// What is noted before an overlay is put above a disk: with its node among the disk's, as it is afterwards. Whoever finds
    /// that it is not takes both back.
    fn before(&self) -> [(String, Option<String>); 2] {
        let all: Vec<_> = std::iter::once(&self.name).chain(&self.nodes).cloned().collect();
        let nodes = (format!("nodes:{}", self.target), Some(nodes::joined(&all)));
        [(mark_key(&self.target), Some(self.mark.clone())), nodes]
    }

    /// What is noted when it was not put there.
    fn without(&self) -> [(String, Option<String>); 2] {
        let nodes = (format!("nodes:{}", self.target), Some(nodes::joined(&self.nodes)));
        [(mark_key(&self.target), None), nodes]
    }

    fn action(&self) -> Value {
        let data = Value::mapping().with("node", self.top.as_str()).with("overlay", self.name.as_str());
        Value::mapping().with("type", "blockdev-snapshot").with("data", data)
    }
}

/// Has the guest write to the overlays of the next document from now on.
///
/// # Errors
/// `conflict` for a guest that is neither running nor paused; `unsupported` for a disk with a filter; what host and monitor
/// answer. Nothing of the overlays is open then.
pub(crate) fn overlay(domain: &Domain, targets: &[String]) -> Result<(), Error> {
    go_on_above(domain, targets, || Ok(()))
}

/// The same, at the moment at which the guest's memory is written to the operation's output.
///
/// # Errors
/// As [`overlay`]; what QEMU says of the memory.
pub(crate) fn overlay_with_memory(domain: &Domain, targets: &[String]) -> Result<(), Error> {
    shares::refuse(domain, "kept with its memory")?;
    let done = go_on_above(domain, targets, || save::write_out(domain));
    // It goes on either way: with the overlays, or as before.
    save::abandon(domain)?;
    done
}

fn go_on_above(
    domain: &Domain,
    targets: &[String],
    before: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let monitor = domain.monitor()?;
    let state = monitor_state::ask(domain, &monitor)?;
    let hint = "only the disks of a guest that runs or is paused can go on in overlays";
    monitor_state::expect(domain, state, &[RunState::Running, RunState::Paused], hint)?;
    let documents = (&Document::parse(&domain.config())?, &Document::parse(&domain.next_config()?)?);
    let first = nodes::next_number(domain, &monitor)?;
    let mut switches = Vec::new();
    for (target, number) in targets.iter().zip(first..) {
        switches.push(Switch::of(domain, &monitor, documents, target, number)?);
    }
    notes::put(domain, &switches.iter().flat_map(Switch::before).collect::<Vec<_>>())?;
    if let Err(error) = before().and_then(|()| switch(domain, &monitor, &switches)) {
        for switch in &switches {
            close(&monitor, &switch.name);
        }
        notes::put(domain, &switches.iter().flat_map(Switch::without).collect::<Vec<_>>())?;
        return Err(error);
    }
    Ok(())
}

/// Opens all overlays, and puts them above their disks at one moment.
fn switch(domain: &Domain, monitor: &Monitor, switches: &[Switch]) -> Result<(), Error> {
    let mut resources = Resources::of_next();
    for switch in switches {
        let add = Command { name: "blockdev-add".to_owned(), arguments: Some(switch.overlay.clone()) };
        monitor.run_with(&add, domain, &mut resources)?;
    }
    let actions = Value::Sequence(switches.iter().map(Switch::action).collect());
    let transaction = Command::new("transaction").with("actions", actions);
    monitor.run_all(&[transaction]).into_iter().try_for_each(|answer| answer.map(drop))
}

/// Whether the guest writes to the overlays of the next document. Those that it does not write to are closed.
///
/// # Errors
/// What host and monitor answer.
pub(crate) fn settle_overlays(domain: &Domain, targets: &[String]) -> Result<bool, Error> {
    let monitor = domain.monitor()?;
    let now = Document::parse(&domain.config())?;
    let mut all = true;
    for target in targets {
        let before = disk(&now, target)?;
        let noted = notes::value(domain, &mark_key(target))?;
        let node = noted.as_deref().and_then(|mark| mark.split_once('@')).map(|(node, _)| node.to_owned());
        // A note about another overlay is of an operation before this one.
        let own = match node {
            Some(node) if noted.as_deref() == Some(marked(&node, &active(domain, target)?).as_str()) => node,
            _ => {
                all = false;
                continue;
            }
        };
        let id = device(domain, &now, before)?;
        if machine::drive(&monitor, &id)?.and_then(|drive| drive.top).as_deref() == Some(own.as_str()) {
            note_after(domain, before, &own)?;
        } else {
            close(&monitor, &own);
            let mut nodes = nodes::noted(domain, &nodes::key(before))?.unwrap_or_default();
            nodes.retain(|name| *name != own);
            let nodes = (!nodes.is_empty()).then(|| nodes::joined(&nodes));
            notes::put(domain, &[(mark_key(target), None), (nodes::key(before), nodes)])?;
            all = false;
        }
    }
    // A guest that was stopped for its memory is not left so.
    save::abandon(domain)?;
    Ok(all)
}

/// Notes that the overlay of a disk is in place, if that was not done: a version before this one noted it afterwards.
fn note_after(domain: &Domain, disk: &Disk, own: &str) -> Result<(), Error> {
    let noted = nodes::noted(domain, &nodes::key(disk))?.unwrap_or_default();
    if noted.first().map(String::as_str) == Some(own) {
        return Ok(());
    }
    let all: Vec<_> = std::iter::once(own.to_owned()).chain(noted).collect();
    notes::put(domain, &[(nodes::key(disk), Some(nodes::joined(&all)))])
}

fn close(monitor: &Monitor, node: &str) {
    steps::remove(monitor, &Command::new("blockdev-del").with("node-name", node));
}

/// The overlay's node: nothing is below it until it is put above its disk (S0).
fn node(disk: &Disk, layer: &Layer, number: u32) -> Result<Value, Error> {
    let alone = [Layer { below: Below::Nothing, ..layer.clone() }];
    let chain = Chain { disk, layers: &alone, names: Names::Numbered(number), comparison: false };
    let found = chain.nodes()?.into_iter().find_map(|node| match node {
        Node::Block(node) => Some(node),
        Node::Object(_) => None,
    });
    found.ok_or_else(|| {
        problem("qemu.overlay", format!("the overlay of '{}' has no node", disk.target)).invalid()
    })
}

/// The active layer of a disk of the next document.
fn active(domain: &Domain, target: &str) -> Result<Layer, Error> {
    let layers = domain.next_disk(target)?.layers();
    layers.into_iter().next().ok_or_else(|| {
        problem("qemu.overlay", format!("the disk '{target}' has no overlay in the next document")).invalid()
    })
}

/// A node and the overlay that it is for, as one word.
fn marked(node: &str, layer: &Layer) -> String {
    let place: String =
        layer.description.chars().map(|letter| if letter.is_whitespace() { '_' } else { letter }).collect();
    format!("{node}@{place}")
}

fn mark_key(target: &str) -> String {
    format!("overlay:{target}")
}

fn device(domain: &Domain, document: &Document, disk: &Disk) -> Result<String, Error> {
    Ok(names::aliases(domain, document)?.get(disk.node).unwrap_or_default().to_owned())
}

fn disk<'a>(document: &'a Document, target: &str) -> Result<&'a Disk, Error> {
    document.devices.disks.iter().find(|disk| disk.target.as_str() == target).ok_or_else(|| {
        Error::NotFound(problem("qemu.no-disk", format!("the document has no disk '{target}'")))
    })
}
