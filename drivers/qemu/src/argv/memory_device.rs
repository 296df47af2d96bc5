//! Memory that is plugged into the machine.

use hostler_sdk::domain::Bytes;
use hostler_sdk::domain::address::Address;
use hostler_sdk::domain::memory_device::{MemoryDevice, MemoryModel};
use hostler_sdk::{Error, Value};

use super::builder::{Builder, set_some};
use super::memory_backend::{Backend, Wish};

/// Modules are a whole number of these, in bytes: what x86 guests can plug.
const MODULE_UNIT: u64 = 2 << 20;

/// All memory devices, each after the object that holds its content.
pub(super) fn devices(builder: &mut Builder<'_>) -> Result<(), Error> {
    for memory in &builder.domain.devices.memories {
        let alias = builder.id(memory.node)?;
        let id = format!("mem{alias}");
        let wish = Wish {
            cell: memory.cell,
            id: &id,
            access: memory.access,
            discard: memory.discard,
            path: memory.path.as_deref(),
            allocated: memory.model == MemoryModel::Nvdimm,
            page_size: memory.page_size.map(|size| size.0),
            nodemask: memory.nodemask.as_deref(),
            align: memory.align_size.map(|size| size.0),
            pmem: memory.pmem,
            on_demand: memory.model == MemoryModel::VirtioMem,
        };
        let size = memory.size.0.div_ceil(MODULE_UNIT).saturating_mul(MODULE_UNIT);
        let backend = Backend::new(builder, &wish, size)?;
        let filled = backend.is_filled_by_device().then_some(true);
        let object = backend.object(&id);
        let device = device(builder, memory, alias, &id)?.with_some("prealloc", filled);
        builder.option("object", object);
        builder.device(memory.node, device);
    }
    Ok(())
}

fn device(builder: &Builder<'_>, memory: &MemoryDevice, alias: &str, backend: &str) -> Result<Value, Error> {
    let driver = match memory.model {
        MemoryModel::Dimm => "pc-dimm",
        MemoryModel::Nvdimm => "nvdimm",
        MemoryModel::VirtioPmem => "virtio-pmem-pci",
        MemoryModel::VirtioMem => "virtio-mem-pci",
        MemoryModel::SgxEpc => {
            return Err(
                builder.unsupported(memory.node, "of model 'sgx-epc' is not supported by this driver")
            );
        }
    };
    let mut value = Value::mapping().with("driver", driver);
    set_some(&mut value, "node", memory.cell.filter(|_| memory.model != MemoryModel::VirtioPmem));
    set_some(&mut value, "label-size", memory.label_size.map(|size: Bytes| size.0));
    set_some(&mut value, "uuid", memory.uuid.as_deref());
    set_some(&mut value, "unarmed", (memory.readonly && memory.model == MemoryModel::Nvdimm).then_some(true));
    set_some(&mut value, "block-size", memory.block_size.map(|size| size.0));
    set_some(&mut value, "requested-size", memory.requested.map(|size| size.0));
    value.set("memdev", backend);
    value.set("id", alias);
    if let Some(Address::Dimm { slot, base }) = &memory.info.address {
        set_some(&mut value, "slot", *slot);
        set_some(&mut value, "addr", *base);
    }
    builder.place(&mut value, memory.node, &memory.info)?;
    Ok(value)
}
