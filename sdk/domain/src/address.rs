//! `<address>`: where a device sits.

use std::fmt;

use crate::error::{XmlError, XmlErrorKind};
use crate::fragment::Fragment;
use crate::read::Element;

/// The place of a device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A function of a PCI device. All zero means: PCI, place still to be chosen.
    Pci(PciAddress),
    /// A place on a disk controller.
    Drive(DriveAddress),
    /// A port of a USB bus.
    Usb {
        /// The index of the controller.
        bus: u32,
        /// Dotted path of ports through hubs, such as `1.2`; empty when still to be chosen.
        port: String,
    },
    /// A port of a virtio-serial controller.
    VirtioSerial {
        /// The index of the controller.
        controller: u32,
        /// Always 0 in practice.
        bus: u32,
        /// The port; none when still to be chosen.
        port: Option<u32>,
    },
    /// A slot of a smartcard reader.
    Ccid {
        /// The index of the controller.
        controller: u32,
        /// The slot.
        slot: u32,
    },
    /// An ISA device.
    Isa {
        /// First I/O port.
        iobase: Option<u32>,
        /// Interrupt line.
        irq: Option<u32>,
    },
    /// A memory slot.
    Dimm {
        /// The slot; none when still to be chosen.
        slot: Option<u32>,
        /// Guest physical address; none when QEMU chooses.
        base: Option<u64>,
    },
    /// A device on the sPAPR virtual bus.
    SpaprVio {
        /// The register.
        reg: Option<u64>,
    },
    /// A channel device of s390x.
    Ccw(CcwAddress),
    /// A virtio device on its own memory window; QEMU chooses.
    VirtioMmio,
    /// Deliberately at no place: handed to no guest, only reserved.
    Unassigned,
}

/// A function of a PCI device, ordered by domain, bus, slot, function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PciAddress {
    /// The PCI domain, up to 0xffff.
    pub domain: u16,
    /// The bus: in a guest the index of the controller; up to 0xff.
    pub bus: u8,
    /// The slot, up to 0x1f.
    pub slot: u8,
    /// The function, up to 7.
    pub function: u8,
    /// Whether the slot has more functions; none when not said.
    pub multifunction: Option<bool>,
}

/// A place on a disk controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DriveAddress {
    /// The index of the controller.
    pub controller: u32,
    /// The channel or bus of the controller.
    pub bus: u32,
    /// The SCSI target.
    pub target: u32,
    /// The unit or LUN.
    pub unit: u32,
}

/// A channel device of s390x.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CcwAddress {
    /// Channel subsystem, up to 0xfe.
    pub cssid: u8,
    /// Subchannel set, up to 3.
    pub ssid: u8,
    /// Device number.
    pub devno: u16,
}

const HIGHEST_SLOT: u64 = 0x1f;
const HIGHEST_FUNCTION: u64 = 7;

impl PciAddress {
    /// Domain 0, with no word on multifunction.
    pub fn new(bus: u8, slot: u8, function: u8) -> Self {
        Self { domain: 0, bus, slot, function, multifunction: None }
    }

    /// Whether this is 0000:00:00.0, which no device can have: the place is still to be chosen.
    pub fn is_unassigned(&self) -> bool {
        (self.domain, self.bus, self.slot, self.function) == (0, 0, 0, 0)
    }

    /// Slot and function as QEMU writes them: `0x2` or `0x2.0x1`.
    pub fn slot_function(&self) -> String {
        match self.function {
            0 => format!("{:#x}", self.slot),
            function => format!("{:#x}.{function:#x}", self.slot),
        }
    }

    /// Reads `0x2`, `0x2.0x1` (bus 0), `00:02.1` or `0000:00:02.1`; numbers are hexadecimal.
    pub fn parse(text: &str) -> Option<Self> {
        let (place, function) = text.rsplit_once('.').unwrap_or((text, "0"));
        let mut parts = place.rsplit(':');
        let slot = hex(parts.next()?, HIGHEST_SLOT)?;
        let bus = parts.next().map_or(Some(0), |bus| hex(bus, 0xff))?;
        let domain = parts.next().map_or(Some(0), |domain| hex(domain, 0xffff))?;
        if parts.next().is_some() {
            return None;
        }
        Some(Self {
            domain: u16::try_from(domain).ok()?,
            bus: u8::try_from(bus).ok()?,
            slot: u8::try_from(slot).ok()?,
            function: u8::try_from(hex(function, HIGHEST_FUNCTION)?).ok()?,
            multifunction: None,
        })
    }

    pub(crate) fn read(element: Element<'_>) -> Result<Self, XmlError> {
        let multifunction = element.on_off("multifunction")?;
        element.maybe("zpci", check_zpci)?;
        let number = |name, most| element.c_number(name, most).map(|number| number.unwrap_or(0));
        Ok(Self {
            domain: u16::try_from(number("domain", 0xffff)?).unwrap_or(u16::MAX),
            bus: u8::try_from(number("bus", 0xff)?).unwrap_or(u8::MAX),
            slot: u8::try_from(number("slot", HIGHEST_SLOT)?).unwrap_or(u8::MAX),
            function: u8::try_from(number("function", HIGHEST_FUNCTION)?).unwrap_or(u8::MAX),
            multifunction,
        })
    }
}

/// What a PCI device is called on s390x; only checked, for no machine there is run here.
fn check_zpci(zpci: Element<'_>) -> Result<(), XmlError> {
    zpci.c_number("fid", u64::from(u32::MAX))?;
    if zpci.c_number("uid", 0xffff)? == Some(0) {
        let message = "attribute 'uid' of 'zpci' is 0; it is between 1 and 0xffff".to_owned();
        return Err(zpci.fault(Some("uid"), XmlErrorKind::OutOfRange, message));
    }
    Ok(())
}

fn hex(text: &str, most: u64) -> Option<u64> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let valid = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|number| valid && *number <= most)
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.{:x}", self.domain, self.bus, self.slot, self.function)
    }
}

impl fmt::Display for Address {
    /// A place as one word: `0000:05:00.0`, `usb:0:1`, `virtio-serial:0:0:2`. Other kinds are not told from one another.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pci(pci) => pci.fmt(f),
            Self::Drive(drive) => {
                write!(f, "drive:{}:{}:{}:{}", drive.controller, drive.bus, drive.target, drive.unit)
            }
            Self::Usb { bus, port } => write!(f, "usb:{bus}:{port}"),
            Self::VirtioSerial { controller, bus, port } => {
                write!(f, "virtio-serial:{controller}:{bus}:{}", port.unwrap_or_default())
            }
            Self::Ccid { controller, slot } => write!(f, "ccid:{controller}:{slot}"),
            _ => f.write_str("elsewhere"),
        }
    }
}

impl Address {
    /// Whether it is a place of its own that two devices cannot have, and that has a word.
    pub fn is_distinct(&self) -> bool {
        let known = matches!(
            self,
            Self::Pci(_) | Self::Drive(_) | Self::Usb { .. } | Self::VirtioSerial { .. } | Self::Ccid { .. }
        );
        known && !self.is_unassigned_place()
    }

    /// Whether the place itself is still to be chosen (`<address type='pci'/>` and its like).
    pub fn is_unassigned_place(&self) -> bool {
        match self {
            Self::Pci(pci) => pci.is_unassigned(),
            Self::Usb { port, .. } => port.is_empty(),
            Self::VirtioSerial { port, .. } => port.is_none(),
            _ => false,
        }
    }

    /// The PCI place, if it is one.
    pub fn pci(&self) -> Option<&PciAddress> {
        match self {
            Self::Pci(pci) => Some(pci),
            _ => None,
        }
    }

    /// The place on a disk controller, if it is one.
    pub fn drive(&self) -> Option<&DriveAddress> {
        match self {
            Self::Drive(drive) => Some(drive),
            _ => None,
        }
    }

    pub(crate) fn read(element: Element<'_>) -> Result<Self, XmlError> {
        let small = |name| Ok::<u32, XmlError>(element.number(name)?.unwrap_or(0));
        let most = u64::from(u32::MAX);
        let c_small = |name| {
            let number = element.c_number(name, most)?;
            Ok::<_, XmlError>(number.map(|number| u32::try_from(number).unwrap_or(u32::MAX)))
        };
        match element.need("type")? {
            "pci" => PciAddress::read(element).map(Self::Pci),
            "drive" => Ok(Self::Drive(DriveAddress {
                controller: small("controller")?,
                bus: small("bus")?,
                target: small("target")?,
                unit: small("unit")?,
            })),
            "usb" => read_usb(element),
            "virtio-serial" => Ok(Self::VirtioSerial {
                controller: small("controller")?,
                bus: small("bus")?,
                port: element.number("port")?,
            }),
            "ccid" => Ok(Self::Ccid { controller: small("controller")?, slot: small("slot")? }),
            "isa" => Ok(Self::Isa { iobase: c_small("iobase")?, irq: c_small("irq")? }),
            "dimm" => {
                Ok(Self::Dimm { slot: element.number("slot")?, base: element.c_number("base", u64::MAX)? })
            }
            "spapr-vio" => Ok(Self::SpaprVio { reg: element.c_number("reg", u64::MAX)? }),
            "ccw" => read_ccw(element),
            "virtio-mmio" => Ok(Self::VirtioMmio),
            "unassigned" => Ok(Self::Unassigned),
            other => Err(element.unknown(Some("type"), other, TYPES)),
        }
    }

    /// The element that stands for this address.
    pub fn to_fragment(&self) -> Fragment {
        let typed = |kind: &str| Fragment::new("address").attribute("type", kind);
        match self {
            Self::Pci(pci) if pci.is_unassigned() => typed("pci"),
            Self::Pci(pci) => pci_fragment(pci),
            Self::Drive(drive) => typed("drive")
                .attribute("controller", drive.controller)
                .attribute("bus", drive.bus)
                .attribute("target", drive.target)
                .attribute("unit", drive.unit),
            Self::Usb { bus, port } if port.is_empty() => typed("usb").attribute("bus", bus),
            Self::Usb { bus, port } => typed("usb").attribute("bus", bus).attribute("port", port),
            Self::VirtioSerial { controller, bus, port } => typed("virtio-serial")
                .attribute("controller", controller)
                .attribute("bus", bus)
                .maybe_attribute("port", *port),
            Self::Ccid { controller, slot } => {
                typed("ccid").attribute("controller", controller).attribute("slot", slot)
            }
            Self::Isa { iobase, irq } => typed("isa")
                .maybe_attribute("iobase", iobase.map(|number| format!("{number:#x}")))
                .maybe_attribute("irq", irq.map(|number| format!("{number:#x}"))),
            Self::Dimm { slot, base } => typed("dimm")
                .maybe_attribute("slot", *slot)
                .maybe_attribute("base", base.map(|number| format!("{number:#x}"))),
            Self::SpaprVio { reg } => {
                typed("spapr-vio").maybe_attribute("reg", reg.map(|number| format!("{number:#010x}")))
            }
            Self::Ccw(ccw) => typed("ccw")
                .attribute("cssid", format!("{:#x}", ccw.cssid))
                .attribute("ssid", format!("{:#x}", ccw.ssid))
                .attribute("devno", format!("{:#06x}", ccw.devno)),
            Self::VirtioMmio => typed("virtio-mmio"),
            Self::Unassigned => typed("unassigned"),
        }
    }
}

const TYPES: &[&str] = &[
    "pci",
    "drive",
    "usb",
    "virtio-serial",
    "ccid",
    "isa",
    "dimm",
    "spapr-vio",
    "ccw",
    "virtio-mmio",
    "unassigned",
];

fn pci_fragment(pci: &PciAddress) -> Fragment {
    Fragment::new("address")
        .attribute("type", "pci")
        .attribute("domain", format!("{:#06x}", pci.domain))
        .attribute("bus", format!("{:#04x}", pci.bus))
        .attribute("slot", format!("{:#04x}", pci.slot))
        .attribute("function", format!("{:#x}", pci.function))
        .maybe_attribute("multifunction", pci.multifunction.map(|on| if on { "on" } else { "off" }))
}

fn read_usb(element: Element<'_>) -> Result<Address, XmlError> {
    let port = element.string("port").unwrap_or_default();
    let valid = port.is_empty() || port.split('.').all(|step| step.parse::<u8>().is_ok_and(|step| step > 0));
    if !valid || port.split('.').count() > MAX_USB_TIERS {
        return Err(element.invalid(Some("port"), &port, "a path of USB ports such as '1.2'"));
    }
    Ok(Address::Usb { bus: element.number("bus")?.unwrap_or(0), port })
}

/// Most ports on the way to a USB device: itself and hubs, as libvirt and QEMU count.
const MAX_USB_TIERS: usize = 4;

fn read_ccw(element: Element<'_>) -> Result<Address, XmlError> {
    let number = |name, most| element.c_number(name, most)?.ok_or_else(|| element.missing(name));
    Ok(Address::Ccw(CcwAddress {
        cssid: u8::try_from(number("cssid", 0xfe)?).unwrap_or(u8::MAX),
        ssid: u8::try_from(number("ssid", 3)?).unwrap_or(u8::MAX),
        devno: u16::try_from(number("devno", 0xffff)?).unwrap_or(u16::MAX),
    }))
}

/// The place of something on the host, which must be given; 0000:00:00.0 is a real one on s390x.
pub(crate) fn read_host_pci(element: Element<'_>) -> Result<PciAddress, XmlError> {
    let address = PciAddress::read(element)?;
    if element.get("bus").is_none() && element.get("slot").is_none() {
        return Err(
            element.error(XmlErrorKind::MissingAttribute, "the PCI address of the host device is missing")
        );
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pci_addresses_in_their_three_spellings() {
        let address = PciAddress::parse("0x2.0x1").unwrap();
        assert_eq!(address, PciAddress::new(0, 2, 1));
        assert_eq!(address.to_string(), "0000:00:02.1");
        assert_eq!(address.slot_function(), "0x2.0x1");
        assert_eq!(PciAddress::new(0, 0x1f, 0).slot_function(), "0x1f");
        assert_eq!(PciAddress::parse("0001:0a:1f.7").unwrap().to_string(), "0001:0a:1f.7");
        for bad in ["", "20.0", "1.8", "0:0:0:0.0", "x", "+2"] {
            assert_eq!(PciAddress::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn fragments_follow_the_usual_spelling() {
        let address = Address::Pci(PciAddress { multifunction: Some(true), ..PciAddress::new(0, 2, 0) });
        let written = "<address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x0' \
                       multifunction='on'/>";
        assert_eq!(address.to_fragment().to_xml(), written);
    }
}
