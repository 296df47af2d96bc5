//! USB controllers.

use hostler_sdk::domain::controller::{Controller, ControllerType};

use super::{Broken, Rule, Subject, broken};

pub(super) const RULES: &[Rule] = &[ports];

/// Models that can be told how many ports they have, and the one that has none.
const COUNTED: [&str; 3] = ["nec-xhci", "qemu-xhci", "none"];

fn ports(subject: &Subject<'_>) -> Option<Broken> {
    let fixed = |controller: &&Controller| {
        controller.kind == ControllerType::Usb
            && controller.ports.is_some()
            && controller.model.as_deref().is_some_and(|model| !COUNTED.contains(&model))
    };
    let controller = subject.domain.devices.controllers.iter().find(fixed)?;
    let model = controller.model.as_deref().unwrap_or_default();
    let what = format!("a USB controller of model '{model}' has the ports that it has");
    broken(controller.node, "qemu.controller-ports", what, "remove 'ports', or write model='qemu-xhci'")
}
