//! `<hostdev>`: devices of the host inside the guest.

use crate::address::{PciAddress, read_host_pci};
use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::{XmlError, XmlErrorKind};
use crate::read::Element;
use crate::storage_source::{Auth, Host};

/// A device of the host inside the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hostdev {
    /// The element.
    pub node: NodeId,
    /// Which device.
    pub source: HostdevSource,
    /// Whether it is taken from and given back to its host driver.
    pub managed: bool,
    /// How it is handed over.
    pub driver: Option<HostdevDriver>,
    /// What happens when it is missing at start.
    pub startup_policy: Option<crate::storage_source::StartupPolicy>,
    /// Whether the guest cannot write (scsi).
    pub readonly: bool,
    /// Whether other domains use it too (scsi).
    pub shareable: bool,
    /// Its part in a pair for migration.
    pub is_teamed: bool,
    /// Alias, address, boot order, ROM.
    pub info: DeviceInfo,
}

keywords! {
    /// How a PCI device is handed over.
    HostdevDriver { Vfio = "vfio", Kvm = "kvm", Xen = "xen" }
}
keywords! {
    /// What kind of mediated device.
    MdevModel { VfioPci = "vfio-pci", VfioCcw = "vfio-ccw", VfioAp = "vfio-ap" }
}

/// Which device of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostdevSource {
    /// A PCI function.
    Pci {
        /// The function.
        address: PciAddress,
    },
    /// A USB device.
    Usb(UsbSource),
    /// A SCSI unit of the host.
    Scsi {
        /// The adapter, such as `scsi_host0`.
        adapter: String,
        /// Bus.
        bus: u32,
        /// Target.
        target: u32,
        /// Unit.
        unit: u64,
        /// How raw SCSI commands are allowed.
        raw_io: Option<bool>,
    },
    /// A SCSI unit of an iSCSI server.
    Iscsi {
        /// Name of the target, perhaps with `/unit`.
        name: String,
        /// The servers.
        hosts: Vec<Host>,
        /// Who opens it.
        auth: Option<Auth>,
        /// iSCSI name of the initiator.
        initiator_iqn: Option<String>,
    },
    /// A vhost-scsi target.
    ScsiHost {
        /// Its world wide name.
        wwpn: String,
        /// Flavour of virtio.
        model: Option<String>,
    },
    /// A mediated device.
    Mdev {
        /// What kind.
        model: MdevModel,
        /// Its UUID.
        uuid: String,
        /// Whether it shows a display.
        display: Option<bool>,
        /// Whether there is a frame buffer before its driver starts.
        ramfb: Option<bool>,
    },
    /// A thing of the host for a container, by path or name.
    Capability {
        /// `storage`, `misc` or `net`.
        kind: String,
        /// Its path or name.
        name: String,
    },
}

/// Which USB device: by identity, by place, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsbSource {
    /// Vendor.
    pub vendor: Option<u16>,
    /// Product.
    pub product: Option<u16>,
    /// Bus of the host.
    pub bus: Option<u32>,
    /// Device on the bus.
    pub device: Option<u32>,
    /// Whether the guest may reset it.
    pub guest_reset: Option<GuestReset>,
}

keywords! {
    /// Whether a guest may reset a USB device.
    GuestReset { Off = "off", Uninitialized = "uninitialized", On = "on" }
}

impl Hostdev {
    pub(crate) fn read(hostdev: Element<'_>) -> Result<Self, XmlError> {
        let source = hostdev.need_child("source")?;
        let read = match (hostdev.get("mode").unwrap_or("subsystem"), hostdev.need("type")?) {
            ("subsystem", "pci") => {
                HostdevSource::Pci { address: read_host_pci(source.need_child("address")?)? }
            }
            ("subsystem", "usb") => HostdevSource::Usb(read_usb(source)?),
            ("subsystem", "scsi") => read_scsi(hostdev, source)?,
            ("subsystem", "scsi_host") => {
                source.keep_attribute("protocol");
                HostdevSource::ScsiHost { wwpn: source.need_string("wwpn")?, model: hostdev.filled("model") }
            }
            ("subsystem", "mdev") => read_mdev(hostdev, source)?,
            ("capabilities", kind) => read_capability(kind, source)?,
            ("subsystem", other) => {
                return Err(hostdev.unknown(
                    Some("type"),
                    other,
                    &["pci", "usb", "scsi", "scsi_host", "mdev"],
                ));
            }
            (other, _) => return Err(hostdev.unknown(Some("mode"), other, &["subsystem", "capabilities"])),
        };
        Ok(Self {
            node: hostdev.node,
            source: read,
            managed: hostdev.yes_no("managed")?.unwrap_or(false),
            driver: hostdev.maybe("driver", |driver| driver.keyword("name"))?.flatten(),
            startup_policy: source.keyword("startupPolicy")?,
            readonly: hostdev.has("readonly"),
            shareable: hostdev.has("shareable"),
            is_teamed: hostdev.has("teaming"),
            info: DeviceInfo::read(hostdev)?,
        })
    }
}

fn read_usb(source: Element<'_>) -> Result<UsbSource, XmlError> {
    let id = |name| {
        let number = source
            .maybe(name, |element| element.c_number("id", 0xffff)?.ok_or_else(|| element.missing("id")))?;
        Ok::<_, XmlError>(number.map(|number| u16::try_from(number).unwrap_or(u16::MAX)))
    };
    let address = source.child("address");
    let place = |name| {
        let number =
            address.map(|address| address.c_number(name, u64::from(u32::MAX))).transpose()?.flatten();
        Ok::<_, XmlError>(number.map(|number| u32::try_from(number).unwrap_or(u32::MAX)))
    };
    let usb = UsbSource {
        vendor: id("vendor")?,
        product: id("product")?,
        bus: place("bus")?,
        device: place("device")?,
        guest_reset: source.keyword("guestReset")?,
    };
    if usb.vendor.is_none() && usb.device.is_none() {
        let message = "a USB device is named by 'vendor' and 'product' or by 'address'";
        return Err(source.error(XmlErrorKind::MissingElement, message));
    }
    Ok(usb)
}

fn read_scsi(hostdev: Element<'_>, source: Element<'_>) -> Result<HostdevSource, XmlError> {
    match source.get("protocol") {
        Some("iscsi") => {
            let initiator = source.child("initiator").and_then(|initiator| initiator.child("iqn"));
            Ok(HostdevSource::Iscsi {
                name: source.need_string("name")?,
                hosts: source.each("host", Host::read)?,
                auth: source.maybe("auth", Auth::read)?,
                initiator_iqn: initiator.and_then(|iqn| iqn.filled("name")),
            })
        }
        None | Some("adapter") => {
            let address = source.need_child("address")?;
            Ok(HostdevSource::Scsi {
                adapter: source.need_child("adapter")?.need_string("name")?,
                bus: address.need_number("bus")?,
                target: address.need_number("target")?,
                unit: address.need_number("unit")?,
                raw_io: hostdev.yes_no("rawio")?,
            })
        }
        Some(other) => Err(source.unknown(Some("protocol"), other, &["adapter", "iscsi"])),
    }
}

fn read_mdev(hostdev: Element<'_>, source: Element<'_>) -> Result<HostdevSource, XmlError> {
    Ok(HostdevSource::Mdev {
        model: hostdev.need_keyword("model")?,
        uuid: source.need_child("address")?.need_string("uuid")?,
        display: hostdev.on_off("display")?,
        ramfb: hostdev.on_off("ramfb")?,
    })
}

fn read_capability(kind: &str, source: Element<'_>) -> Result<HostdevSource, XmlError> {
    let name = ["block", "char", "interface"].into_iter().find_map(|name| source.text_of(name));
    let name = name.ok_or_else(|| {
        source.error(XmlErrorKind::MissingElement, "'source' has none of 'block', 'char', 'interface'")
    })?;
    Ok(HostdevSource::Capability { kind: kind.to_owned(), name })
}
