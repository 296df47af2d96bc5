//! `<domain>`: the whole of it, and what stands at its top level.

use crate::clock::Clock;
use crate::conflicts;
use crate::cpu::Cpu;
use crate::devices::Devices;
use crate::document::Document;
use crate::domain_type::DomainType;
use crate::error::{XmlError, XmlErrorKind};
use crate::features::Features;
use crate::identity::{DomainName, DomainUuid};
use crate::launch_security::LaunchSecurity;
use crate::limit::Limit;
use crate::memory_backing::MemoryBacking;
use crate::numatune::Numatune;
use crate::os::Os;
use crate::qemu::QemuNamespace;
use crate::read::Element;
use crate::sysinfo::Sysinfo;
use crate::trace::{Trace, Unmodelled};
use crate::units::Bytes;
use crate::vcpu::{IoThreads, Vcpus};

keywords! {
    /// What happens when the guest ends in some way.
    LifecycleAction {
        Destroy = "destroy", Restart = "restart", RenameRestart = "rename-restart", Preserve = "preserve",
        CoredumpDestroy = "coredump-destroy", CoredumpRestart = "coredump-restart",
    }
}

/// `<pm>`: sleep states that the guest is offered; none where the document is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pm {
    /// Suspend to memory (S3).
    pub suspend_to_mem: Option<bool>,
    /// Suspend to disk (S4).
    pub suspend_to_disk: Option<bool>,
}

/// `<genid>`: a number that changes when the guest goes back in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenId {
    /// Its value; none when still to be chosen.
    pub value: Option<DomainUuid>,
}

/// `<maxMemory>`: how far memory can grow by plugging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxMemory {
    /// The most there can be.
    pub size: Bytes,
    /// How many devices can be plugged.
    pub slots: Option<u32>,
}

/// A domain: a document, and what it says.
///
/// The fields are a projection: after edits of the document, [`Domain::refresh`] makes them anew.
#[derive(Debug, Clone)]
pub struct Domain {
    pub(crate) document: Document,
    /// Which hypervisor it is for.
    pub kind: DomainType,
    /// Its number while it runs.
    pub id: Option<u32>,
    /// Its name.
    pub name: DomainName,
    /// Its UUID; none when still to be chosen.
    pub uuid: Option<DomainUuid>,
    /// A number that changes when the guest goes back in time.
    pub genid: Option<GenId>,
    /// A short description, one line.
    pub title: Option<String>,
    /// A description.
    pub description: Option<String>,
    /// All memory, plugged devices included; always more than they are. Rounded up to KiB. When there are
    /// NUMA cells, their sum and the devices, whatever `<memory>` says.
    pub memory: Bytes,
    /// Memory that the balloon leaves to the guest; `memory` when not given, and never more.
    pub current_memory: Bytes,
    /// Whether the guest's memory goes into a core dump of the hypervisor.
    pub dump_core: Option<bool>,
    /// How far memory can grow.
    pub max_memory: Option<MaxMemory>,
    /// Virtual processors.
    pub vcpus: Vcpus,
    /// I/O threads.
    pub iothreads: IoThreads,
    /// Machine, firmware and what boots.
    pub os: Os,
    /// What firmware tells the guest.
    pub sysinfo: Vec<Sysinfo>,
    /// The processor model.
    pub cpu: Option<Cpu>,
    /// Switches of the machine.
    pub features: Features,
    /// The clock.
    pub clock: Clock,
    /// What happens when the guest switches itself off.
    pub on_poweroff: LifecycleAction,
    /// What happens when the guest boots again.
    pub on_reboot: LifecycleAction,
    /// What happens when the guest crashes.
    pub on_crash: LifecycleAction,
    /// Sleep states.
    pub pm: Pm,
    /// What holds the memory on the host.
    pub memory_backing: MemoryBacking,
    /// What the guest may use of its host.
    pub limits: Vec<Limit>,
    /// Host NUMA nodes that memory comes from.
    pub numatune: Numatune,
    /// How the guest's memory is protected from the host.
    pub launch_security: Option<LaunchSecurity>,
    /// The devices.
    pub devices: Devices,
    /// What stands in QEMU's namespace.
    pub qemu: QemuNamespace,
    pub(crate) unmodelled: Vec<Unmodelled>,
}

impl Domain {
    /// Parses a domain document.
    ///
    /// # Errors
    /// The text is not well-formed, exceeds a limit, is no domain, or says something that cannot be.
    pub fn parse(text: &str) -> Result<Self, XmlError> {
        Self::from_document(Document::parse(text).map_err(XmlError::or_remedy)?)
    }

    /// Reads a domain from a document.
    ///
    /// # Errors
    /// As [`Domain::parse`].
    pub fn from_document(document: Document) -> Result<Self, XmlError> {
        Self::project(document).map_err(XmlError::or_remedy)
    }

    fn project(document: Document) -> Result<Self, XmlError> {
        let trace = Trace::default();
        let root = Element::new(&document, &trace, document.root());
        root.require_root("domain")?;
        // Kept verbatim on purpose: they have no effect on how a guest runs.
        root.keep("metadata");
        let bare = read_general(root)?;
        let read = read_machine(root, bare)?;
        let unmodelled = trace.unread(&document)?;
        conflicts::check(&document, &read)?;
        Ok(Self { document, unmodelled, ..read })
    }

    /// The document.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The document, for edits; call [`Domain::refresh`] after them.
    pub fn document_mut(&mut self) -> &mut Document {
        &mut self.document
    }

    /// The document as text; byte for byte what was parsed, apart from edits.
    pub fn to_xml(&self) -> String {
        self.document.to_xml()
    }

    /// Makes the projection anew after edits. Nodes keep their ids; on an error nothing changes.
    ///
    /// # Errors
    /// The edited document says something that cannot be.
    pub fn refresh(&mut self) -> Result<(), XmlError> {
        let mut document = self.document.clone();
        document.locate();
        *self = Self::from_document(document)?;
        Ok(())
    }

    /// Memory at start, without memory devices.
    pub fn initial_memory(&self) -> Bytes {
        Bytes(self.memory.0.saturating_sub(self.plugged_memory().0))
    }

    /// Memory of all memory devices together.
    pub fn plugged_memory(&self) -> Bytes {
        Bytes(self.devices.memories.iter().fold(0, |sum, memory| sum.saturating_add(memory.size.0)))
    }

    /// What the model does not read, in document order: kept verbatim, and of no effect.
    pub fn unmodelled(&self) -> &[Unmodelled] {
        &self.unmodelled
    }
}

fn read_general(root: Element<'_>) -> Result<Domain, XmlError> {
    let given = root.child("memory");
    let action = |name| root.maybe(name, Element::content_keyword);
    Ok(Domain {
        document: Document::placeholder(),
        kind: DomainType::read(root)?,
        // -1 stands for a domain that does not run.
        id: if root.get("id") == Some("-1") { None } else { root.number("id")? },
        name: read_name(root.need_child("name")?)?,
        uuid: root.maybe("uuid", read_uuid)?,
        genid: root.maybe("genid", read_genid)?,
        title: root.maybe("title", read_title)?,
        description: root.text_of("description"),
        memory: Bytes(0),
        current_memory: Bytes(0),
        dump_core: given.map(|memory| memory.on_off("dumpCore")).transpose()?.flatten(),
        max_memory: root.maybe("maxMemory", |most| {
            Ok(MaxMemory { size: round_to_kib(most.size("KiB")?), slots: most.number("slots")? })
        })?,
        vcpus: Vcpus::read(root)?,
        iothreads: IoThreads::read(root)?,
        os: Os::default(),
        sysinfo: Vec::new(),
        cpu: None,
        features: Features::default(),
        clock: Clock::default(),
        on_poweroff: action("on_poweroff")?.unwrap_or(LifecycleAction::Destroy),
        on_reboot: action("on_reboot")?.unwrap_or(LifecycleAction::Restart),
        on_crash: action("on_crash")?.unwrap_or(LifecycleAction::Destroy),
        pm: Pm::default(),
        memory_backing: MemoryBacking::default(),
        limits: Vec::new(),
        numatune: Numatune::default(),
        launch_security: None,
        devices: Devices::default(),
        qemu: QemuNamespace::default(),
        unmodelled: Vec::new(),
    })
}

fn read_machine(root: Element<'_>, domain: Domain) -> Result<Domain, XmlError> {
    let read = Domain {
        os: root.need_child("os").and_then(Os::read)?,
        sysinfo: root.each("sysinfo", Sysinfo::read)?,
        cpu: root.maybe("cpu", Cpu::read)?,
        features: root.each("features", Features::read)?.into_iter().fold(Features::default(), Features::and),
        clock: root.maybe("clock", Clock::read)?.unwrap_or_default(),
        pm: root.maybe("pm", read_pm)?.unwrap_or_default(),
        memory_backing: root.maybe("memoryBacking", MemoryBacking::read)?.unwrap_or_default(),
        limits: Limit::read(root)?,
        numatune: root.maybe("numatune", Numatune::read)?.unwrap_or_default(),
        launch_security: root.maybe("launchSecurity", LaunchSecurity::read)?,
        devices: root.maybe("devices", Devices::read)?.unwrap_or_default(),
        qemu: QemuNamespace::read(root)?,
        ..domain
    };
    read_memory(root, read)
}

fn round_to_kib(size: Bytes) -> Bytes {
    Bytes::from_kib(size.kib())
}

/// Memory comes last: NUMA cells and plugged devices say how much there is, when there are cells.
fn read_memory(root: Element<'_>, domain: Domain) -> Result<Domain, XmlError> {
    let cells = domain.cpu.iter().flat_map(|cpu| &cpu.numa);
    let in_cells = cells.fold(0_u64, |sum, cell| sum.saturating_add(cell.memory.0));
    let given = root.maybe("memory", |memory| memory.size("KiB"))?;
    let total = match (in_cells, given) {
        (0, Some(given)) => given,
        (0, None) => root.need_child("memory")?.size("KiB")?,
        (cells, _) => Bytes(cells.saturating_add(domain.plugged_memory().0)),
    };
    let memory = round_to_kib(total);
    if memory.0 <= domain.plugged_memory().0 {
        let subject = root.child("memory").unwrap_or(root);
        let message = "no memory is left for the domain at start, besides its memory devices";
        return Err(subject.error(XmlErrorKind::OutOfRange, message));
    }
    let current = root.maybe("currentMemory", |current| current.size("KiB"))?.map(round_to_kib);
    let current = current.filter(|current| current.0 > 0).map_or(memory, |current| current.min(memory));
    Ok(Domain { memory, current_memory: current, ..domain })
}

fn read_name(name: Element<'_>) -> Result<DomainName, XmlError> {
    let text = name.content();
    DomainName::parse(&text)
        .map_err(|wrong| name.error(XmlErrorKind::InvalidValue, format!("the name of the domain {wrong}")))
}

fn read_uuid(uuid: Element<'_>) -> Result<DomainUuid, XmlError> {
    let text = uuid.word();
    DomainUuid::parse(&text)
        .map_err(|wrong| uuid.error(XmlErrorKind::InvalidValue, format!("the text of 'uuid' {wrong}")))
}

fn read_genid(genid: Element<'_>) -> Result<GenId, XmlError> {
    let value = if genid.content().is_empty() { None } else { Some(read_uuid(genid)?) };
    Ok(GenId { value })
}

fn read_title(title: Element<'_>) -> Result<String, XmlError> {
    let text = title.content();
    if text.contains('\n') {
        return Err(title.error(XmlErrorKind::InvalidValue, "the title contains a line end"));
    }
    Ok(text)
}

fn read_pm(pm: Element<'_>) -> Result<Pm, XmlError> {
    let state = |name| pm.maybe(name, |state| state.yes_no("enabled")).map(Option::flatten);
    Ok(Pm { suspend_to_mem: state("suspend-to-mem")?, suspend_to_disk: state("suspend-to-disk")? })
}

#[cfg(test)]
mod tests;
