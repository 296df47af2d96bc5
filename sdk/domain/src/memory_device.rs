//! `<memory>` devices: memory that is plugged in.

use crate::cpu::MemoryAccess;
use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::XmlError;
use crate::read::Element;
use crate::units::Bytes;

keywords! {
    /// What kind of memory device.
    MemoryModel {
        Dimm = "dimm", Nvdimm = "nvdimm", VirtioPmem = "virtio-pmem", VirtioMem = "virtio-mem", SgxEpc = "sgx-epc",
    }
}

/// Memory that is plugged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryDevice {
    /// The element.
    pub node: NodeId,
    /// What kind.
    pub model: MemoryModel,
    /// Whether it is shared with other processes.
    pub access: Option<MemoryAccess>,
    /// Whether it is thrown away at the end.
    pub discard: Option<bool>,
    /// UUID of a persistent memory device.
    pub uuid: Option<String>,
    /// Host path of the file or device that holds it.
    pub path: Option<String>,
    /// Boundary on which it is mapped.
    pub align_size: Option<Bytes>,
    /// Whether the host's own memory is persistent.
    pub pmem: bool,
    /// Size of the host's pages.
    pub page_size: Option<Bytes>,
    /// Host nodes it comes from.
    pub nodemask: Option<String>,
    /// Its size.
    pub size: Bytes,
    /// The guest cell it belongs to.
    pub cell: Option<u32>,
    /// Size of the label area of an NVDIMM.
    pub label_size: Option<Bytes>,
    /// Whether the guest cannot write.
    pub readonly: bool,
    /// Size of a block of virtio-mem.
    pub block_size: Option<Bytes>,
    /// How much of virtio-mem the guest is asked to use.
    pub requested: Option<Bytes>,
    /// How much of virtio-mem it uses, in a running domain.
    pub current: Option<Bytes>,
    /// Alias, address.
    pub info: DeviceInfo,
}

impl MemoryDevice {
    pub(crate) fn read(memory: Element<'_>) -> Result<Self, XmlError> {
        let target = memory.need_child("target")?;
        let source = memory.child("source");
        let kib = |holder: Element<'_>, name| holder.maybe(name, |size| size.size("KiB"));
        let of_source = |name| source.map(|source| kib(source, name)).transpose().map(Option::flatten);
        let label = target.child("label");
        Ok(Self {
            node: memory.node,
            model: memory.need_keyword("model")?,
            access: memory.keyword("access")?,
            discard: memory.yes_no("discard")?,
            uuid: memory.text_of("uuid"),
            path: source.and_then(|source| source.text_of("path")),
            align_size: of_source("alignsize")?,
            pmem: source.is_some_and(|source| source.has("pmem")),
            page_size: of_source("pagesize")?,
            nodemask: source.and_then(|source| source.text_of("nodemask")),
            size: target.need_child("size")?.size("KiB")?,
            cell: target.maybe("node", Element::content_number)?,
            label_size: label.map(|label| kib(label, "size")).transpose()?.flatten(),
            readonly: target.has("readonly"),
            block_size: kib(target, "block")?,
            requested: kib(target, "requested")?,
            current: kib(target, "current")?,
            info: DeviceInfo::read(memory)?,
        })
    }
}
