//! Which block nodes stand for the layers of a running guest's disks.
//!
//! A start numbers them by its document. Work on the disks changes that: from the first such work on, the numbers are
//! noted for every disk.

use std::collections::BTreeMap;

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::domain::disk::Disk;
use hostler_sdk::{
    Below, Command, Domain, Error, Layer, Level, Monitor, MonitorExt, ProblemExt, Value, log, problem,
};
use serde_json::Value as Json;

use super::notes;
use crate::blockdev::{Chain, LayerNames, Names, Node, first_numbers, has_nodes, in_order};
use crate::chains::Chains;

/// The notes of the numbers of each disk's layers, the active one's first.
const NODES: &str = "nodes";
/// The notes of numbers whose nodes are to be removed.
const LEFT: &str = "left";

/// The numbers of the layers of every disk.
type Numbers = BTreeMap<String, Vec<u32>>;

/// The layers of one disk of a running guest, and the nodes that stand for them.
pub(super) struct DiskNodes {
    /// The disk.
    pub(super) disk: Disk,
    /// Its layers by the document, the active one first.
    pub(super) layers: Vec<Layer>,
    /// The number of each of them.
    pub(super) numbers: Vec<u32>,
}

impl DiskNodes {
    /// Finds them, and notes the numbers of all disks if nobody has yet.
    ///
    /// # Errors
    /// `not-found` for a disk that the document does not have; what the host says.
    pub(super) fn of(domain: &Domain, target: &str) -> Result<Self, Error> {
        let document = Document::parse(&domain.config())?;
        let numbers = noted(domain, &document)?;
        let found = document.devices.disks.into_iter().find(|disk| disk.target.as_str() == target);
        let disk = found.ok_or_else(|| {
            Error::NotFound(problem("qemu.no-disk", format!("the guest has no disk '{target}'")))
        })?;
        let layers = domain.disk(target)?.layers();
        let numbers = numbers.get(target).cloned().unwrap_or_default();
        Ok(Self { disk, layers, numbers })
    }

    /// The format node of a layer.
    ///
    /// # Errors
    /// A layer that the guest does not have.
    pub(super) fn format(&self, layer: u32) -> Result<String, Error> {
        let number = usize::try_from(layer).ok().and_then(|layer| self.numbers.get(layer));
        let number = number.ok_or_else(|| {
            let message = format!("disk '{}' has no layer {layer} in the hypervisor", self.disk.target);
            problem("qemu.no-layer", message).conflict()
        })?;
        Ok(LayerNames::numbered(*number).format)
    }

    /// The node that the guest's device uses.
    ///
    /// # Errors
    /// A disk without layers.
    pub(super) fn root(&self) -> Result<String, Error> {
        if !self.has_filter() {
            return self.format(0);
        }
        let names = Names::Numbered(self.numbers.first().copied().unwrap_or_default());
        Chain { disk: &self.disk, layers: &self.layers, names, comparison: false }.top()
    }

    /// Whether something stands between the active layer and the device.
    pub(super) fn has_filter(&self) -> bool {
        self.disk.iotune.is_some() || self.disk.driver.copy_on_read == Some(true)
    }

    /// The format node of a layer with everything that the hypervisor was told about it.
    ///
    /// # Errors
    /// What cannot be said about a layer.
    pub(super) fn described(&self, layer: u32) -> Result<Value, Error> {
        let chain =
            Chain { disk: &self.disk, layers: &self.layers, names: Names::Numbered(1), comparison: false };
        let wanted = LayerNames::numbered(layer.saturating_add(1)).format;
        let node = chain.nodes()?.into_iter().find_map(|node| match node {
            Node::Block(node) if node.get("node-name") == Some(&Value::from(wanted.as_str())) => Some(node),
            _ => None,
        });
        let node = node.ok_or_else(|| {
            problem("qemu.no-layer", format!("layer {layer} of disk '{}' has no node", self.disk.target))
                .conflict()
        })?;
        Ok(self.renamed(node))
    }

    /// The same, with the numbers that the layers have in place of those that a lone disk would have.
    fn renamed(&self, value: Value) -> Value {
        match value {
            Value::Text(text) => Value::Text(self.name(&text).unwrap_or(text)),
            Value::Sequence(items) => {
                Value::Sequence(items.into_iter().map(|item| self.renamed(item)).collect())
            }
            Value::Mapping(pairs) => {
                let renamed = |(key, value)| (key, self.renamed(value));
                Value::Mapping(pairs.into_iter().map(renamed).collect())
            }
            other => other,
        }
    }

    fn name(&self, text: &str) -> Option<String> {
        let (mut lone, mut own) = (1_u32.., self.numbers.iter());
        let (from, to) =
            std::iter::from_fn(|| Some((lone.next()?, *own.next()?))).find_map(|(lone, own)| {
                let (lone, own) = (LayerNames::numbered(lone), LayerNames::numbered(own));
                let pairs = [(lone.format, own.format), (lone.storage, own.storage), (lone.slice, own.slice)];
                pairs.into_iter().find(|(from, _)| from == text)
            })?;
        (from == text).then_some(to)
    }
}

/// The numbers of all disks: noted, or those that a start gives, which are noted then.
fn noted(domain: &Domain, document: &Document) -> Result<Numbers, Error> {
    let noted = notes::lists(domain, NODES)?;
    if !noted.is_empty() {
        return Ok(noted);
    }
    let disks = in_order(&document.devices.disks);
    let mut chains = Chains::default();
    for disk in disks.iter().filter(|disk| has_nodes(disk)) {
        chains.insert(disk.target.as_str(), domain.disk(disk.target.as_str())?.layers());
    }
    let (first, _) = first_numbers(&disks, &chains);
    let mut numbers = Numbers::new();
    for disk in disks.iter().filter(|disk| has_nodes(disk)) {
        let target = disk.target.as_str();
        let layers = chains.layers(target).unwrap_or_default();
        let first = first.get(target).copied().unwrap_or_default();
        let in_chain = chain_length(layers);
        let of_layer = |index: usize| u32::try_from(index).ok().map(|index| first.saturating_add(index));
        numbers.insert(target.to_owned(), (0..in_chain).filter_map(of_layer).collect());
    }
    notes::put_lists(domain, &[(NODES, &numbers)])?;
    Ok(numbers)
}

/// How many layers stand on each other; behind them in the list come the files of their data.
fn chain_length(layers: &[Layer]) -> usize {
    let mut length = 0;
    let mut next = Some(0_usize);
    while let Some(layer) = next.and_then(|index| layers.get(index)) {
        length += 1;
        next = match layer.below {
            Below::Layer(below) => usize::try_from(below).ok().filter(|below| *below >= length),
            _ => None,
        };
    }
    length
}

/// Notes that layers of a disk are left out: their nodes are to be removed. Does nothing when that is noted already.
///
/// # Errors
/// What the host says when it cannot be kept.
pub(super) fn leave_out(domain: &Domain, target: &str, layers: std::ops::Range<u32>) -> Result<(), Error> {
    let mut left = notes::lists(domain, LEFT)?;
    let mut nodes = notes::lists(domain, NODES)?;
    let Some(numbers) = nodes.get_mut(target).filter(|_| !left.contains_key(target)) else { return Ok(()) };
    let mut index = 0_u32;
    let mut gone = Vec::new();
    numbers.retain(|number| {
        let stays = !layers.contains(&index);
        if !stays {
            gone.push(*number);
        }
        index = index.saturating_add(1);
        stays
    });
    left.insert(target.to_owned(), gone);
    notes::put_lists(domain, &[(NODES, &nodes), (LEFT, &left)])
}

/// Removes the nodes of layers that were left out, as far as they are there.
///
/// # Errors
/// What the monitor answers; they are still noted then.
pub(super) fn remove_left(domain: &Domain, monitor: &Monitor, target: &str) -> Result<(), Error> {
    let mut left = notes::lists(domain, LEFT)?;
    let Some(numbers) = left.remove(target) else { return Ok(()) };
    let there = names(monitor)?;
    for number in numbers {
        let LayerNames { storage, slice, format, .. } = LayerNames::numbered(number);
        for name in [format, slice, storage].into_iter().filter(|name| there.contains(name)) {
            let command = Command::new("blockdev-del").with("node-name", name.as_str());
            monitor.run_all(&[command]).into_iter().try_for_each(|answer| answer.map(drop))?;
            log::write(Level::Debug, &format!("closed the block node {name}"), &[]);
        }
    }
    notes::put_lists(domain, &[(LEFT, &left)])
}

/// The names of all nodes that there are.
fn names(monitor: &Monitor) -> Result<Vec<String>, Error> {
    let nodes = all(monitor)?;
    let name = |node: &Json| node.get("node-name")?.as_str().map(str::to_owned);
    Ok(nodes.iter().filter_map(name).collect())
}

/// Whether the guest or a job may write to a node.
///
/// # Errors
/// What the monitor answers.
pub(super) fn is_writable(monitor: &Monitor, name: &str) -> Result<bool, Error> {
    let nodes = all(monitor)?;
    let found = nodes.iter().find(|node| node.get("node-name").and_then(Json::as_str) == Some(name));
    Ok(found.is_some_and(|node| node.get("ro") == Some(&Json::Bool(false))))
}

fn all(monitor: &Monitor) -> Result<Vec<Json>, Error> {
    let command = Command::new("query-named-block-nodes").with("flat", true);
    let answer = monitor.run_all(&[command]).pop().unwrap_or_else(|| Ok("[]".to_owned()))?;
    serde_json::from_str(&answer).map_err(|_| {
        problem("qemu.nodes-unreadable", "the hypervisor's list of block nodes cannot be read").hypervisor()
    })
}
