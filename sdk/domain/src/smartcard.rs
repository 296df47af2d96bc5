//! `<smartcard>`: smartcard readers.

use crate::chardev::CharSource;
use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::{XmlError, XmlErrorKind};
use crate::read::Element;

/// A smartcard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smartcard {
    /// The element.
    pub node: NodeId,
    /// Where the card is.
    pub source: SmartcardSource,
    /// Alias, address.
    pub info: DeviceInfo,
}

/// Where a smartcard is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SmartcardSource {
    /// In a reader of the host.
    Host,
    /// Made of three certificates of the host.
    HostCertificates {
        /// Their names.
        certificates: [String; 3],
        /// Host path of the database.
        database: Option<String>,
    },
    /// Behind a character backend.
    Passthrough(CharSource),
}

impl Smartcard {
    pub(crate) fn read(card: Element<'_>) -> Result<Self, XmlError> {
        let source = match card.need("mode")? {
            "host" => SmartcardSource::Host,
            "host-certificates" => {
                let names = card.each("certificate", |certificate| Ok(certificate.content()))?;
                let certificates = <[String; 3]>::try_from(names).map_err(|names| {
                    let message = format!("a smartcard has 3 certificates, not {}", names.len());
                    card.error(XmlErrorKind::InvalidValue, message)
                })?;
                SmartcardSource::HostCertificates { certificates, database: card.text_of("database") }
            }
            "passthrough" => SmartcardSource::Passthrough(CharSource::read(card)?),
            other => {
                return Err(card.unknown(Some("mode"), other, &["host", "host-certificates", "passthrough"]));
            }
        };
        Ok(Self { node: card.node, source, info: DeviceInfo::read(card)? })
    }
}
