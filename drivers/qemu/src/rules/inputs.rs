//! Keyboards, mice, tablets and what is plugged into USB.

use hostler_sdk::domain::input::{InputBus, InputType};

use super::{Broken, Rule, Subject, broken};

pub(super) const RULES: &[Rule] = &[buses, models];

fn buses(subject: &Subject<'_>) -> Option<Broken> {
    subject.domain.devices.inputs.iter().find_map(|input| {
        let (what, remedy) = match (input.kind, input.bus) {
            (InputType::Tablet, Some(InputBus::Ps2)) => ("bus 'ps2' has no tablet", "write bus='usb'"),
            (InputType::Passthrough, Some(bus)) if bus != InputBus::Virtio => {
                ("only bus 'virtio' passes a device of the host through", "write bus='virtio'")
            }
            (_, Some(InputBus::Xen | InputBus::Parallels)) => {
                ("the bus of this input device is another hypervisor's", "write bus='usb' or bus='virtio'")
            }
            (InputType::Evdev, Some(InputBus::Ps2 | InputBus::Usb | InputBus::Virtio)) => {
                ("events of the host come over no bus", "remove 'bus'")
            }
            (InputType::Passthrough, Some(InputBus::Ps2)) => {
                ("bus 'ps2' passes no device of the host through", "write bus='virtio'")
            }
            (_, Some(InputBus::Ps2)) if input.info.address.is_some() => {
                ("a device on bus 'ps2' has no address", "remove <address>")
            }
            _ => return None,
        };
        broken(input.node, "qemu.input-bus", what, remedy)
    })
}

/// The flavours of virtio exist for a device of the host that is passed through.
fn models(subject: &Subject<'_>) -> Option<Broken> {
    subject.domain.devices.inputs.iter().find_map(|input| {
        let model = input.model.as_deref()?;
        if input.bus.is_some_and(|bus| bus != InputBus::Virtio) {
            let what = format!("model '{model}' goes with bus 'virtio' only");
            return broken(input.node, "qemu.input-model", what, "remove 'model', or write bus='virtio'");
        }
        let flavour = matches!(model, "virtio-transitional" | "virtio-non-transitional");
        (flavour && input.kind != InputType::Passthrough).then_some(())?;
        let what = format!("an input device of type '{}' is not to be had as '{model}'", input.kind);
        broken(input.node, "qemu.input-model", what, "write model='virtio'")
    })
}
