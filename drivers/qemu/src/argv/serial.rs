//! Serial and parallel ports, channels and consoles.

use hostler_sdk::domain::address::Address;
use hostler_sdk::domain::chardev::{CharBackend, Chardev, ChardevTarget};
use hostler_sdk::domain::controller::ControllerType;
use hostler_sdk::{Error, Value};

use super::builder::{Builder, set_some};
use super::chardev::{self, Owner};
use super::netdev;

fn back_end(builder: &mut Builder<'_>, port: &Chardev) -> Result<String, Error> {
    let alias = builder.id(port.node)?;
    let owner = Owner { node: port.node, alias, spice_name: "vdagent", hosted: true };
    chardev::add(builder, &owner, &port.source)
}

/// Serial ports.
pub(super) fn serials(builder: &mut Builder<'_>) -> Result<(), Error> {
    for port in &builder.domain.devices.serials {
        let chardev = back_end(builder, port)?;
        let device = serial(builder, port, &chardev)?;
        builder.device(port.node, device);
    }
    Ok(())
}

fn serial(builder: &Builder<'_>, port: &Chardev, chardev: &str) -> Result<Value, Error> {
    let target = &port.target;
    let driver = serial_driver(target).ok_or_else(|| {
        let what = target.model.as_deref().or(target.kind.as_deref()).unwrap_or_default();
        builder.unsupported(port.node, &format!("of type '{what}' is not known to this driver"))
    })?;
    let mut value =
        Value::mapping().with("driver", driver).with("chardev", chardev).with("id", builder.id(port.node)?);
    set_some(&mut value, "index", target.port.filter(|_| driver == "isa-serial"));
    builder.place(&mut value, port.node, &port.info)?;
    Ok(value)
}

fn serial_driver(target: &ChardevTarget) -> Option<&'static str> {
    match (target.model.as_deref(), target.kind.as_deref()) {
        (Some("isa-debugcon"), _) | (None, Some("isa-debug")) => Some("isa-debugcon"),
        (Some("isa-serial"), _) | (None, None | Some("isa-serial")) => Some("isa-serial"),
        (Some("pci-serial"), _) | (None, Some("pci-serial")) => Some("pci-serial"),
        (Some("usb-serial"), _) | (None, Some("usb-serial")) => Some("usb-serial"),
        _ => None,
    }
}

/// Parallel ports.
pub(super) fn parallels(builder: &mut Builder<'_>) -> Result<(), Error> {
    for port in &builder.domain.devices.parallels {
        let chardev = back_end(builder, port)?;
        let mut value = Value::mapping()
            .with("driver", "isa-parallel")
            .with("chardev", chardev)
            .with("id", builder.id(port.node)?);
        builder.place(&mut value, port.node, &port.info)?;
        builder.device(port.node, value);
    }
    Ok(())
}

/// Channels.
pub(super) fn channels(builder: &mut Builder<'_>) -> Result<(), Error> {
    builder.domain.devices.channels.iter().try_for_each(|one| channel(builder, one))
}

/// One channel, after its back end.
///
/// # Errors
/// A back end or a target that this host does not offer; a controller that is not there.
pub(super) fn channel(builder: &mut Builder<'_>, channel: &Chardev) -> Result<(), Error> {
    let chardev = back_end(builder, channel)?;
    match channel.target.kind.as_deref() {
        Some("virtio") => {
            let mut value = virtio_port(builder, channel, "virtserialport", &chardev)?;
            let spice = matches!(channel.source.backend, CharBackend::SpiceVmc);
            let name = channel.target.name.as_deref().or(spice.then_some("com.redhat.spice.0"));
            set_some(&mut value, "name", name);
            builder.device(channel.node, value);
            Ok(())
        }
        Some("guestfwd") => forward(builder, channel, &chardev),
        other => {
            let what =
                format!("has a target of type '{}', which QEMU does not have", other.unwrap_or("none"));
            Err(builder.unsupported(channel.node, &what))
        }
    }
}

/// A port of the guest's user network that leads to a channel.
fn forward(builder: &mut Builder<'_>, channel: &Chardev, chardev: &str) -> Result<(), Error> {
    let address = channel.target.address.as_deref().unwrap_or_default();
    let port = channel.target.port.unwrap_or(0);
    let value = netdev::guest_forward(address, port, chardev, builder.id(channel.node)?);
    builder.netdev(value);
    Ok(())
}

fn virtio_port(builder: &Builder<'_>, port: &Chardev, driver: &str, chardev: &str) -> Result<Value, Error> {
    let mut value = Value::mapping().with("driver", driver);
    if let Some(Address::VirtioSerial { controller, port: number, .. }) = &port.info.address {
        let bus = builder.controller_id(ControllerType::VirtioSerial, *controller, port.node)?;
        value.set("bus", format!("{bus}.0"));
        set_some(&mut value, "nr", *number);
    }
    Ok(value.with("chardev", chardev).with("id", builder.id(port.node)?))
}

/// Consoles that are not another name of the first serial port.
pub(super) fn consoles(builder: &mut Builder<'_>) -> Result<(), Error> {
    for console in &builder.domain.devices.consoles {
        match console.target.kind.as_deref() {
            None | Some("serial") => {}
            Some("virtio") => {
                let chardev = back_end(builder, console)?;
                let value = virtio_port(builder, console, "virtconsole", &chardev)?;
                builder.device(console.node, value);
            }
            Some(other) => {
                return Err(builder.unsupported(
                    console.node,
                    &format!("has a target of type '{other}', which QEMU does not have on x86"),
                ));
            }
        }
    }
    Ok(())
}
