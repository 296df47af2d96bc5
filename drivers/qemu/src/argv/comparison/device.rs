//! Devices that need something of the host which drivers are not offered.

use hostler_sdk::domain::Domain;
use hostler_sdk::domain::disk::Disk;
use hostler_sdk::domain::filesystem::Filesystem;
use hostler_sdk::domain::interface::Interface;
use hostler_sdk::domain::storage_source::{Location, VolumeMode};
use hostler_sdk::domain::tpm::TpmBackend;
use hostler_sdk::domain::video::Video;
use hostler_sdk::{Error, Value};

use super::{LISTENING_DESCRIPTOR, add_descriptor};
use crate::argv::builder::{Builder, set_some};

/// Descriptors of libvirt's tests, by what they are.
const TPM_DESCRIPTOR: u32 = 1730;
const TPM_CANCEL_DESCRIPTOR: u32 = 1731;
const VDPA_DESCRIPTOR: u32 = 1732;
const TAP_DESCRIPTOR: u32 = 3;
const VHOST_DESCRIPTOR: u32 = 44;

/// The most queues that an interface can have.
const MOST_QUEUES: u32 = 256;

/// The socket of the emulator that libvirt's tests pretend to start.
const TPM_SOCKET: &str = "/dev/test";

/// A module of the host.
pub(in crate::argv) fn tpm_passthrough(builder: &mut Builder<'_>, alias: &str, id: &str) -> Value {
    let path = add_descriptor(builder, TPM_DESCRIPTOR, &format!("{alias}-tpm"));
    let cancel = add_descriptor(builder, TPM_CANCEL_DESCRIPTOR, &format!("{alias}-cancel"));
    Value::mapping().with("type", "passthrough").with("id", id).with("path", path).with("cancel-path", cancel)
}

/// A module that a helper emulates.
pub(in crate::argv) fn tpm_emulator(builder: &mut Builder<'_>, backend: &TpmBackend, id: &str) -> Value {
    let path = if let TpmBackend::External { path } = backend { path } else { TPM_SOCKET };
    builder.option(
        "chardev",
        Value::mapping().with("backend", "socket").with("id", "chrtpm").with("path", path),
    );
    Value::mapping().with("type", "emulator").with("id", id).with("chardev", "chrtpm")
}

/// The socket of a server that shares a directory.
pub(in crate::argv) fn virtiofs(domain: &Domain, filesystem: &Filesystem, alias: &str, id: &str) -> Value {
    let made = || super::domain_path(domain, &format!("{alias}-fs.sock"));
    let path = filesystem.source_socket.clone().unwrap_or_else(made);
    Value::mapping().with("backend", "socket").with("id", id).with("path", path)
}

/// The socket of a program that carries the packets of an interface.
pub(in crate::argv) fn passt(domain: &Domain, alias: &str) -> Value {
    let path = format!("/var/run/libvirt/qemu/passt/{}-{alias}.socket", super::short_name(domain));
    Value::mapping().with("type", "unix").with("path", path)
}

/// A network device of the host that speaks virtio.
pub(in crate::argv) fn vdpa(builder: &mut Builder<'_>, interface: &Interface, id: &str) -> Value {
    let alias = builder.id(interface.node).unwrap_or_default();
    let path = add_descriptor(builder, VDPA_DESCRIPTOR, &format!("{alias}-vdpa"));
    Value::mapping().with("type", "vhost-vdpa").with("vhostdev", path).with("id", id)
}

/// A network device that the host made, and for virtio the kernel's own back end: one descriptor a queue.
pub(in crate::argv) fn tap(interface: &Interface, id: &str) -> Value {
    let queues = interface.driver.queues.unwrap_or(1).clamp(1, MOST_QUEUES);
    let descriptors = |first: u32| {
        let all: Vec<_> = (first..first.saturating_add(queues)).map(|fd| fd.to_string()).collect();
        all.join(":")
    };
    let mut value = Value::mapping().with("type", "tap");
    value.set(if queues > 1 { "fds" } else { "fd" }, descriptors(TAP_DESCRIPTOR));
    if interface.model.as_deref().is_some_and(|model| model.starts_with("virtio")) {
        value.set("vhost", true);
        value.set(if queues > 1 { "vhostfds" } else { "vhostfd" }, descriptors(VHOST_DESCRIPTOR));
    }
    set_some(&mut value, "sndbuf", interface.sndbuf);
    value.with("id", id)
}

/// The socket of a graphics card that another process draws for.
///
/// # Errors
/// Always, outside a comparison.
pub(in crate::argv) fn vhost_user_gpu(builder: &mut Builder<'_>, video: &Video) -> Result<String, Error> {
    if !builder.inputs.facts.comparison {
        return Err(builder.not_offered(video.node, "is drawn by a helper that this host does not run"));
    }
    let id = format!("chr-vu-{}", builder.id(video.node)?);
    let value =
        Value::mapping().with("backend", "socket").with("id", id.as_str()).with("fd", LISTENING_DESCRIPTOR);
    builder.option("chardev", value);
    Ok(id)
}

/// A memory card, which QEMU only takes in its oldest form.
///
/// # Errors
/// Always, outside a comparison.
pub(in crate::argv) fn sd_card(builder: &mut Builder<'_>, disk: &Disk) -> Result<(), Error> {
    let path = match &disk.source.location {
        Location::File(path) | Location::Block(path) if builder.inputs.facts.comparison => path,
        _ => {
            return Err(
                builder.unsupported(disk.node, "is a memory card, whose image QEMU would have to guess")
            );
        }
    };
    let mut value = Value::mapping().with("file", path.as_str());
    set_some(
        &mut value,
        "format",
        disk.source.format.as_deref().or(disk.driver.format.as_deref()).or(Some("raw")),
    );
    value.set("if", "sd");
    value.set("index", disk.target.index().unwrap_or(0));
    builder.option("drive", value);
    Ok(())
}

/// The bytes of a volume of the pools that libvirt's tests have: what it is stands in its name.
pub(crate) fn volume(name: &str, mode: Option<VolumeMode>) -> Value {
    let node = Value::mapping();
    let unit = name.strip_prefix("unit:").and_then(|unit| unit.rsplit(':').next());
    match (unit, name.split_once('+')) {
        (Some(unit), _) if mode == Some(VolumeMode::Direct) => node
            .with("driver", "iscsi")
            .with("portal", "iscsi.example.com:3260")
            .with("target", "demo-target")
            .with("lun", unit.parse::<u32>().unwrap_or(0))
            .with("transport", "tcp"),
        (Some(_), _) => {
            node.with("driver", "host_device").with("filename", format!("/some/block/device/{name}"))
        }
        (None, Some(("dir", name))) => node
            .with("driver", "vvfat")
            .with("dir", format!("/some/dir/device/{name}"))
            .with("floppy", false)
            .with("rw", false),
        (None, Some(("block", name))) => {
            node.with("driver", "host_device").with("filename", format!("/some/block/device/{name}"))
        }
        (None, Some((kind, name))) => {
            node.with("driver", "file").with("filename", format!("/some/{kind}/device/{name}"))
        }
        (None, None) => node.with("driver", "file").with("filename", format!("/some/file/device/{name}")),
    }
}

/// The node of a SCSI device of the host, as libvirt's test host has it.
pub(in crate::argv) fn scsi_generic_path() -> &'static str {
    "/dev/sg0"
}
