//! Keyboards, mice and tablets.

use hostler_sdk::domain::input::{GrabToggle, Input, InputBus, InputType};
use hostler_sdk::{Error, Value};

use super::builder::{Builder, set_some};
use super::virtio;

/// All input devices; what is on the PS/2 bus is part of the machine.
pub(super) fn inputs(builder: &mut Builder<'_>) -> Result<(), Error> {
    builder.domain.devices.inputs.iter().try_for_each(|input| one(builder, input))
}

/// One input device.
///
/// # Errors
/// A type or a bus that QEMU does not have; an address that is not there.
pub(super) fn one(builder: &mut Builder<'_>, input: &Input) -> Result<(), Error> {
    if input.kind == InputType::Evdev {
        let object = evdev(builder, input)?;
        builder.option("object", object);
        return Ok(());
    }
    let mut value = match input.bus {
        Some(InputBus::Ps2) => return Ok(()),
        None | Some(InputBus::Usb) => Value::mapping().with("driver", usb_driver(builder, input)?),
        Some(InputBus::Virtio) => virtio_device(builder, input)?,
        Some(InputBus::Xen | InputBus::Parallels | InputBus::None) => {
            return Err(builder.unsupported(input.node, "is on a bus that QEMU does not have"));
        }
    };
    value.set("id", builder.id(input.node)?);
    builder.place(&mut value, input.node, &input.info)?;
    set_some(&mut value, "evdev", input.source.as_deref());
    builder.device(input.node, value);
    Ok(())
}

fn usb_driver(builder: &Builder<'_>, input: &Input) -> Result<&'static str, Error> {
    match input.kind {
        InputType::Mouse => Ok("usb-mouse"),
        InputType::Tablet => Ok("usb-tablet"),
        InputType::Keyboard => Ok("usb-kbd"),
        InputType::Passthrough | InputType::Evdev => {
            Err(builder.unsupported(input.node, "of this type is not for USB"))
        }
    }
}

fn virtio_device(builder: &Builder<'_>, input: &Input) -> Result<Value, Error> {
    let kind = match input.kind {
        InputType::Mouse => "virtio-mouse",
        InputType::Tablet => "virtio-tablet",
        InputType::Keyboard => "virtio-keyboard",
        InputType::Passthrough => "virtio-input-host",
        InputType::Evdev => return Err(builder.unsupported(input.node, "of type 'evdev' has no bus")),
    };
    Ok(virtio::device(kind, &input.info, input.model.as_deref(), &input.virtio))
}

/// An event device of the host that is handed to the guest.
fn evdev(builder: &Builder<'_>, input: &Input) -> Result<Value, Error> {
    let mut value = Value::mapping().with("qom-type", "input-linux").with("id", builder.id(input.node)?);
    set_some(&mut value, "evdev", input.source.as_deref());
    set_some(&mut value, "repeat", input.repeat);
    set_some(&mut value, "grab_all", input.grab_all.then_some(true));
    set_some(&mut value, "grab-toggle", input.grab_toggle.map(GrabToggle::as_str));
    Ok(value)
}
