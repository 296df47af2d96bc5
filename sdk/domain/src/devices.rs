//! `<devices>`: every device, per kind, in document order.

use crate::audio::Audio;
use crate::chardev::{Chardev, ChardevKind};
use crate::controller::Controller;
use crate::device_info::DeviceInfo;
use crate::disk::Disk;
use crate::document::NodeId;
use crate::error::XmlError;
use crate::filesystem::Filesystem;
use crate::graphics::Graphics;
use crate::hostdev::Hostdev;
use crate::hub::Hub;
use crate::input::Input;
use crate::interface::Interface;
use crate::iommu::Iommu;
use crate::memballoon::Memballoon;
use crate::memory_device::MemoryDevice;
use crate::panic::Panic;
use crate::read::Element;
use crate::redirdev::{RedirRule, Redirdev};
use crate::rng::Rng;
use crate::shmem::Shmem;
use crate::smartcard::Smartcard;
use crate::sound::Sound;
use crate::tpm::Tpm;
use crate::video::Video;
use crate::vsock::Vsock;
use crate::watchdog::Watchdog;

/// The devices of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Devices {
    /// The `<devices>` element; none when the document has none.
    pub node: Option<NodeId>,
    /// Host path of the hypervisor program; none for the driver's choice.
    pub emulator: Option<String>,
    /// Disks.
    pub disks: Vec<Disk>,
    /// Controllers.
    pub controllers: Vec<Controller>,
    /// Shared directories.
    pub filesystems: Vec<Filesystem>,
    /// Network interfaces.
    pub interfaces: Vec<Interface>,
    /// Smartcards.
    pub smartcards: Vec<Smartcard>,
    /// Serial ports.
    pub serials: Vec<Chardev>,
    /// Parallel ports.
    pub parallels: Vec<Chardev>,
    /// Consoles.
    pub consoles: Vec<Chardev>,
    /// Channels.
    pub channels: Vec<Chardev>,
    /// Input devices.
    pub inputs: Vec<Input>,
    /// Trusted platform modules.
    pub tpms: Vec<Tpm>,
    /// Ways to the display.
    pub graphics: Vec<Graphics>,
    /// Sound cards.
    pub sounds: Vec<Sound>,
    /// Audio backends.
    pub audios: Vec<Audio>,
    /// Graphics cards.
    pub videos: Vec<Video>,
    /// Devices of the host.
    pub hostdevs: Vec<Hostdev>,
    /// Redirected USB devices.
    pub redirdevs: Vec<Redirdev>,
    /// Which USB devices may be redirected; none for all.
    pub redir_filter: Option<Vec<RedirRule>>,
    /// Hubs.
    pub hubs: Vec<Hub>,
    /// Watchdogs.
    pub watchdogs: Vec<Watchdog>,
    /// The memory balloon.
    pub memballoon: Option<Memballoon>,
    /// Sources of randomness.
    pub rngs: Vec<Rng>,
    /// Panic devices.
    pub panics: Vec<Panic>,
    /// Memory shared between guests.
    pub shmems: Vec<Shmem>,
    /// Memory that is plugged in.
    pub memories: Vec<MemoryDevice>,
    /// The guest's own IOMMU.
    pub iommu: Option<Iommu>,
    /// Sockets between host and guest.
    pub vsock: Option<Vsock>,
}

impl Devices {
    pub(crate) fn read(devices: Element<'_>) -> Result<Self, XmlError> {
        let chardevs = |name, kind| devices.each(name, |device| Chardev::read(kind, device));
        Ok(Self {
            node: Some(devices.node),
            emulator: devices.text_of("emulator"),
            disks: devices.each("disk", Disk::read)?,
            controllers: devices.each("controller", Controller::read)?,
            filesystems: devices.each("filesystem", Filesystem::read)?,
            interfaces: devices.each("interface", Interface::read)?,
            smartcards: devices.each("smartcard", Smartcard::read)?,
            serials: chardevs("serial", ChardevKind::Serial)?,
            parallels: chardevs("parallel", ChardevKind::Parallel)?,
            consoles: chardevs("console", ChardevKind::Console)?,
            channels: chardevs("channel", ChardevKind::Channel)?,
            inputs: devices.each("input", Input::read)?,
            tpms: devices.each("tpm", Tpm::read)?,
            graphics: devices.each("graphics", Graphics::read)?,
            sounds: devices.each("sound", Sound::read)?,
            audios: devices.each("audio", Audio::read)?,
            videos: devices.each("video", Video::read)?,
            hostdevs: devices.each("hostdev", Hostdev::read)?,
            redirdevs: devices.each("redirdev", Redirdev::read)?,
            redir_filter: devices.maybe("redirfilter", RedirRule::read_all)?,
            hubs: devices.each("hub", Hub::read)?,
            watchdogs: devices.each("watchdog", Watchdog::read)?,
            memballoon: devices.maybe("memballoon", Memballoon::read)?,
            rngs: devices.each("rng", Rng::read)?,
            panics: devices.each("panic", Panic::read)?,
            shmems: devices.each("shmem", Shmem::read)?,
            memories: devices.each("memory", MemoryDevice::read)?,
            iommu: devices.maybe("iommu", Iommu::read)?,
            vsock: devices.maybe("vsock", Vsock::read)?,
        })
    }

    /// What every device says about itself, kind by kind, in document order within a kind. Audio backends and
    /// graphics are no devices of the guest and say nothing of the kind.
    pub fn infos(&self) -> impl Iterator<Item = (NodeId, &DeviceInfo)> {
        macro_rules! infos {
            ($first:ident $(, $rest:ident)*) => {
                self.$first.iter().map(|device| (device.node, &device.info))
                    $(.chain(self.$rest.iter().map(|device| (device.node, &device.info))))*
            };
        }
        infos!(
            disks,
            controllers,
            filesystems,
            interfaces,
            smartcards,
            serials,
            parallels,
            consoles,
            channels,
            inputs,
            tpms,
            sounds,
            videos,
            hostdevs,
            redirdevs,
            hubs,
            watchdogs,
            memballoon,
            rngs,
            panics,
            shmems,
            memories,
            iommu,
            vsock
        )
    }

    /// The disk with this target name.
    pub fn disk(&self, target: &str) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.target.as_str() == target)
    }
}
