//! What every device can say about itself: alias, address, boot order, ROM.

use crate::address::Address;
use crate::error::{XmlError, XmlErrorKind};
use crate::read::Element;

/// The parts that devices share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceInfo {
    /// The name of the device; user-chosen ones begin with `ua-`.
    pub alias: Option<String>,
    /// The place of the device.
    pub address: Option<Address>,
    /// Place in the boot order, from 1.
    pub boot_order: Option<u32>,
    /// Boot parameter of s390x.
    pub load_parm: Option<String>,
    /// The option ROM.
    pub rom: Option<Rom>,
    /// ACPI index: the number in the guest's onboard interface names.
    pub acpi_index: Option<u32>,
}

/// `<rom>`: the option ROM of a PCI device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rom {
    /// Whether there is one at all.
    pub enabled: Option<bool>,
    /// Whether the guest sees it in the device's memory map.
    pub bar: Option<bool>,
    /// Host path of the ROM image.
    pub file: Option<String>,
}

impl DeviceInfo {
    pub(crate) fn read(element: Element<'_>) -> Result<Self, XmlError> {
        let boot = element.child("boot");
        let boot_order = boot.map(|boot| boot.need_number::<u32>("order")).transpose()?;
        if let (Some(boot), Some(0)) = (boot, boot_order) {
            let message = "attribute 'order' of 'boot' is 0; orders count from 1".to_owned();
            return Err(boot.fault(Some("order"), XmlErrorKind::OutOfRange, message));
        }
        let load_parm = boot.and_then(|boot| boot.filled("loadparm"));
        if let (Some(boot), Some(text)) = (boot, load_parm.as_deref().filter(|text| text.len() > 8)) {
            return Err(boot.invalid(Some("loadparm"), text, "1 to 8 characters"));
        }
        Ok(Self {
            alias: element.child("alias").and_then(|alias| alias.filled("name")),
            address: element.maybe("address", Address::read)?,
            boot_order,
            load_parm,
            rom: element.maybe("rom", |rom| {
                Ok(Rom { enabled: rom.yes_no("enabled")?, bar: rom.on_off("bar")?, file: rom.filled("file") })
            })?,
            acpi_index: element.maybe("acpi", |acpi| acpi.number("index"))?.flatten(),
        })
    }
}
