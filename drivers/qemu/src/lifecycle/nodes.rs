//! Which block nodes stand for the layers of a running guest's disks.
//!
//! A start numbers them by its document. Work on a disk changes that: from then on its nodes are noted.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::domain::disk::Disk;
use hostler_sdk::{
    BlockJob, Command, Domain, Error, JobKind, Layer, Level, Monitor, MonitorExt, ProblemExt, Value, log,
    problem,
};
use serde_json::Value as Json;

use super::{hotplug, notes};
use crate::alias::Aliases;
use crate::blockdev::{Chain, LayerNames, Names, Node};

/// The layers of one disk of a running guest, and the nodes that stand for them.
pub(super) struct DiskNodes {
    /// The disk.
    pub(super) disk: Disk,
    /// What its device is called.
    pub(super) alias: String,
    /// Its layers by the document, the active one first.
    pub(super) layers: Vec<Layer>,
    /// The number of each of them.
    pub(super) numbers: Vec<u32>,
    /// All its nodes, each before those that it refers to.
    names: Vec<String>,
}

impl DiskNodes {
    /// Finds them.
    ///
    /// # Errors
    /// `not-found` for a disk that the document does not have; what host and monitor say.
    pub(super) fn of(domain: &Domain, monitor: &Monitor, target: &str) -> Result<Self, Error> {
        let document = Document::parse(&domain.config())?;
        let aliases = hotplug::aliases(domain, &document)?;
        let found = document.devices.disks.into_iter().find(|disk| disk.target.as_str() == target);
        let disk = found.ok_or_else(|| {
            Error::NotFound(problem("qemu.no-disk", format!("the guest has no disk '{target}'")))
        })?;
        Self::of_disk(domain, monitor, disk, &aliases)
    }

    /// Those of all disks of the document that have some.
    ///
    /// # Errors
    /// What host and monitor say of all of them.
    pub(super) fn all(domain: &Domain, monitor: &Monitor) -> Result<impl Iterator<Item = Self>, Error> {
        let document = Document::parse(&domain.config())?;
        let aliases = hotplug::aliases(domain, &document)?;
        let disks = document.devices.disks.into_iter();
        Ok(disks.filter_map(move |disk| Self::of_disk(domain, monitor, disk, &aliases).ok()))
    }

    fn of_disk(domain: &Domain, monitor: &Monitor, disk: Disk, aliases: &Aliases) -> Result<Self, Error> {
        let alias = aliases.get(disk.node).unwrap_or_default().to_owned();
        let names = hotplug::of(domain, monitor, &disk, &alias)?;
        let numbers = names.iter().filter_map(|name| format_number(name)).collect();
        Ok(Self { layers: domain.disk(disk.target.as_str())?.layers(), disk, alias, numbers, names })
    }

    /// Notes which they are, before that changes.
    ///
    /// # Errors
    /// What the host says when it cannot be kept.
    pub(super) fn note(&self, domain: &Domain) -> Result<(), Error> {
        notes::put(domain, &[(hotplug::key(&self.disk), Some(self.names.join(",")))])
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

    /// The node that holds the bytes of a layer, as `query-blockstats` tells of all nodes: of most it has a name that QEMU chose.
    ///
    /// # Errors
    /// A layer that the guest does not have.
    pub(super) fn storage(&self, layer: u32, told: &[Json]) -> Result<String, Error> {
        let format = self.format(layer)?;
        let is_own = |node: &&Json| node.get("node-name").and_then(Json::as_str) == Some(format.as_str());
        let below = told.iter().find(is_own).and_then(|node| node.pointer("/parent/node-name")?.as_str());
        Ok(below.map_or_else(|| format.clone(), str::to_owned))
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
        self.disk.driver.copy_on_read == Some(true)
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

/// Notes that layers of a disk are left out: their nodes are to be removed. Does nothing when that is noted already.
///
/// # Errors
/// What the host says when it cannot be kept.
pub(super) fn leave_out(domain: &Domain, monitor: &Monitor, job: &BlockJob) -> Result<(), Error> {
    let key = left_key(&job.target);
    if notes::value(domain, &key)?.is_some() {
        return Ok(());
    }
    let disk = DiskNodes::of(domain, monitor, &job.target)?;
    if job.kind == JobKind::Copy {
        return exchange(domain, &disk, key, job);
    }
    let end = job.base.and_then(|base| usize::try_from(base).ok()).unwrap_or(disk.numbers.len());
    let top = usize::try_from(job.top).unwrap_or(usize::MAX);
    let gone = disk.numbers.get(top..end).unwrap_or_default();
    let is_gone = |name: &String| number(name).is_some_and(|number| gone.contains(&number));
    let (left, stay): (Vec<_>, Vec<_>) = disk.names.into_iter().partition(is_gone);
    let entries = [(hotplug::key(&disk.disk), Some(stay.join(","))), (key, Some(left.join(",")))];
    notes::put(domain, &entries)
}

/// Notes that a disk has the nodes of its copy, and that all that it had are to be removed.
fn exchange(domain: &Domain, disk: &DiskNodes, left: String, job: &BlockJob) -> Result<(), Error> {
    let copy = hotplug::Copy::of(domain, &job.target)?;
    let own = (hotplug::key(&disk.disk), Some(copy.nodes.join(",")));
    notes::put(domain, &[own, (left, Some(disk.names.join(","))), copy.taken()])
}

/// Removes the nodes of layers that were left out, as far as they are there.
///
/// # Errors
/// What the monitor answers; they are still noted then.
pub(super) fn remove_left(domain: &Domain, monitor: &Monitor, target: &str) -> Result<(), Error> {
    let key = left_key(target);
    let Some(left) = notes::value(domain, &key)? else { return Ok(()) };
    let there = names(monitor)?;
    for name in left.split(',').filter(|name| there.iter().any(|there| there == name)) {
        let command = Command::new("blockdev-del").with("node-name", name);
        monitor.run_all(&[command]).into_iter().try_for_each(|answer| answer.map(drop))?;
        log::write(Level::Debug, &format!("closed the block node {name}"), &[]);
    }
    notes::put(domain, &[(key, None)])
}

/// What the nodes of a disk are noted under that are to be removed.
fn left_key(target: &str) -> String {
    format!("left:{target}")
}

/// The number of the layer whose format a node reads.
fn format_number(name: &str) -> Option<u32> {
    number(name.strip_suffix("-format")?)
}

fn number(name: &str) -> Option<u32> {
    name.strip_prefix("libvirt-")?.split('-').next()?.parse().ok()
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

/// The nodes whose images keep something under this name within them: untrusted text.
///
/// # Errors
/// What the monitor answers.
pub(super) fn having(monitor: &Monitor, tag: &str) -> Result<Vec<String>, Error> {
    let has = |node: &&Json| {
        let kept = node.pointer("/image/snapshots").and_then(Json::as_array).into_iter().flatten();
        kept.filter_map(|one| one.get("name")?.as_str()).any(|name| name == tag)
    };
    let name = |node: &Json| node.get("node-name")?.as_str().map(str::to_owned);
    Ok(all(monitor)?.iter().filter(has).filter_map(name).collect())
}

/// What is counted of all nodes, with what each of them stands on: untrusted text.
///
/// # Errors
/// What the monitor answers.
pub(super) fn counted(monitor: &Monitor) -> Result<Vec<Json>, Error> {
    let command = Command::new("query-blockstats").with("query-nodes", true);
    let answer = monitor.run_all(&[command]).pop().unwrap_or_else(|| Ok("[]".to_owned()))?;
    Ok(serde_json::from_str(&answer).unwrap_or_default())
}

fn all(monitor: &Monitor) -> Result<Vec<Json>, Error> {
    let command = Command::new("query-named-block-nodes").with("flat", true);
    let answer = monitor.run_all(&[command]).pop().unwrap_or_else(|| Ok("[]".to_owned()))?;
    serde_json::from_str(&answer).map_err(|_| {
        problem("qemu.nodes-unreadable", "the hypervisor's list of block nodes cannot be read").hypervisor()
    })
}
