//! `<hub>`: USB hubs.

use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::XmlError;
use crate::read::Element;

keywords! {
    /// What kind of hub.
    HubType { Usb = "usb" }
}

/// A hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hub {
    /// The element.
    pub node: NodeId,
    /// What kind.
    pub kind: HubType,
    /// Alias, address.
    pub info: DeviceInfo,
}

impl Hub {
    pub(crate) fn read(hub: Element<'_>) -> Result<Self, XmlError> {
        Ok(Self { node: hub.node, kind: hub.need_keyword("type")?, info: DeviceInfo::read(hub)? })
    }
}
