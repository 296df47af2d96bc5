//! What virtio devices share: the flavour and the `<driver>` switches.

use crate::error::XmlError;
use crate::fragment::Fragment;
use crate::read::Element;

/// The switches of `<driver>` that any virtio device can carry; none where not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VirtioOptions {
    /// Go through the guest's IOMMU.
    pub iommu: Option<bool>,
    /// Address translation service.
    pub ats: Option<bool>,
    /// Packed rings.
    pub packed: Option<bool>,
    /// One page per notification area.
    pub page_per_vq: Option<bool>,
}

impl VirtioOptions {
    /// Reads the switches from a `<driver>` element.
    pub(crate) fn read(driver: Element<'_>) -> Result<Self, XmlError> {
        Ok(Self {
            iommu: driver.on_off("iommu")?,
            ats: driver.on_off("ats")?,
            packed: driver.on_off("packed")?,
            page_per_vq: driver.on_off("page_per_vq")?,
        })
    }

    /// Reads the switches of the `<driver>` child of a device, all none when it has none.
    pub(crate) fn of_device(device: Element<'_>) -> Result<Self, XmlError> {
        device.maybe("driver", Self::read).map(Option::unwrap_or_default)
    }

    /// The `<driver>` element, unless nothing is given.
    pub fn to_fragment(&self) -> Option<Fragment> {
        if *self == Self::default() {
            return None;
        }
        let word = |flag: Option<bool>| flag.map(|on| if on { "on" } else { "off" });
        Some(
            Fragment::new("driver")
                .maybe_attribute("iommu", word(self.iommu))
                .maybe_attribute("ats", word(self.ats))
                .maybe_attribute("packed", word(self.packed))
                .maybe_attribute("page_per_vq", word(self.page_per_vq)),
        )
    }
}
