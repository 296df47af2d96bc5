//! Opens a sample: makes its images, has the driver describe them, and looks at what QEMU made of that.

use super::files::held;
use super::kinds::{Needs, Sample};
use crate::qemu::Monitor;
use crate::shell;
use hostler_domain::Domain;
use hostler_domain::disk::Disk;
use hostler_domain::storage_source::Location;
use hostler_driver_qemu::blockdev::{Chain, Names, Node, Object, declared};
use hostler_sdk::{Below, Layer, Symbol, Value as Described};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Why a sample was not opened as wanted.
pub(super) enum Failure {
    /// It cannot be had on this machine.
    Impossible(String),
    /// Something is not as it should be.
    Wrong(String),
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self::Wrong(why)
    }
}

/// The password of all samples.
const PASSWORD: &str = "hunter2";

/// Opens one sample in this directory, which is its own.
pub(super) fn open(sample: &Sample, home: &Path) -> Result<(), Failure> {
    make(sample, home)?;
    let surroundings = Surroundings::of(sample, home)?;
    let placed = placed(&sample.disk, home, &surroundings);
    let disk = disk(&placed)?;
    let layers = layers(sample, &disk);
    let arguments = arguments(sample, &disk, &layers, home)?;
    let mut monitor = Monitor::start(&arguments.words).map_err(|error| format!("{error:#}"))?;
    check_nodes(sample, &mut monitor, &arguments.nodes)?;
    let found = held(monitor.process(), home, surroundings.device.as_deref())?;
    let wanted: BTreeMap<String, bool> =
        sample.files.iter().map(|(name, writable)| ((*name).to_owned(), *writable)).collect();
    if found != wanted {
        return Err(Failure::Wrong(format!("QEMU holds {found:?}, and {wanted:?} is what it should")));
    }
    drop(monitor);
    Ok(())
}

/// Makes the images of a sample.
pub(super) fn make(sample: &Sample, home: &Path) -> Result<(), String> {
    for image in &sample.images {
        let placed = image.replace("DIR", &home.display().to_string());
        shell::read(Command::new("qemu-img").args(placed.split(' ')))
            .map_err(|error| format!("{error:#}"))?;
    }
    sample.craft.map_or(Ok(()), |craft| craft(home)).map_err(|error| format!("cannot craft it: {error}"))
}

/// The disk of a document's element.
pub(super) fn disk(element: &str) -> Result<Disk, String> {
    let xml = format!(
        "<domain type='qemu'><name>sample</name><memory>1024</memory><os><type>hvm</type></os><devices>{element}</devices></domain>"
    );
    let domain = Domain::parse(&xml).map_err(|error| error.to_string())?;
    domain.devices.disks.first().cloned().ok_or_else(|| "it has no disk".to_owned())
}

/// The layers as the host would have resolved them: all known, and a data file below the active layer.
pub(super) fn layers(sample: &Sample, disk: &Disk) -> Vec<Layer> {
    let mut layers = declared(disk);
    if sample.data_file.is_some() {
        let index = u32::try_from(layers.len()).unwrap_or(u32::MAX);
        if let Some(active) = layers.first_mut() {
            active.data_file = Some(index);
        }
        layers.push(Layer {
            format: "raw".to_owned(),
            kind: "file".to_owned(),
            description: String::new(),
            virtual_size: 0,
            read_only: false,
            below: Below::Nothing,
            data_file: None,
            facts: Vec::new(),
        });
    }
    layers
}

fn placed(text: &str, home: &Path, surroundings: &Surroundings) -> String {
    let device = surroundings.device.as_deref().unwrap_or_default();
    text.replace("DIR", &home.display().to_string()).replace("DEVICE", device)
}

/// What was started for a sample; it is gone when this is.
struct Surroundings {
    device: Option<String>,
}

impl Surroundings {
    fn of(sample: &Sample, home: &Path) -> Result<Self, Failure> {
        let file = home.join("a");
        match sample.needs {
            Needs::Nothing | Needs::HiddenNodes => Ok(Self { device: None }),
            Needs::Loop => {
                let device = shell::read(Command::new("losetup").args(["--find", "--show"]).arg(file))
                    .map_err(|error| {
                        Failure::Impossible(format!("no loop device can be had here: {error:#}"))
                    })?;
                Ok(Self { device: Some(device.trim().to_owned()) })
            }
            Needs::Server => {
                // It returns once it listens, and ends when its only client has gone.
                shell::run(
                    Command::new("qemu-nbd")
                        .args(["--fork", "--format=raw", "--socket"])
                        .arg(home.join("socket"))
                        .arg(file),
                )
                .map_err(|error| format!("{error:#}"))?;
                Ok(Self { device: None })
            }
        }
    }
}

impl Drop for Surroundings {
    fn drop(&mut self) {
        if let Some(device) = &self.device
            && let Err(error) = shell::read(Command::new("losetup").arg("--detach").arg(device))
        {
            eprintln!("{device} stays: {error:#}");
        }
    }
}

/// A command line, and the nodes on it.
pub(super) struct Arguments {
    pub(super) words: Vec<String>,
    pub(super) nodes: Vec<Value>,
}

/// The command line of a sample, as a launch has it, with names in the places of descriptors.
pub(super) fn arguments(
    sample: &Sample,
    disk: &Disk,
    layers: &[Layer],
    home: &Path,
) -> Result<Arguments, String> {
    let chain = Chain { disk, layers, names: Names::Numbered(1), comparison: false };
    let described = chain.nodes().map_err(|error| format!("{error:?}"))?;
    let mut made = Arguments { words: Vec::new(), nodes: Vec::new() };
    let name = |symbol: &Symbol| image(symbol, disk, sample, home);
    for node in described {
        let (option, text) = match node {
            Node::Block(node) => {
                let text = node.to_json(&name);
                made.nodes.push(serde_json::from_str(&text).map_err(|error| error.to_string())?);
                ("-blockdev", text)
            }
            Node::Object(object) => ("-object", self::object(&object)?.to_json(&name)),
        };
        made.words.extend([option.to_owned(), text]);
    }
    let top = chain.top().map_err(|error| format!("{error:?}"))?;
    let is_there = made.nodes.iter().any(|node| node["node-name"] == top.as_str());
    if is_there { Ok(made) } else { Err(format!("the node '{top}' that a device would use is not there")) }
}

fn object(object: &Object) -> Result<Described, String> {
    match object {
        Object::Secret { id, .. } => {
            Ok(Described::mapping().with("qom-type", "secret").with("id", id.as_str()).with("data", PASSWORD))
        }
        other => Err(format!("no sample needs {other:?}")),
    }
}

fn image(symbol: &Symbol, disk: &Disk, sample: &Sample, home: &Path) -> String {
    let Symbol::Image { layer, .. } = symbol else { return format!("{symbol:?}") };
    let place = usize::try_from(*layer).unwrap_or(usize::MAX);
    match disk.source.layers().nth(place).map(|source| &source.location) {
        Some(Location::File(path) | Location::Block(path) | Location::Dir(path)) => path.clone(),
        _ => home.join(sample.data_file.unwrap_or_default()).display().to_string(),
    }
}

/// Every node that was described is there as it was described, and no other.
fn check_nodes(sample: &Sample, monitor: &mut Monitor, described: &[Value]) -> Result<(), String> {
    let answer = monitor
        .ask("query-named-block-nodes", &json!({ "flat": true }))
        .map_err(|error| format!("{error:#}"))?;
    let there = answer.as_array().ok_or("the nodes are no list")?;
    let find = |name: &Value| there.iter().find(|node| node["node-name"] == *name);
    for node in described {
        let found = find(&node["node-name"]).ok_or_else(|| format!("{node} is not there"))?;
        if found["drv"] != node["driver"] {
            return Err(format!("{node} is driven by {}", found["drv"]));
        }
        if let Some(read_only) = node.get("read-only")
            && found["ro"] != *read_only
        {
            return Err(format!("{node} is read-only: {}", found["ro"]));
        }
    }
    let mut known = Known::default();
    described.iter().for_each(|node| known.add(node));
    there.iter().filter(|_| sample.needs != Needs::HiddenNodes).try_for_each(|node| known.meet(node))
}

/// The nodes that were described, those inside others too.
#[derive(Default)]
struct Known {
    names: BTreeSet<String>,
    /// Driver and file of those without a name: the bytes inside an interpreted image. A window onto such bytes
    /// has no file of its own.
    nameless: Vec<(String, Option<String>)>,
}

impl Known {
    fn add(&mut self, value: &Value) {
        let Value::Object(members) = value else { return };
        match (members.get("node-name"), members.get("driver"), members.get("filename")) {
            (Some(name), _, _) => drop(self.names.insert(name.to_string())),
            (None, Some(driver), file) => {
                self.nameless.push((driver.to_string(), file.map(Value::to_string)));
            }
            _ => {}
        }
        members.values().for_each(|inner| self.add(inner));
    }

    /// Each description without a name stands for one node that QEMU named itself.
    fn meet(&mut self, node: &Value) -> Result<(), String> {
        let name = node["node-name"].to_string();
        if self.names.contains(&name) {
            return Ok(());
        }
        let (driver, file) = (node["drv"].to_string(), node["file"].to_string());
        let same = |described: &(String, Option<String>)| {
            described.0 == driver && described.1.as_ref().is_none_or(|described| *described == file)
        };
        match self.nameless.iter().position(same) {
            Some(position) => {
                self.nameless.remove(position);
                Ok(())
            }
            None => Err(format!("nobody described the node {name}: QEMU followed a name that it found")),
        }
    }
}
