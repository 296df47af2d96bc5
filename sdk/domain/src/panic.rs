//! `<panic>`: how a guest tells that it crashed.

use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::XmlError;
use crate::read::Element;

keywords! {
    /// What the guest writes to.
    PanicModel { Isa = "isa", Pseries = "pseries", HyperV = "hyperv", S390 = "s390", Pvpanic = "pvpanic" }
}

/// A panic device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panic {
    /// The element.
    pub node: NodeId,
    /// What the guest writes to; none when still to be chosen.
    pub model: Option<PanicModel>,
    /// Alias, address.
    pub info: DeviceInfo,
}

impl Panic {
    pub(crate) fn read(panic: Element<'_>) -> Result<Self, XmlError> {
        Ok(Self { node: panic.node, model: panic.keyword("model")?, info: DeviceInfo::read(panic)? })
    }
}
