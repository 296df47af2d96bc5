//! Which device of a document an operation is about.

use hostler_sdk::domain::disk::{Disk, DiskBus, DiskDevice};
use hostler_sdk::domain::interface::Interface;
use hostler_sdk::domain::{Domain as Document, NodeId};
use hostler_sdk::{Error, Problem, ProblemExt, problem};

/// A device that can be plugged in and out.
#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    Disk(&'a Disk),
    Interface(&'a Interface),
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
        if let Some(interface) = devices.interfaces.iter().find(|interface| interface.node == node) {
            return Ok(Self::Interface(interface));
        }
        let kind = document.document().name(node).to_owned();
        Err(at(document, node, &format!("<{kind}> is a device that comes and goes with its guest only"))
            .hint("disks and network interfaces can be plugged in and out; change the stored definition for others")
            .unsupported())
    }

    /// Its element.
    pub(super) fn node(self) -> NodeId {
        match self {
            Self::Disk(disk) => disk.node,
            Self::Interface(interface) => interface.node,
        }
    }

    /// Refuses what no machine can plug in or out while it runs.
    ///
    /// # Errors
    /// `unsupported` with the bus.
    pub(super) fn require_pluggable(self, document: &Document) -> Result<(), Error> {
        let Self::Disk(disk) = self else { return Ok(()) };
        if matches!(disk.bus, DiskBus::Virtio | DiskBus::Scsi | DiskBus::Usb) {
            return Ok(());
        }
        let drive = matches!(disk.device, DiskDevice::Cdrom | DiskDevice::Floppy);
        let hint = if drive {
            "the medium in a drive can be changed while its guest runs"
        } else {
            "use the bus virtio, scsi or usb, or change the stored definition"
        };
        let what = format!(
            "'{}' is on the bus {}, whose disks stay as long as the guest runs",
            disk.target, disk.bus
        );
        Err(at(document, disk.node, &what).hint(hint).unsupported())
    }
}

fn element(document: &Document, place: u32) -> Result<NodeId, Error> {
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
