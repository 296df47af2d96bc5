//! `<cpu>`: model, features, topology, cache, NUMA cells.

use std::collections::BTreeSet;

use crate::error::{XmlError, XmlErrorKind};
use crate::read::Element;
use crate::units::Bytes;

keywords! {
    /// Where the model comes from.
    CpuMode {
        Custom = "custom", HostModel = "host-model", HostPassthrough = "host-passthrough", Maximum = "maximum",
    }
}
keywords! {
    /// How strictly the processor must match.
    CpuMatch { Minimum = "minimum", Exact = "exact", Strict = "strict" }
}
keywords! {
    /// How far the processor is checked at start.
    CpuCheck { None = "none", Partial = "partial", Full = "full" }
}
keywords! {
    /// Whether a nearby model may stand in.
    CpuFallback { Allow = "allow", Forbid = "forbid" }
}
keywords! {
    /// What is asked of a feature.
    FeaturePolicy {
        Force = "force", Require = "require", Optional = "optional", Disable = "disable", Forbid = "forbid",
    }
}
keywords! {
    /// Whose cache the guest sees.
    CacheSource { Emulate = "emulate", Passthrough = "passthrough", Disable = "disable" }
}
keywords! {
    /// Where the width of physical addresses comes from.
    PhysicalBitsMode { Emulate = "emulate", Passthrough = "passthrough" }
}
keywords! {
    /// Whether the host's own process shares a cell's memory with others.
    MemoryAccess { Shared = "shared", Private = "private" }
}

/// The `<cpu>` element.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cpu {
    /// Where the model comes from; custom when only a model is given.
    pub mode: Option<CpuMode>,
    /// How strictly the processor must match.
    pub match_: Option<CpuMatch>,
    /// How far the processor is checked at start.
    pub check: Option<CpuCheck>,
    /// Whether only migratable features are shown.
    pub migratable: Option<bool>,
    /// The model.
    pub model: Option<CpuModel>,
    /// Vendor that the host must have.
    pub vendor: Option<String>,
    /// Features, in document order.
    pub features: Vec<CpuFeature>,
    /// Sockets, dies, cores, threads.
    pub topology: Option<Topology>,
    /// The cache.
    pub cache: Option<CpuCache>,
    /// Width of physical addresses.
    pub max_phys_addr: Option<MaxPhysAddr>,
    /// Guest NUMA cells, in document order.
    pub numa: Vec<NumaCell>,
    /// Memory latencies and bandwidths are given; not modelled further.
    pub has_interconnects: bool,
}

/// `<model>` of a CPU.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuModel {
    /// Its name; none when only the attributes are given.
    pub name: Option<String>,
    /// Whether a nearby model may stand in.
    pub fallback: Option<CpuFallback>,
    /// Vendor string shown to the guest, 12 characters.
    pub vendor_id: Option<String>,
}

/// One `<feature>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuFeature {
    /// Its name, in libvirt's spelling.
    pub name: String,
    /// What is asked of it.
    pub policy: FeaturePolicy,
}

/// `<topology>`; their product is the number of virtual CPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topology {
    /// Sockets.
    pub sockets: u32,
    /// Dies per socket.
    pub dies: u32,
    /// Clusters per die; none when not given.
    pub clusters: Option<u32>,
    /// Cores per die or cluster.
    pub cores: u32,
    /// Threads per core.
    pub threads: u32,
}

/// `<cache>` of a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuCache {
    /// The level; none means all.
    pub level: Option<u8>,
    /// Whose cache the guest sees.
    pub mode: CacheSource,
}

/// `<maxphysaddr>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPhysAddr {
    /// Where the width comes from.
    pub mode: PhysicalBitsMode,
    /// The width, in bits.
    pub bits: Option<u32>,
    /// The most that may be passed through, in bits.
    pub limit: Option<u32>,
}

/// One guest NUMA cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumaCell {
    /// Its number.
    pub id: u32,
    /// Its virtual CPUs, such as `0-3,8`; none for a cell without.
    pub cpus: Option<String>,
    /// Its memory.
    pub memory: Bytes,
    /// Whether its memory is shared with other processes.
    pub access: Option<MemoryAccess>,
    /// Whether its memory is thrown away at the end.
    pub discard: Option<bool>,
    /// Distances to other cells: (cell, distance), 10 being local.
    pub distances: Vec<(u32, u8)>,
}

impl Cpu {
    pub(crate) fn read(cpu: Element<'_>) -> Result<Self, XmlError> {
        let numa = cpu.child("numa");
        let cells = match numa {
            Some(numa) => read_cells(numa)?,
            None => Vec::new(),
        };
        Ok(Self {
            mode: cpu.keyword("mode")?,
            match_: cpu.keyword("match")?,
            check: cpu.keyword("check")?,
            migratable: cpu.on_off("migratable")?,
            model: cpu.maybe("model", read_model)?,
            vendor: cpu.text_of("vendor"),
            features: read_features(cpu)?,
            topology: cpu.maybe("topology", read_topology)?,
            cache: cpu.maybe("cache", |cache| {
                Ok(CpuCache { level: cache.number("level")?, mode: cache.need_keyword("mode")? })
            })?,
            max_phys_addr: cpu.maybe("maxphysaddr", |width| {
                Ok(MaxPhysAddr {
                    mode: width.need_keyword("mode")?,
                    bits: width.number("bits")?,
                    limit: width.number("limit")?,
                })
            })?,
            numa: cells,
            has_interconnects: numa.is_some_and(|numa| numa.has("interconnects")),
        })
    }
}

fn read_model(model: Element<'_>) -> Result<CpuModel, XmlError> {
    let vendor_id = model.filled("vendor_id");
    if let Some(bad) = vendor_id.as_deref().filter(|vendor| vendor.len() != 12 || vendor.contains(',')) {
        return Err(model.invalid(Some("vendor_id"), bad, "12 characters without a comma"));
    }
    let name = model.word();
    Ok(CpuModel {
        name: Some(name).filter(|name| !name.is_empty()),
        fallback: model.keyword("fallback")?,
        vendor_id,
    })
}

fn read_features(cpu: Element<'_>) -> Result<Vec<CpuFeature>, XmlError> {
    let mut features = Vec::new();
    let mut names = BTreeSet::new();
    for element in cpu.children("feature") {
        let name = element.need_string("name")?;
        if !names.insert(name.clone()) {
            return Err(element.error(XmlErrorKind::Conflict, format!("CPU feature '{name}' is given twice")));
        }
        let policy = element.keyword("policy")?.unwrap_or(FeaturePolicy::Require);
        features.push(CpuFeature { name, policy });
    }
    Ok(features)
}

fn read_topology(topology: Element<'_>) -> Result<Topology, XmlError> {
    let positive = |name, number: u32| {
        if number == 0 {
            let message = format!("attribute '{name}' of 'topology' is 0");
            return Err(topology.fault(Some(name), XmlErrorKind::OutOfRange, message));
        }
        Ok(number)
    };
    Ok(Topology {
        sockets: positive("sockets", topology.need_number("sockets")?)?,
        dies: positive("dies", topology.number("dies")?.unwrap_or(1))?,
        clusters: topology.number("clusters")?,
        cores: positive("cores", topology.need_number("cores")?)?,
        threads: positive("threads", topology.need_number("threads")?)?,
    })
}

fn read_cells(numa: Element<'_>) -> Result<Vec<NumaCell>, XmlError> {
    let mut cells = Vec::new();
    let mut ids = BTreeSet::new();
    for (place, element) in numa.children("cell").enumerate() {
        let cell = read_cell(element, u32::try_from(place).unwrap_or(u32::MAX))?;
        if !ids.insert(cell.id) {
            return Err(
                element.error(XmlErrorKind::Conflict, format!("NUMA cell {} is given twice", cell.id))
            );
        }
        cells.push(cell);
    }
    Ok(cells)
}

fn read_cell(cell: Element<'_>, place: u32) -> Result<NumaCell, XmlError> {
    let distances = cell.maybe("distances", |distances| {
        distances.each("sibling", |sibling| Ok((sibling.need_number("id")?, sibling.need_number("value")?)))
    })?;
    Ok(NumaCell {
        id: cell.number("id")?.unwrap_or(place),
        cpus: cell.filled("cpus"),
        memory: cell.size_of("memory", "KiB")?.ok_or_else(|| cell.missing("memory"))?,
        access: cell.keyword("memAccess")?,
        discard: cell.yes_no("discard")?,
        distances: distances.unwrap_or_default(),
    })
}
