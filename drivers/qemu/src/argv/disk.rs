//! Disks: their chains, then the guest's devices.

use hostler_sdk::domain::address::Address;
use hostler_sdk::domain::disk::{Disk, DiskBus};
use hostler_sdk::domain::storage_source::Location;
use hostler_sdk::{Error, ProblemExt, Symbol, Value};

use super::builder::{Builder, set_some};
use super::{comparison, disk_device};
use crate::blockdev::{Chain, Names, Node, Object, Purpose, has_nodes};

/// All disks.
pub(super) fn disks(builder: &mut Builder<'_>) -> Result<(), Error> {
    floppy_controller(builder);
    for disk in builder.disks.clone() {
        one(builder, disk)?;
    }
    Ok(())
}

/// One disk.
///
/// # Errors
/// What it asks for and nobody here can do.
pub(super) fn one(builder: &mut Builder<'_>, disk: &Disk) -> Result<(), Error> {
    refuse(builder, disk)?;
    require_one_mind(builder, disk)?;
    if disk.transient.as_ref().is_some_and(|transient| transient.share_backing) {
        // Plugged in once the guest's hypervisor runs; outside a comparison it was refused above.
        return Ok(());
    }
    if disk.bus == DiskBus::Sd {
        return comparison::sd_card(builder, disk);
    }
    if let Location::VhostUser { path, reconnect } = &disk.source.location {
        let chardev = format!("chr-vu-{}", builder.id(disk.node)?);
        let delay = reconnect
            .as_ref()
            .filter(|reconnect| reconnect.enabled)
            .and_then(|reconnect| reconnect.timeout_s);
        let socket = Value::mapping()
            .with("backend", "socket")
            .with("id", chardev.as_str())
            .with("path", path.as_str());
        builder.option("chardev", socket.with_some("reconnect", delay));
        let device = disk_device::vhost_user(builder, disk, &chardev)?;
        builder.device(disk.node, device);
        return Ok(());
    }
    let drive = chain(builder, disk)?;
    let device = disk_device::device(builder, disk, drive.as_deref())?;
    builder.device(disk.node, device);
    Ok(())
}

/// Adds the nodes of a disk's chain; the answer is the one that the device uses, if there is one.
pub(super) fn chain(builder: &mut Builder<'_>, disk: &Disk) -> Result<Option<String>, Error> {
    if !has_nodes(disk) {
        return Ok(None);
    }
    let target = disk.target.as_str();
    let (Some(layers), Some(number)) = (builder.inputs.chains.layers(target), builder.numbers.get(target))
    else {
        let what = format!("'{target}' has an image that the host did not resolve");
        return Err(builder.at(disk.node, "qemu.chain-missing", &what).conflict());
    };
    let comparison = builder.inputs.facts.comparison;
    let chain = Chain { disk, layers, names: Names::Numbered(*number), comparison };
    for node in chain.nodes()? {
        match node {
            Node::Block(node) => builder.option("blockdev", node),
            Node::Object(object) => self::object(builder, object, disk)?,
        }
    }
    chain.top().map(Some)
}

fn object(builder: &mut Builder<'_>, object: Object, disk: &Disk) -> Result<(), Error> {
    match object {
        Object::Secret { id, purpose: Purpose::Content(layer) } if !builder.inputs.facts.comparison => {
            let passphrase = Symbol::DiskSecret { disk: disk.target.as_str().to_owned(), layer };
            let object = Value::mapping().with("qom-type", "secret").with("id", id).with("file", passphrase);
            builder.option("object", object);
            Ok(())
        }
        Object::Secret { id, .. } => comparison::secret(builder, &id, disk.node),
        Object::Certificates { id, key, protocol } => {
            comparison::certificates(builder, &id, key.as_deref(), protocol, disk)
        }
        // The one that is started with the domain was added once, for all disks.
        Object::Reservations { socket: None, .. } => Ok(()),
        Object::Reservations { id, socket: Some(path) } => {
            comparison::reservations(builder, &id, path);
            Ok(())
        }
    }
}

/// Disks that share limits say the same ones.
fn require_one_mind(builder: &Builder<'_>, disk: &Disk) -> Result<(), Error> {
    let Some(tune) = disk.iotune.as_ref().filter(|tune| tune.group_name.is_some()) else { return Ok(()) };
    let others = builder.disks.iter().filter_map(|other| other.iotune.as_ref());
    if others.filter(|other| other.group_name == tune.group_name).all(|other| other == tune) {
        return Ok(());
    }
    Err(builder
        .at(disk.node, "qemu.iotune-group", "has other <iotune> limits than a disk of the same group")
        .hint("give all disks of a <group_name> the same limits")
        .invalid())
}

/// What a disk can ask for and nobody here can do.
fn refuse(builder: &Builder<'_>, disk: &Disk) -> Result<(), Error> {
    if builder.inputs.facts.comparison {
        return Ok(());
    }
    let refused = if disk.transient.is_some() {
        "is <transient/>: changes would have to be thrown away, which this driver does not do yet"
    } else if disk.mirror.is_some() {
        "has a <mirror>, which only a running domain has"
    } else if disk.source.reservations.is_some() {
        "asks for persistent <reservations>, which need a helper that this host does not run"
    } else {
        return Ok(());
    };
    Err(builder.unsupported(disk.node, refused))
}

/// Where floppies are booted from is said to their controller; machines that have none get one.
fn floppy_controller(builder: &mut Builder<'_>) {
    let floppies: Vec<_> = builder.disks.iter().copied().filter(|disk| disk.bus == DiskBus::Fdc).collect();
    let mut boot = Value::mapping();
    for disk in &floppies {
        let unit = disk.info.address.as_ref().and_then(Address::drive).map_or(0, |drive| drive.unit);
        let key = if unit == 0 { "bootindexA" } else { "bootindexB" };
        set_some(&mut boot, key, builder.boot_index(disk.node, &disk.info));
    }
    let Value::Mapping(entries) = boot else { return };
    if !builder.machine.has_builtin_fdc() && !floppies.is_empty() {
        let device = Value::mapping().with("driver", "isa-fdc");
        builder
            .bare_device(entries.into_iter().fold(device, |device, (key, index)| device.with(&key, index)));
        return;
    }
    for (key, index) in entries {
        builder.option("global", Value::mapping().with(&format!("isa-fdc.{key}"), index));
    }
}
