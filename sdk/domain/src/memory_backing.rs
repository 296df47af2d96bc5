//! `<memoryBacking>`: what holds the guest's memory on the host.

use crate::cpu::MemoryAccess;
use crate::error::XmlError;
use crate::read::Element;
use crate::units::Bytes;

keywords! {
    /// What kind of host memory.
    MemorySource { Anonymous = "anonymous", File = "file", Memfd = "memfd" }
}
keywords! {
    /// When it is allocated.
    MemoryAllocation { Immediate = "immediate", Ondemand = "ondemand" }
}

/// The `<memoryBacking>` element.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryBacking {
    /// Huge pages; none when not asked for, empty for the host's default size.
    pub huge_pages: Option<Vec<HugePage>>,
    /// Equal pages are not merged.
    pub no_share_pages: bool,
    /// It stays in RAM.
    pub locked: bool,
    /// What kind of host memory.
    pub source: Option<MemorySource>,
    /// Whether it is shared with other processes.
    pub access: Option<MemoryAccess>,
    /// When it is allocated.
    pub allocation: Option<MemoryAllocation>,
    /// How many threads allocate it.
    pub allocation_threads: Option<u32>,
    /// It is thrown away at the end, not written back.
    pub discard: bool,
}

/// One `<page>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HugePage {
    /// Size of a page.
    pub size: Bytes,
    /// Guest cells that use it, such as `0-1`; none for all.
    pub nodeset: Option<String>,
}

impl MemoryBacking {
    pub(crate) fn read(backing: Element<'_>) -> Result<Self, XmlError> {
        let allocation = backing.child("allocation");
        Ok(Self {
            huge_pages: backing.maybe("hugepages", |pages| pages.each("page", read_page))?,
            no_share_pages: backing.has("nosharepages"),
            locked: backing.has("locked"),
            source: backing.maybe("source", |source| source.need_keyword("type"))?,
            access: backing.maybe("access", |access| access.need_keyword("mode"))?,
            allocation: allocation.map(|allocation| allocation.keyword("mode")).transpose()?.flatten(),
            allocation_threads: allocation
                .map(|allocation| allocation.number("threads"))
                .transpose()?
                .flatten(),
            discard: backing.has("discard"),
        })
    }
}

fn read_page(page: Element<'_>) -> Result<HugePage, XmlError> {
    let size = page.size_of("size", "KiB")?.ok_or_else(|| page.missing("size"))?;
    Ok(HugePage { size, nodeset: page.filled("nodeset") })
}
