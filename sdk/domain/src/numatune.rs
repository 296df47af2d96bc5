//! `<numatune>`: host NUMA nodes that the guest's memory comes from.

use std::collections::BTreeSet;

use crate::error::{XmlError, XmlErrorKind};
use crate::read::Element;

keywords! {
    /// How strictly host nodes are used.
    NumaMode { Strict = "strict", Preferred = "preferred", Interleave = "interleave", Restrictive = "restrictive" }
}
keywords! {
    /// Who chooses host processors or nodes.
    Placement { Static = "static", Auto = "auto" }
}

/// The `<numatune>` element.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Numatune {
    /// For all memory.
    pub memory: Option<NumaMemory>,
    /// Per guest cell.
    pub cells: Vec<MemNode>,
}

/// `<memory>` of numatune.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumaMemory {
    /// How strictly the nodes are used; strict when not given.
    pub mode: NumaMode,
    /// Host nodes, such as `0-3,^1`.
    pub nodeset: Option<String>,
    /// Who chooses the nodes.
    pub placement: Option<Placement>,
}

/// `<memnode>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemNode {
    /// The guest cell.
    pub cell: u32,
    /// How strictly the nodes are used; strict when not given.
    pub mode: NumaMode,
    /// Host nodes.
    pub nodeset: String,
}

impl Numatune {
    pub(crate) fn read(numatune: Element<'_>) -> Result<Self, XmlError> {
        let memory = numatune.maybe("memory", |memory| {
            Ok(NumaMemory {
                mode: memory.keyword("mode")?.unwrap_or(NumaMode::Strict),
                nodeset: memory.filled("nodeset"),
                placement: memory.keyword("placement")?,
            })
        })?;
        let mut cells = Vec::new();
        let mut ids = BTreeSet::new();
        for element in numatune.children("memnode") {
            let cell = MemNode {
                cell: element.need_number("cellid")?,
                mode: element.keyword("mode")?.unwrap_or(NumaMode::Strict),
                nodeset: element.need_string("nodeset")?,
            };
            if !ids.insert(cell.cell) {
                let message = format!("'memnode' for cell {} is given twice", cell.cell);
                return Err(element.error(XmlErrorKind::Conflict, message));
            }
            cells.push(cell);
        }
        Ok(Self { memory, cells })
    }
}
