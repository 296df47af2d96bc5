//! `<input>`: keyboards, mice and tablets.

use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::XmlError;
use crate::fragment::Fragment;
use crate::read::Element;
use crate::virtio::VirtioOptions;

keywords! {
    /// What kind of input device.
    InputType {
        Mouse = "mouse", Tablet = "tablet", Keyboard = "keyboard", Passthrough = "passthrough", Evdev = "evdev",
    }
}
keywords! {
    /// The bus of an input device.
    InputBus { Ps2 = "ps2", Usb = "usb", Xen = "xen", Parallels = "parallels", Virtio = "virtio", None = "none" }
}
keywords! {
    /// Which keys move a host device between host and guest.
    GrabToggle {
        CtrlCtrl = "ctrl-ctrl", AltAlt = "alt-alt", ShiftShift = "shift-shift", MetaMeta = "meta-meta",
        ScrollLock = "scrolllock", CtrlScrollLock = "ctrl-scrolllock",
    }
}

/// An input device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The element.
    pub node: NodeId,
    /// What kind.
    pub kind: InputType,
    /// Its bus; none when still to be chosen.
    pub bus: Option<InputBus>,
    /// Flavour of virtio, such as `virtio-non-transitional`.
    pub model: Option<String>,
    /// Host path of the event device (passthrough, evdev).
    pub source: Option<String>,
    /// Whether all devices are grabbed together (evdev).
    pub grab_all: bool,
    /// Which keys move it between host and guest (evdev).
    pub grab_toggle: Option<GrabToggle>,
    /// Whether held keys repeat (evdev).
    pub repeat: Option<bool>,
    /// The switches that any virtio device can carry.
    pub virtio: VirtioOptions,
    /// Alias, address.
    pub info: DeviceInfo,
}

impl Input {
    pub(crate) fn read(input: Element<'_>) -> Result<Self, XmlError> {
        let source = input.child("source");
        let path = source.and_then(|source| source.filled("evdev").or(source.filled("dev")));
        let grab_all = match source.and_then(|source| source.get("grab").map(|word| (source, word))) {
            None => false,
            Some((_, "all")) => true,
            Some((source, other)) => return Err(source.unknown(Some("grab"), other, &["all"])),
        };
        Ok(Self {
            node: input.node,
            kind: input.need_keyword("type")?,
            bus: input.keyword("bus")?,
            model: input.filled("model"),
            source: path,
            grab_all,
            grab_toggle: source.map(|source| source.keyword("grabToggle")).transpose()?.flatten(),
            repeat: source.map(|source| source.on_off("repeat")).transpose()?.flatten(),
            virtio: VirtioOptions::of_device(input)?,
            info: DeviceInfo::read(input)?,
        })
    }
}

/// An input device to be added to a document.
pub fn new_input(kind: InputType, bus: InputBus) -> Fragment {
    Fragment::new("input").attribute("type", kind).attribute("bus", bus)
}
