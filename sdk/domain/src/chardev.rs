//! `<serial>`, `<parallel>`, `<console>`, `<channel>`: character devices.

use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::XmlError;
use crate::read::Element;

mod source;

pub use source::{CharBackend, CharLog, CharSource, ClipboardMouse, TcpProtocol};

/// The name of the channel by which a guest's agent is reached.
pub const GUEST_AGENT: &str = "org.qemu.guest_agent.0";

keywords! {
    /// Which kind of character device the guest sees.
    ChardevKind { Serial = "serial", Parallel = "parallel", Console = "console", Channel = "channel" }
}

/// A character device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chardev {
    /// The element.
    pub node: NodeId,
    /// Which kind the guest sees.
    pub kind: ChardevKind,
    /// Where the characters go on the host.
    pub source: CharSource,
    /// What the guest sees in particular.
    pub target: ChardevTarget,
    /// Alias, address.
    pub info: DeviceInfo,
}

/// `<target>`: what the guest sees in particular; none where the document is silent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChardevTarget {
    /// Serial: `isa-serial`, `usb-serial`, `pci-serial`, `isa-debug`...; console: `serial`, `virtio`...;
    /// channel: `virtio`, `guestfwd`...; open, because drivers differ.
    pub kind: Option<String>,
    /// Serial: the device that implements it, such as `isa-serial` (`<model name>`).
    pub model: Option<String>,
    /// Its number among its kind; for `guestfwd` the TCP port.
    pub port: Option<u32>,
    /// Channel `virtio`: the name that the guest sees.
    pub name: Option<String>,
    /// Channel `guestfwd`: the address that the guest connects to.
    pub address: Option<String>,
    /// Channel `virtio`, running domain: whether the guest has it open.
    pub state: Option<String>,
}

impl Chardev {
    pub(crate) fn read(kind: ChardevKind, device: Element<'_>) -> Result<Self, XmlError> {
        let target = device.maybe("target", read_target)?.unwrap_or_default();
        // Written by running domains beside <source path>, which says the same.
        device.keep_attribute("tty");
        let source = match kind {
            ChardevKind::Channel => CharSource::read_channel(device)?,
            _ => CharSource::read(device)?,
        };
        Ok(Self { node: device.node, kind, source, target, info: DeviceInfo::read(device)? })
    }

    /// Whether this is the channel of the guest agent.
    pub fn is_guest_agent(&self) -> bool {
        self.target.name.as_deref() == Some(GUEST_AGENT)
    }
}

fn read_target(target: Element<'_>) -> Result<ChardevTarget, XmlError> {
    Ok(ChardevTarget {
        kind: target.filled("type"),
        model: target.child("model").and_then(|model| model.filled("name")),
        port: target.number("port")?,
        name: target.filled("name"),
        address: target.filled("address"),
        state: target.filled("state"),
    })
}
