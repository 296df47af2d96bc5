//! `<redirdev>` and `<redirfilter>`: USB devices of whoever looks at the display.

use crate::chardev::CharSource;
use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::XmlError;
use crate::read::Element;

/// A redirected USB device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirdev {
    /// The element.
    pub node: NodeId,
    /// Where it comes from.
    pub source: CharSource,
    /// Alias, address, boot order.
    pub info: DeviceInfo,
}

/// One rule of `<redirfilter>`; none matches everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedirRule {
    /// USB class.
    pub class: Option<u8>,
    /// Vendor.
    pub vendor: Option<u16>,
    /// Product.
    pub product: Option<u16>,
    /// Version as binary-coded decimal: `1.10` is 0x0110.
    pub version: Option<u16>,
    /// Whether such a device may be redirected.
    pub allow: bool,
}

impl Redirdev {
    pub(crate) fn read(redirdev: Element<'_>) -> Result<Self, XmlError> {
        match redirdev.get("bus") {
            None | Some("usb") => {}
            Some(other) => return Err(redirdev.unknown(Some("bus"), other, &["usb"])),
        }
        Ok(Self {
            node: redirdev.node,
            source: CharSource::read(redirdev)?,
            info: DeviceInfo::read(redirdev)?,
        })
    }
}

impl RedirRule {
    pub(crate) fn read_all(filter: Element<'_>) -> Result<Vec<Self>, XmlError> {
        filter.each("usbdev", |rule| {
            let id = |name, most| match rule.get(name) {
                None | Some("-1") => Ok(None),
                Some(_) => rule.c_number(name, most),
            };
            Ok(Self {
                class: id("class", 0xff)?.and_then(|number| u8::try_from(number).ok()),
                vendor: id("vendor", 0xffff)?.and_then(|number| u16::try_from(number).ok()),
                product: id("product", 0xffff)?.and_then(|number| u16::try_from(number).ok()),
                version: read_version(rule)?,
                allow: rule.yes_no("allow")?.ok_or_else(|| rule.missing("allow"))?,
            })
        })
    }
}

fn read_version(rule: Element<'_>) -> Result<Option<u16>, XmlError> {
    let Some(text) = rule.get("version").filter(|text| *text != "-1") else { return Ok(None) };
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    let byte =
        |text: &str| text.parse::<u16>().ok().filter(|number| *number < 100).map(|n| n / 10 * 16 + n % 10);
    // One digit behind the point is tenths: `1.1` is `1.10`.
    let minor = if minor.len() == 1 { format!("{minor}0") } else { minor.to_owned() };
    match (byte(major), byte(&minor)) {
        (Some(major), Some(minor)) => Ok(Some(major << 8 | minor)),
        _ => Err(rule.invalid(Some("version"), text, "a USB version such as '1.10'")),
    }
}
