//! What no QEMU has, whatever the host: parts of a document that do not go together.
//!
//! One file for each subject. A rule looks at the document as its author wrote it, says what is wrong where it
//! stands there, and what to write instead. A document of libvirt that breaks a rule is refused there too: recorded
//! documents that libvirt takes are run through every rule by the tests.

mod char_devices;
mod cpus;
mod disk_places;
mod disks;
mod displays;
mod filesystems;
mod firmware_tables;
mod host_devices;
mod inputs;
mod labels;
mod machines;
mod memory;
mod networks;
mod numa;
mod shared_memory;
mod sounds;
mod threads;
mod timers;
mod usb;

use hostler_sdk::domain::clock::TimerName;
use hostler_sdk::domain::{Document, Domain, DomainType, NodeId};
use hostler_sdk::{Error, ProblemExt, problem};

use crate::machine::{DEFAULT_MACHINE, Machine, is_x86};

/// The architecture of a guest whose document names none.
const DEFAULT_ARCH: &str = "x86_64";

/// What the rules look at.
#[derive(Clone, Copy)]
struct Subject<'a> {
    domain: &'a Domain,
    arch: &'a str,
    /// The machine type as it is written.
    machine_name: &'a str,
    machine: Machine,
}

impl<'a> Subject<'a> {
    fn of(domain: &'a Domain) -> Self {
        let machine_name = domain.os.machine.as_deref().unwrap_or(DEFAULT_MACHINE);
        let arch = domain.os.arch.as_deref().unwrap_or(DEFAULT_ARCH);
        Self { domain, arch, machine_name, machine: Machine::of(machine_name) }
    }

    fn is_x86(&self) -> bool {
        is_x86(self.arch)
    }

    fn is_arm(&self) -> bool {
        self.arch == "aarch64" || self.arch.starts_with("arm")
    }

    /// The element of a timer, or the clock.
    fn timer(&self, name: TimerName) -> NodeId {
        let (document, clock) = (self.document(), self.element(&["clock"]));
        let mut timers = document.elements(clock);
        timers.find(|node| document.attribute(*node, "name") == Some(name.as_str())).unwrap_or(clock)
    }

    fn document(&self) -> &'a Document {
        self.domain.document()
    }

    /// The element to which these names lead from the root, or the last one that is there.
    fn element(&self, names: &[&str]) -> NodeId {
        let document = self.document();
        let found =
            names.iter().try_fold(document.root(), |node, name| document.child(node, name).ok_or(node));
        found.unwrap_or_else(|last| last)
    }

    /// A child of a device, or the device.
    fn within(&self, device: NodeId, name: &str) -> NodeId {
        self.document().child(device, name).unwrap_or(device)
    }
}

/// A rule that is broken.
#[derive(Debug)]
struct Broken {
    node: NodeId,
    code: &'static str,
    /// What is wrong, as a sentence without a final stop.
    what: String,
    /// What to write instead.
    remedy: &'static str,
}

/// A rule that is broken, and its remedy.
fn broken(node: NodeId, code: &'static str, what: impl Into<String>, remedy: &'static str) -> Option<Broken> {
    Some(Broken { node, code, what: what.into(), remedy })
}

/// Looks at a document.
type Rule = fn(&Subject<'_>) -> Option<Broken>;

const RULES: &[&[Rule]] = &[
    machines::RULES,
    timers::RULES,
    firmware_tables::RULES,
    labels::RULES,
    cpus::RULES,
    threads::RULES,
    numa::RULES,
    memory::RULES,
    disks::RULES,
    disk_places::RULES,
    usb::RULES,
    sounds::RULES,
    shared_memory::RULES,
    networks::RULES,
    char_devices::RULES,
    displays::RULES,
    inputs::RULES,
    host_devices::RULES,
    filesystems::RULES,
];

/// Refuses a document that breaks a rule.
///
/// # Errors
/// `unsupported`, for the first rule that is broken, with its place and remedy.
pub(crate) fn refuse(domain: &Domain) -> Result<(), Error> {
    if !matches!(domain.kind, DomainType::Kvm | DomainType::Qemu) {
        return Ok(());
    }
    let subject = Subject::of(domain);
    match RULES.iter().copied().flatten().find_map(|rule| rule(&subject)) {
        Some(broken) => Err(at(&subject, &broken)),
        None => Ok(()),
    }
}

fn at(subject: &Subject<'_>, broken: &Broken) -> Error {
    let document = subject.document();
    let position = document.position(broken.node);
    problem(broken.code, broken.what.as_str())
        .hint(broken.remedy)
        .detail("line", position.line.to_string())
        .detail("column", position.column.to_string())
        .detail("element", document.path(broken.node))
        .unsupported()
}

#[cfg(test)]
mod tests;
