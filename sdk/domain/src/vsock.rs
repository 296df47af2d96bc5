//! `<vsock>`: sockets between host and guest.

use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::{XmlError, XmlErrorKind};
use crate::read::Element;
use crate::virtio::VirtioOptions;

/// Sockets between host and guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vsock {
    /// The element.
    pub node: NodeId,
    /// Flavour of virtio.
    pub model: Option<String>,
    /// Whether the host chooses the context id.
    pub auto_cid: bool,
    /// The context id, from 3; none when still to be chosen.
    pub cid: Option<u32>,
    /// The switches that any virtio device can carry.
    pub virtio: VirtioOptions,
    /// Alias, address.
    pub info: DeviceInfo,
}

/// Lowest context id of a guest; the lower ones stand for the hypervisor and the host.
const LOWEST_CID: u32 = 3;

impl Vsock {
    pub(crate) fn read(vsock: Element<'_>) -> Result<Self, XmlError> {
        let cid = vsock.child("cid");
        let address = cid.map(|cid| cid.number::<u32>("address")).transpose()?.flatten();
        if let (Some(cid), Some(0..LOWEST_CID)) = (cid, address) {
            let message = format!("attribute 'address' of 'cid' is less than {LOWEST_CID}");
            return Err(cid.fault(Some("address"), XmlErrorKind::OutOfRange, message));
        }
        let auto = cid.map(|cid| cid.yes_no("auto")).transpose()?.flatten();
        Ok(Self {
            node: vsock.node,
            model: vsock.filled("model"),
            auto_cid: auto.unwrap_or(address.is_none()),
            cid: address,
            virtio: VirtioOptions::of_device(vsock)?,
            info: DeviceInfo::read(vsock)?,
        })
    }
}
