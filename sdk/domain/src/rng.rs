//! `<rng>`: sources of randomness.

use crate::chardev::CharSource;
use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::XmlError;
use crate::read::Element;
use crate::virtio::VirtioOptions;

/// A source of randomness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rng {
    /// The element.
    pub node: NodeId,
    /// Flavour of virtio.
    pub model: String,
    /// Where the randomness comes from.
    pub backend: RngBackend,
    /// Limit on what the guest can take.
    pub rate: Option<RngRate>,
    /// The switches that any virtio device can carry.
    pub virtio: VirtioOptions,
    /// Alias, address.
    pub info: DeviceInfo,
}

/// Where randomness comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RngBackend {
    /// A device of the host; none for the hypervisor's default.
    Random(Option<String>),
    /// A daemon that speaks EGD.
    Egd(CharSource),
    /// The hypervisor itself.
    Builtin,
}

/// `<rate>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RngRate {
    /// Bytes per period.
    pub bytes: u32,
    /// The period, in ms; none for one second.
    pub period_ms: Option<u32>,
}

impl Rng {
    pub(crate) fn read(rng: Element<'_>) -> Result<Self, XmlError> {
        let backend = rng.need_child("backend")?;
        let read = match backend.need("model")? {
            "random" => RngBackend::Random(Some(backend.content()).filter(|path| !path.is_empty())),
            "egd" => {
                backend.need("type")?;
                RngBackend::Egd(CharSource::read(backend)?)
            }
            "builtin" => RngBackend::Builtin,
            other => return Err(backend.unknown(Some("model"), other, &["random", "egd", "builtin"])),
        };
        Ok(Self {
            node: rng.node,
            model: rng.need_string("model")?,
            backend: read,
            rate: rng.maybe("rate", |rate| {
                Ok(RngRate { bytes: rate.need_number("bytes")?, period_ms: rate.number("period")? })
            })?,
            virtio: VirtioOptions::of_device(rng)?,
            info: DeviceInfo::read(rng)?,
        })
    }
}
