//! Directories of the host that the guest sees: through QEMU (9p), or through a server beside it (virtiofs). The host's
//! policy decides whether a driver may.

use hostler_sdk::domain::filesystem::{
    AccessMode, Filesystem, FilesystemDriver, FilesystemType, MultiDevs, VirtiofsCache, WritePolicy,
};
use hostler_sdk::{Companion, Error, ProblemExt as _, Symbol, Value};

use super::builder::{Builder, set_some};
use super::{comparison, virtio};

/// The template of the host that says what virtiofsd may be given; the driver's grant names it too.
const TEMPLATE: &str = "virtiofsd";
/// The server that the host starts, as documents name it.
const PROGRAM: &str = "/usr/lib/qemu/virtiofsd";
/// The capabilities that the server is not to have: to make devices, and programs with rights.
const LEFT_OUT: &str = "-mknod:-setfcap:-fsetid";

/// All filesystems.
pub(super) fn filesystems(builder: &mut Builder<'_>) -> Result<(), Error> {
    for (position, filesystem) in builder.domain.devices.filesystems.iter().enumerate() {
        if filesystem.driver == Some(FilesystemDriver::Virtiofs) {
            virtiofs(builder, position, filesystem)?;
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
        set_some(&mut value, "fmode", filesystem.fmode.as_deref().map(octal));
        set_some(&mut value, "dmode", filesystem.dmode.as_deref().map(octal));
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

/// Permissions with the digit in front that makes QEMU read the others as octal.
fn octal(mode: &str) -> String {
    format!("{mode:0>4}")
}

/// A folder that virtiofsd beside QEMU serves, over a link between the two. They share the guest's memory: a rule demands that
/// it can be.
fn virtiofs(builder: &mut Builder<'_>, position: usize, filesystem: &Filesystem) -> Result<(), Error> {
    let alias = builder.id(filesystem.node)?;
    let id = format!("chr-vu-{alias}");
    let chardev = if builder.inputs.facts.comparison {
        comparison::virtiofs(builder.domain, filesystem, alias, &id)
    } else {
        let server = server(builder, position, filesystem, alias)?;
        builder.launch.companions.push(server);
        Value::mapping().with("backend", Symbol::Link(alias.to_owned())).with("id", id.as_str())
    };
    builder.option("chardev", chardev);
    let mut device = Value::mapping()
        .with("driver", virtio::driver("vhost-user-fs", &filesystem.info, None))
        .with("id", alias);
    device.set("chardev", id);
    set_some(&mut device, "queue-size", filesystem.queue);
    device.set("tag", filesystem.target.as_str());
    set_some(&mut device, "bootindex", filesystem.info.boot_order);
    virtio::add_options(&mut device, &filesystem.virtio);
    builder.place(&mut device, filesystem.node, &filesystem.info)?;
    builder.device(filesystem.node, device);
    Ok(())
}

/// The server of one folder. Whichever way the document has it confine itself, its cage has the namespaces, and it locks
/// itself into the folder with a root of its own.
fn server(
    builder: &Builder<'_>,
    position: usize,
    filesystem: &Filesystem,
    alias: &str,
) -> Result<Companion, Error> {
    let refused = |what: &str, hint: &str| {
        Err(builder.at(filesystem.node, "qemu.not-offered", what).hint(hint).unsupported())
    };
    if filesystem.source_socket.is_some() {
        return refused(
            "names the socket of a server that somebody else runs, which could read and change all of the guest's memory",
            "write <source dir='…'/> with the directory itself, which this host serves",
        );
    }
    let binary = filesystem.binary.clone().unwrap_or_default();
    if binary.path.as_deref().is_some_and(|path| path != PROGRAM) {
        return refused(
            "names a program as its server, and what this host starts is its own choice",
            "remove 'path' from <binary>, or write /usr/lib/qemu/virtiofsd",
        );
    }
    if filesystem.kind != FilesystemType::Mount || filesystem.source.is_none() {
        let hint = "write <filesystem type='mount'> with <source dir='…'/>";
        return Err(builder
            .at(filesystem.node, "qemu.filesystem-virtiofs", "shares no directory")
            .hint(hint)
            .invalid());
    }
    let link = Symbol::Link(alias.to_owned());
    let folder = Symbol::SharedFolder(u32::try_from(position).unwrap_or(u32::MAX));
    let mut options = Value::mapping()
        .with("source", folder)
        .with("sandbox", "chroot")
        .with("modcaps", LEFT_OUT)
        .with_some("cache", binary.cache.map(VirtiofsCache::as_str));
    for (choice, on, off) in [
        (binary.xattr, "xattr", "no_xattr"),
        (binary.lock_flock, "flock", "no_flock"),
        (binary.lock_posix, "posix_lock", "no_posix_lock"),
    ] {
        if let Some(choice) = choice {
            options.set(if choice { on } else { off }, Value::Null);
        }
    }
    let mut server = Companion::new(alias, TEMPLATE);
    server.option("fd", link);
    server.option("o", options);
    if let Some(size) = binary.thread_pool {
        server.option("thread-pool-size", size);
    }
    server.option("rlimit-nofile", 0_u32);
    Ok(server)
}
