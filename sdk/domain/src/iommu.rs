//! `<iommu>`: the guest's own IOMMU.

use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::XmlError;
use crate::read::Element;

keywords! {
    /// What the guest sees.
    IommuModel { Intel = "intel", Smmuv3 = "smmuv3", Virtio = "virtio" }
}

/// The guest's own IOMMU; a switch is none where the document is silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Iommu {
    /// The element.
    pub node: NodeId,
    /// What the guest sees.
    pub model: IommuModel,
    /// Interrupt remapping.
    pub intremap: Option<bool>,
    /// Caching mode, needed for VFIO.
    pub caching_mode: Option<bool>,
    /// Extended interrupt mode.
    pub eim: Option<bool>,
    /// Device IOTLB.
    pub iotlb: Option<bool>,
    /// Width of addresses, in bits.
    pub aw_bits: Option<u8>,
    /// Alias, address.
    pub info: DeviceInfo,
}

impl Iommu {
    pub(crate) fn read(iommu: Element<'_>) -> Result<Self, XmlError> {
        let driver = iommu.child("driver");
        let flag = |name| driver.map(|driver| driver.on_off(name)).transpose().map(Option::flatten);
        Ok(Self {
            node: iommu.node,
            model: iommu.need_keyword("model")?,
            intremap: flag("intremap")?,
            caching_mode: flag("caching_mode")?,
            eim: flag("eim")?,
            iotlb: flag("iotlb")?,
            aw_bits: driver.map(|driver| driver.number("aw_bits")).transpose()?.flatten(),
            info: DeviceInfo::read(iommu)?,
        })
    }
}
