//! The objects that hold the guest's memory.

use hostler_sdk::domain::cpu::{Cpu, MemoryAccess, NumaCell};
use hostler_sdk::domain::memory_backing::{MemoryAllocation, MemorySource};
use hostler_sdk::domain::numatune::NumaMode;
use hostler_sdk::domain::{Bytes, number_set};
use hostler_sdk::{Error, ProblemExt, Value, problem};

use super::builder::{Builder, set_some};
use super::comparison;

/// The id of the object that holds all memory: QEMU's own, so that a migration finds it again.
pub(super) const WHOLE_ID: &str = "pc.ram";

/// The size of a huge page when the document does not say: what x86 has by default.
const DEFAULT_HUGE_PAGE: u64 = 2 << 20;

/// Pages that are not huge on x86.
const SMALL_PAGE: u64 = 4096;

/// The largest number of a host NUMA node that QEMU and Linux know.
const HIGHEST_HOST_NODE: u32 = 127;

/// Where memory comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// Anonymous memory.
    Ram,
    /// An anonymous file, with huge pages of this size if any.
    Memfd(Option<u64>),
    /// A file of the host.
    File(String),
}

/// One object that holds memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backend {
    source: Source,
    shared: Option<bool>,
    discard: bool,
    keep_name: bool,
    prealloc: bool,
    prealloc_threads: Option<u32>,
    size: u64,
    align: Option<u64>,
    pmem: bool,
    on_demand: bool,
    host_nodes: Option<(Vec<Value>, &'static str)>,
}

/// What a memory device asks of its object, beyond what the domain says about all memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish<'a> {
    /// The guest's node, for the domain's rules about nodes.
    pub(super) cell: Option<u32>,
    /// The object's id.
    pub(super) id: &'a str,
    /// Who else sees the memory.
    pub(super) access: Option<MemoryAccess>,
    /// Whether the content may be thrown away.
    pub(super) discard: Option<bool>,
    /// A file of the host that is the content.
    pub(super) path: Option<&'a str>,
    /// Whether that file is filled before the guest runs.
    pub(super) allocated: bool,
    /// Size of its pages, in bytes.
    pub(super) page_size: Option<u64>,
    /// The host nodes that it comes from.
    pub(super) nodemask: Option<&'a str>,
    /// Its alignment, in bytes.
    pub(super) align: Option<u64>,
    /// Whether it is persistent memory.
    pub(super) pmem: bool,
    /// Whether the guest gets it bit by bit: then the host reserves none, and the device fills it.
    pub(super) on_demand: bool,
}

impl Backend {
    /// The object that holds all of the guest's memory.
    ///
    /// # Errors
    /// A set of host nodes that is none.
    pub(super) fn whole(builder: &Builder<'_>, size: u64) -> Result<Self, Error> {
        let mut backend = Self::new(builder, &Wish { id: WHOLE_ID, ..Wish::default() }, size)?;
        // The object's id is the name under which a migration looks for it, and not its path.
        backend.keep_name = backend.source != Source::Ram;
        Ok(backend)
    }

    /// The object that holds one node's memory.
    ///
    /// # Errors
    /// A set of host nodes that is none.
    pub(super) fn cell(builder: &Builder<'_>, cell: &NumaCell, id: &str) -> Result<Self, Error> {
        let wish =
            Wish { cell: Some(cell.id), id, access: cell.access, discard: cell.discard, ..Wish::default() };
        Self::new(builder, &wish, cell.memory.mib().saturating_mul(1024 * 1024))
    }

    /// The object for this wish.
    ///
    /// # Errors
    /// A set of host nodes that is none.
    pub(super) fn new(builder: &Builder<'_>, wish: &Wish<'_>, size: u64) -> Result<Self, Error> {
        let backing = &builder.domain.memory_backing;
        let huge = huge_page(builder, wish);
        let access = wish.access.or(backing.access);
        let (source, always_shared) = source(builder, wish, huge, access);
        let prealloc =
            backing.allocation == Some(MemoryAllocation::Immediate) || huge.is_some() || wish.allocated;
        Ok(Backend {
            shared: access.map(|access| access == MemoryAccess::Shared).or(always_shared),
            discard: wish.discard.unwrap_or(backing.discard) && matches!(source, Source::File(_)),
            keep_name: false,
            prealloc,
            prealloc_threads: backing.allocation_threads.filter(|_| prealloc),
            size,
            align: wish.align,
            pmem: wish.pmem,
            on_demand: wish.on_demand,
            host_nodes: host_nodes(builder, wish)?,
            source,
        })
    }

    /// Whether the device has to fill the memory that the guest gets.
    pub(super) fn is_filled_by_device(&self) -> bool {
        self.on_demand && self.prealloc
    }

    /// Whether `-numa …,mem=` could not say the same.
    fn is_needed(&self) -> bool {
        self.source != Source::Ram || self.host_nodes.is_some() || self.shared.is_some()
    }

    /// The object.
    pub(super) fn object(self, id: &str) -> Value {
        let mut value = Value::mapping();
        match &self.source {
            Source::Ram => value.set("qom-type", "memory-backend-ram"),
            Source::Memfd(_) => value.set("qom-type", "memory-backend-memfd"),
            Source::File(_) => value.set("qom-type", "memory-backend-file"),
        }
        value.set("id", id);
        if let Source::Memfd(Some(page)) = self.source {
            value.set("hugetlb", true);
            value.set("hugetlbsize", page);
        }
        if let Source::File(path) = &self.source {
            value.set("mem-path", path.as_str());
        }
        set_some(&mut value, "share", self.shared);
        set_some(&mut value, "discard-data", self.discard.then_some(true));
        set_some(&mut value, "x-use-canonical-path-for-ramblock-id", self.keep_name.then_some(false));
        if self.on_demand {
            value.set("reserve", false);
        } else {
            set_some(&mut value, "prealloc", self.prealloc.then_some(true));
            set_some(&mut value, "prealloc-threads", self.prealloc_threads);
        }
        value.set("size", self.size);
        set_some(&mut value, "align", self.align);
        set_some(&mut value, "pmem", self.pmem.then_some(true));
        if let Some((nodes, policy)) = self.host_nodes {
            value.set("host-nodes", nodes);
            value.set("policy", policy);
        }
        value
    }
}

/// Where the memory comes from, and whether that makes it shared although nobody asked. Huge pages and
/// shared memory need no path of the host: an anonymous file does what a file would.
fn source(
    builder: &Builder<'_>,
    wish: &Wish<'_>,
    huge: Option<u64>,
    access: Option<MemoryAccess>,
) -> (Source, Option<bool>) {
    let backing = &builder.domain.memory_backing;
    if let Some(path) = wish.path {
        return (Source::File(path.to_owned()), None);
    }
    if backing.source == Some(MemorySource::Memfd) {
        return (Source::Memfd(huge), None);
    }
    if huge.is_none() && access.is_none() && backing.source != Some(MemorySource::File) {
        return (Source::Ram, None);
    }
    if builder.inputs.facts.comparison {
        return (Source::File(comparison::memory_path(builder.domain, huge, wish.id)), None);
    }
    (Source::Memfd(huge), Some(false))
}

fn huge_page(builder: &Builder<'_>, wish: &Wish<'_>) -> Option<u64> {
    let pages = builder.domain.memory_backing.huge_pages.as_deref();
    let size = |bytes: u64| if bytes == 0 { DEFAULT_HUGE_PAGE } else { bytes };
    let size = match (wish.page_size, pages?) {
        (Some(bytes), _) => size(bytes),
        (None, []) => DEFAULT_HUGE_PAGE,
        (None, pages) => {
            let node = wish.cell.unwrap_or(0);
            let meant = |set: &Option<String>| {
                set.as_deref().is_some_and(|set| number_set(set).is_some_and(|set| set.contains(&node)))
            };
            let page = pages.iter().find(|page| meant(&page.nodeset));
            size(page.or_else(|| pages.iter().find(|page| page.nodeset.is_none()))?.size.0)
        }
    };
    (size > SMALL_PAGE).then_some(size)
}

fn host_nodes(builder: &Builder<'_>, wish: &Wish<'_>) -> Result<Option<(Vec<Value>, &'static str)>, Error> {
    let tune = &builder.domain.numatune;
    let of_cell = tune.cells.iter().find(|node| Some(node.cell) == wish.cell);
    let all = tune.memory.as_ref();
    let mode = of_cell.map(|node| node.mode).or(all.map(|memory| memory.mode)).unwrap_or(NumaMode::Strict);
    let set = wish
        .nodemask
        .or(of_cell.map(|node| node.nodeset.as_str()))
        .or(all.and_then(|memory| memory.nodeset.as_deref()));
    let Some(set) = set else { return Ok(None) };
    let policy = match mode {
        NumaMode::Strict => "bind",
        NumaMode::Preferred => "preferred",
        NumaMode::Interleave => "interleave",
        // Only the host's control groups keep the guest there.
        NumaMode::Restrictive => return Ok(None),
    };
    let nodes = number_set(set).ok_or_else(|| {
        problem("qemu.nodeset", format!("'{set}' is no set of host nodes"))
            .hint(format!("write it like '0-3,^2,8'; nodes go up to {HIGHEST_HOST_NODE}"))
            .invalid()
    })?;
    Ok(Some((nodes.into_iter().map(Value::from).collect(), policy)))
}

/// The memory that the guest starts with: everything but what is plugged in.
pub(super) fn initial(builder: &Builder<'_>) -> Bytes {
    let domain = builder.domain;
    match domain.cpu.as_ref().map(|cpu| cpu.numa.as_slice()) {
        Some(cells @ [_, ..]) => {
            Bytes::from_mib(cells.iter().fold(0, |sum: u64, cell| sum.saturating_add(cell.memory.mib())))
        }
        _ => {
            let plugged =
                domain.devices.memories.iter().fold(0, |sum: u64, memory| sum.saturating_add(memory.size.0));
            Bytes(domain.memory.0.saturating_sub(plugged))
        }
    }
}

fn cells<'a>(builder: &Builder<'a>) -> &'a [NumaCell] {
    builder.domain.cpu.as_ref().map_or(&[], |cpu: &'a Cpu| &cpu.numa)
}

/// Whether one object holds all memory: there are no NUMA nodes.
pub(super) fn whole_memory(builder: &Builder<'_>) -> bool {
    cells(builder).is_empty()
}

/// Whether nodes are described the way that machine types up to 5.0 still have, without objects: a
/// guest that was started so must stay so.
pub(super) fn legacy_cells(builder: &Builder<'_>) -> bool {
    let version = builder.domain.os.machine.as_deref().and_then(crate::machine_version::of);
    if version.is_none_or(|version| version > (5, 0)) {
        return false;
    }
    cells(builder)
        .iter()
        .all(|cell| Backend::cell(builder, cell, "").is_ok_and(|backend| !backend.is_needed()))
}
