//! Which device of a document an operation is about.

use hostler_sdk::domain::chardev::{CharBackend, Chardev};
use hostler_sdk::domain::controller::{Controller, ControllerType};
use hostler_sdk::domain::device_info::DeviceInfo;
use hostler_sdk::domain::disk::{Disk, DiskBus, DiskDevice};
use hostler_sdk::domain::input::{Input, InputBus, InputType};
use hostler_sdk::domain::{Domain as Document, NodeId};
use hostler_sdk::{Error, Problem, ProblemExt, problem};

use crate::argv::Plugged;

/// A device that can be plugged in and out.
#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    Disk(&'a Disk),
    Other(Plugged<'a>),
}

impl<'a> Subject<'a> {
    /// The device at this place.
    ///
    /// # Errors
    /// `not-found` when there is none; `unsupported` for a kind that stays as long as the guest runs.
    pub(super) fn at(document: &'a Document, place: u32) -> Result<Self, Error> {
        let node = element(document, place)?;
        let devices = &document.devices;
        if let Some(disk) = devices.disks.iter().find(|disk| disk.node == node) {
            return Ok(Self::Disk(disk));
        }
        macro_rules! find {
            ($($family:ident: $kind:ident),+ $(,)?) => {
                $(if let Some(found) = devices.$family.iter().find(|device| device.node == node) {
                    return Ok(Self::Other(Plugged::$kind(found)));
                })+
            };
        }
        find! {
            interfaces: Interface, rngs: Rng, watchdogs: Watchdog, inputs: Input, controllers: Controller,
            channels: Channel,
        }
        let kind = document.document().name(node).to_owned();
        Err(at(document, node, &format!("<{kind}> is a device that comes and goes with its guest only"))
            .hint(
                "disks, network interfaces, channels, controllers, input devices, sources of randomness and watchdogs \
                 can be plugged in and out; change the stored definition for others",
            )
            .unsupported())
    }

    /// Its element.
    pub(super) fn node(self) -> NodeId {
        match self {
            Self::Disk(disk) => disk.node,
            Self::Other(Plugged::Interface(interface)) => interface.node,
            Self::Other(Plugged::Rng(rng)) => rng.node,
            Self::Other(Plugged::Watchdog(watchdog)) => watchdog.node,
            Self::Other(Plugged::Input(input)) => input.node,
            Self::Other(Plugged::Controller(controller)) => controller.node,
            Self::Other(Plugged::Channel(channel)) => channel.node,
        }
    }

    /// What it says about itself as every device can.
    pub(super) fn info(self) -> &'a DeviceInfo {
        match self {
            Self::Disk(disk) => &disk.info,
            Self::Other(Plugged::Interface(interface)) => &interface.info,
            Self::Other(Plugged::Rng(rng)) => &rng.info,
            Self::Other(Plugged::Watchdog(watchdog)) => &watchdog.info,
            Self::Other(Plugged::Input(input)) => &input.info,
            Self::Other(Plugged::Controller(controller)) => &controller.info,
            Self::Other(Plugged::Channel(channel)) => &channel.info,
        }
    }

    /// Refuses what no machine can plug in or out while it runs.
    ///
    /// # Errors
    /// `unsupported` with the reason.
    pub(super) fn require_pluggable(self, document: &Document) -> Result<(), Error> {
        let (what, hint) = match self {
            Self::Disk(disk) => return require_disk(document, disk),
            Self::Other(Plugged::Watchdog(watchdog)) if watchdog.model != "i6300esb" => {
                (format!("of model '{}' is a part of its machine", watchdog.model), "use the model i6300esb")
            }
            Self::Other(Plugged::Input(input)) if !is_pluggable_input(input) => (
                "of this type or on this bus stays as long as the guest runs".to_owned(),
                "use the bus usb or virtio",
            ),
            Self::Other(Plugged::Controller(controller)) if !is_pluggable_controller(controller) => (
                format!("of type '{}' stays as long as the guest runs", controller.kind),
                "controllers of type scsi and virtio-serial can be plugged in and out",
            ),
            Self::Other(Plugged::Channel(channel)) if !is_pluggable_channel(channel) => (
                "with this target or back end stays as long as the guest runs".to_owned(),
                "use <target type='virtio'/> and the type unix, pty or null",
            ),
            _ => return Ok(()),
        };
        let name = document.document().name(self.node());
        Err(at(document, self.node(), &format!("<{name}> {what}"))
            .hint(hint)
            .hint("or change the stored definition")
            .unsupported())
    }
}

fn is_pluggable_input(input: &Input) -> bool {
    let own = !matches!(input.kind, InputType::Evdev | InputType::Passthrough);
    own && matches!(input.bus, None | Some(InputBus::Usb | InputBus::Virtio))
}

fn is_pluggable_controller(controller: &Controller) -> bool {
    matches!(controller.kind, ControllerType::Scsi | ControllerType::VirtioSerial)
}

/// Far ends that the host can hand to a program that runs, or that are nothing of the host's.
fn is_pluggable_channel(channel: &Chardev) -> bool {
    let back_end = matches!(
        channel.source.backend,
        CharBackend::Null | CharBackend::Pty { .. } | CharBackend::Unix { .. }
    );
    back_end && channel.target.kind.as_deref() == Some("virtio")
}

fn require_disk(document: &Document, disk: &Disk) -> Result<(), Error> {
    if matches!(disk.bus, DiskBus::Virtio | DiskBus::Scsi | DiskBus::Usb) {
        return Ok(());
    }
    let drive = matches!(disk.device, DiskDevice::Cdrom | DiskDevice::Floppy);
    let hint = if drive {
        "the medium in a drive can be changed while its guest runs"
    } else {
        "use the bus virtio, scsi or usb, or change the stored definition"
    };
    let what =
        format!("'{}' is on the bus {}, whose disks stay as long as the guest runs", disk.target, disk.bus);
    Err(at(document, disk.node, &what).hint(hint).unsupported())
}

/// The element of the device at this place.
///
/// # Errors
/// `not-found` when there is none.
pub(super) fn element(document: &Document, place: u32) -> Result<NodeId, Error> {
    let found = document
        .devices
        .node
        .and_then(|devices| document.document().elements(devices).nth(usize::try_from(place).ok()?));
    found.ok_or_else(|| {
        let message = format!("the document has no device at place {place}");
        Error::NotFound(problem("qemu.no-device", message))
    })
}

/// A problem with a device, at its place in the document.
pub(super) fn at(document: &Document, node: NodeId, what: &str) -> Problem {
    let text = document.document();
    let position = text.position(node);
    problem("qemu.hotplug", what.to_owned())
        .detail("line", position.line.to_string())
        .detail("column", position.column.to_string())
        .detail("element", text.path(node))
}
