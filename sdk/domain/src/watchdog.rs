//! `<watchdog>`: what notices a guest that hangs.

use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::XmlError;
use crate::read::Element;

keywords! {
    /// What happens to a guest that hangs.
    WatchdogAction {
        Reset = "reset", Shutdown = "shutdown", Poweroff = "poweroff", Pause = "pause", Dump = "dump",
        None = "none", InjectNmi = "inject-nmi",
    }
}

/// A watchdog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watchdog {
    /// The element.
    pub node: NodeId,
    /// Its model, such as `i6300esb`; open, because drivers differ.
    pub model: String,
    /// What happens to a guest that hangs.
    pub action: WatchdogAction,
    /// Alias, address.
    pub info: DeviceInfo,
}

impl Watchdog {
    pub(crate) fn read(watchdog: Element<'_>) -> Result<Self, XmlError> {
        Ok(Self {
            node: watchdog.node,
            model: watchdog.need_string("model")?,
            action: watchdog.keyword("action")?.unwrap_or(WatchdogAction::Reset),
            info: DeviceInfo::read(watchdog)?,
        })
    }
}
