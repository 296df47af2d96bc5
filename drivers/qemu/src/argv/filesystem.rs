//! Directories of the host that the guest sees. The host's policy decides whether a driver may.

use hostler_sdk::domain::filesystem::{
    AccessMode, Filesystem, FilesystemDriver, FilesystemType, MultiDevs, WritePolicy,
};
use hostler_sdk::{Error, Value};

use super::builder::{Builder, set_some};
use super::{comparison, virtio};

/// All filesystems.
pub(super) fn filesystems(builder: &mut Builder<'_>) -> Result<(), Error> {
    for filesystem in &builder.domain.devices.filesystems {
        if filesystem.driver == Some(FilesystemDriver::Virtiofs) {
            virtiofs(builder, filesystem)?;
            continue;
        }
        let known =
            matches!(filesystem.driver, None | Some(FilesystemDriver::Path | FilesystemDriver::Handle));
        if filesystem.kind != FilesystemType::Mount || !known {
            return Err(builder.unsupported(filesystem.node, "is of a type that QEMU does not have"));
        }
        ninep(builder, filesystem)?;
    }
    Ok(())
}

fn ninep(builder: &mut Builder<'_>, filesystem: &Filesystem) -> Result<(), Error> {
    let alias = builder.id(filesystem.node)?;
    let id = format!("fsdev-{alias}");
    let handle = filesystem.driver == Some(FilesystemDriver::Handle);
    let mut value = Value::mapping().with("fsdriver", if handle { "handle" } else { "local" });
    if !handle {
        let model = match filesystem.access_mode.unwrap_or(AccessMode::Passthrough) {
            AccessMode::Mapped => "mapped",
            AccessMode::Squash => "none",
            AccessMode::Passthrough => "passthrough",
        };
        value.set("security_model", model);
        set_some(
            &mut value,
            "multidevs",
            filesystem.multidevs.filter(|one| *one != MultiDevs::Default).map(MultiDevs::as_str),
        );
        set_some(&mut value, "fmode", filesystem.fmode.as_deref());
        set_some(&mut value, "dmode", filesystem.dmode.as_deref());
    }
    set_some(&mut value, "writeout", filesystem.write_policy.map(WritePolicy::as_str));
    value.set("id", id.as_str());
    set_some(&mut value, "path", filesystem.source.as_deref());
    set_some(&mut value, "readonly", filesystem.readonly.then_some(true));
    builder.option("fsdev", value);
    let mut device =
        virtio::device("virtio-9p", &filesystem.info, filesystem.model.as_deref(), &filesystem.virtio)
            .with("id", alias)
            .with("fsdev", id)
            .with("mount_tag", filesystem.target.as_str());
    builder.place(&mut device, filesystem.node, &filesystem.info)?;
    builder.device(filesystem.node, device);
    Ok(())
}

fn virtiofs(builder: &mut Builder<'_>, filesystem: &Filesystem) -> Result<(), Error> {
    if !builder.inputs.facts.comparison {
        return Err(
            builder.not_offered(filesystem.node, "needs virtiofsd, a helper that this host does not run")
        );
    }
    let alias = builder.id(filesystem.node)?;
    let chardev = format!("chr-vu-{alias}");
    let made = || comparison::domain_path(builder.domain, &format!("{alias}-fs.sock"));
    let path = filesystem.source_socket.clone().unwrap_or_else(made);
    builder.option(
        "chardev",
        Value::mapping().with("backend", "socket").with("id", chardev.as_str()).with("path", path),
    );
    let mut device = Value::mapping()
        .with("driver", virtio::driver("vhost-user-fs", &filesystem.info, None))
        .with("id", alias);
    device.set("chardev", chardev);
    set_some(&mut device, "queue-size", filesystem.queue);
    device.set("tag", filesystem.target.as_str());
    set_some(&mut device, "bootindex", filesystem.info.boot_order);
    virtio::add_options(&mut device, &filesystem.virtio);
    builder.place(&mut device, filesystem.node, &filesystem.info)?;
    builder.device(filesystem.node, device);
    Ok(())
}
