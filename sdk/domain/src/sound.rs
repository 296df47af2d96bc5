//! `<sound>`: sound cards.

use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::XmlError;
use crate::read::Element;

/// A sound card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// The element.
    pub node: NodeId,
    /// Its model, such as `ich9`; open, because drivers differ.
    pub model: String,
    /// Codecs of an HDA card, such as `micro` or `duplex`, in document order.
    pub codecs: Vec<String>,
    /// Id of the audio backend; none for the first.
    pub audio_id: Option<u32>,
    /// Whether it has more than two channels (usb).
    pub multichannel: Option<bool>,
    /// Alias, address.
    pub info: DeviceInfo,
}

impl Sound {
    pub(crate) fn read(sound: Element<'_>) -> Result<Self, XmlError> {
        Ok(Self {
            node: sound.node,
            model: sound.need_string("model")?,
            codecs: sound.each("codec", |codec| codec.need_string("type"))?,
            audio_id: sound.maybe("audio", |audio| audio.need_number("id"))?,
            multichannel: sound.yes_no("multichannel")?,
            info: DeviceInfo::read(sound)?,
        })
    }
}
