//! Memory that guests share.

use hostler_sdk::domain::Bytes;
use hostler_sdk::domain::shmem::{Shmem, ShmemModel, ShmemRole};
use hostler_sdk::{Error, ProblemExt, Value};

use super::builder::{Builder, set_some};

/// The size when the document does not say.
const DEFAULT_SIZE: Bytes = Bytes(4 << 20);

/// All shared memory; the host's policy decides whether a driver may.
pub(super) fn shmems(builder: &mut Builder<'_>) -> Result<(), Error> {
    for shmem in &builder.domain.devices.shmems {
        let alias = builder.id(shmem.node)?;
        let mut value = match shmem.model {
            Some(ShmemModel::IvshmemPlain) => plain(builder, shmem, alias),
            Some(ShmemModel::IvshmemDoorbell) => doorbell(builder, shmem, alias),
            None | Some(ShmemModel::Ivshmem) => {
                return Err(builder
                    .at(
                        shmem.node,
                        "qemu.capability-missing",
                        "is of the model 'ivshmem', which QEMU no longer has",
                    )
                    .hint("write model type='ivshmem-plain' or type='ivshmem-doorbell'")
                    .unsupported());
            }
        };
        set_some(
            &mut value,
            "master",
            shmem.role.map(|role| if role == ShmemRole::Master { "on" } else { "off" }),
        );
        builder.place(&mut value, shmem.node, &shmem.info)?;
        builder.device(shmem.node, value);
    }
    Ok(())
}

fn plain(builder: &mut Builder<'_>, shmem: &Shmem, alias: &str) -> Value {
    let memory = format!("shmmem-{alias}");
    let object = Value::mapping()
        .with("qom-type", "memory-backend-file")
        .with("id", memory.as_str())
        .with("mem-path", format!("/dev/shm/{}", shmem.name))
        .with("size", shmem.size.unwrap_or(DEFAULT_SIZE).0)
        .with("share", true);
    builder.option("object", object);
    Value::mapping().with("driver", "ivshmem-plain").with("id", alias).with("memdev", memory)
}

fn doorbell(builder: &mut Builder<'_>, shmem: &Shmem, alias: &str) -> Value {
    let chardev = format!("char{alias}");
    let named = shmem.server.as_ref().and_then(|server| server.path.clone());
    let path = named.unwrap_or_else(|| format!("/var/lib/libvirt/shmem-{}-sock", shmem.name));
    builder.option(
        "chardev",
        Value::mapping().with("backend", "socket").with("id", chardev.as_str()).with("path", path),
    );
    let mut value =
        Value::mapping().with("driver", "ivshmem-doorbell").with("id", alias).with("chardev", chardev);
    set_some(&mut value, "vectors", shmem.msi.as_ref().and_then(|msi| msi.vectors));
    value.set("ioeventfd", shmem.msi.as_ref().and_then(|msi| msi.ioeventfd).unwrap_or(true));
    value
}
