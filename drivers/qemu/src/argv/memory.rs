//! `-m`, the object that holds the memory, and `-overcommit`.

use hostler_sdk::{Error, Value};

use super::builder::Builder;
use super::memory_backend::{self, Backend};

/// `-m`, and the object that holds all memory where the guest has no NUMA nodes.
pub(super) fn memory(builder: &mut Builder<'_>) -> Result<(), Error> {
    let initial = memory_backend::initial(builder);
    let value = match &builder.domain.max_memory {
        Some(maximum) => Value::mapping()
            .with("size", format!("{}k", initial.kib()))
            .with("slots", maximum.slots.unwrap_or(DEFAULT_SLOTS))
            .with("maxmem", format!("{}k", maximum.size.kib())),
        None => Value::mapping().with("size", initial.mib()),
    };
    builder.option("m", value);
    if memory_backend::whole_memory(builder) {
        // QEMU rounds `-m` to MiB, and the object must have the same size.
        let size = initial.mib().saturating_mul(1024 * 1024);
        let backend = Backend::whole(builder, size)?;
        builder.option("object", backend.object(memory_backend::WHOLE_ID));
    } else if memory_backend::legacy_cells(builder) && builder.domain.memory_backing.allocation.is_some() {
        builder.launch.flag("mem-prealloc");
    }
    Ok(())
}

/// Slots for memory that is plugged in later, when the document does not say how many.
const DEFAULT_SLOTS: u32 = 16;

/// `-overcommit`
pub(super) fn overcommit(builder: &mut Builder<'_>) -> Result<(), Error> {
    builder.option("overcommit", Value::mapping().with("mem-lock", builder.domain.memory_backing.locked));
    Ok(())
}
