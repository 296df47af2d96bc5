//! `<memballoon>`: memory that the guest gives back.

use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::XmlError;
use crate::fragment::Fragment;
use crate::read::Element;
use crate::virtio::VirtioOptions;

/// A memory balloon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memballoon {
    /// The element.
    pub node: NodeId,
    /// Its model: `virtio`, `virtio-non-transitional`, `none`...; open, because drivers differ.
    pub model: String,
    /// Whether it gives memory back before the guest runs out.
    pub auto_deflate: Option<bool>,
    /// Whether the guest reports pages that it does not use.
    pub free_page_reporting: Option<bool>,
    /// How often the guest is asked for statistics, in seconds.
    pub stats_period_s: Option<u32>,
    /// The switches that any virtio device can carry.
    pub virtio: VirtioOptions,
    /// Alias, address.
    pub info: DeviceInfo,
}

impl Memballoon {
    /// Whether the document asks for no balloon.
    pub fn is_none(&self) -> bool {
        self.model == "none"
    }

    pub(crate) fn read(balloon: Element<'_>) -> Result<Self, XmlError> {
        Ok(Self {
            node: balloon.node,
            model: balloon.need_string("model")?,
            auto_deflate: balloon.on_off("autodeflate")?,
            free_page_reporting: balloon.on_off("freePageReporting")?,
            stats_period_s: balloon.maybe("stats", |stats| stats.number("period"))?.flatten(),
            virtio: VirtioOptions::of_device(balloon)?,
            info: DeviceInfo::read(balloon)?,
        })
    }
}

/// A memory balloon to be added to a document.
pub fn new_memballoon(model: &str) -> Fragment {
    Fragment::new("memballoon").attribute("model", model)
}
