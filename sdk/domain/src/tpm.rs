//! `<tpm>`: trusted platform modules.

use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::XmlError;
use crate::read::Element;

/// A trusted platform module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tpm {
    /// The element.
    pub node: NodeId,
    /// Its model, such as `tpm-crb`; none when still to be chosen. Open, because drivers differ.
    pub model: Option<String>,
    /// Who does the work.
    pub backend: TpmBackend,
    /// Alias, address.
    pub info: DeviceInfo,
}

keywords! {
    /// Version of the specification.
    TpmVersion { V1_2 = "1.2", V2_0 = "2.0" }
}

/// Who does the work of a TPM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TpmBackend {
    /// The host's own module.
    Passthrough {
        /// Host path of the device.
        device: Option<String>,
    },
    /// A program per domain (swtpm).
    Emulator {
        /// Version of the specification; none when still to be chosen.
        version: Option<TpmVersion>,
        /// Secret with which its state is encrypted.
        encryption_secret: Option<String>,
        /// Whether its state survives a transient domain.
        persistent_state: Option<bool>,
        /// Hash banks to enable, such as `sha256`, in document order.
        active_pcr_banks: Vec<String>,
    },
    /// A program that somebody else runs.
    External {
        /// Host path of its socket.
        path: String,
    },
}

const BANKS: [&str; 4] = ["sha1", "sha256", "sha384", "sha512"];

impl Tpm {
    pub(crate) fn read(tpm: Element<'_>) -> Result<Self, XmlError> {
        let backend = tpm.need_child("backend")?;
        let read = match backend.need("type")? {
            "passthrough" => TpmBackend::Passthrough {
                device: backend.child("device").and_then(|device| device.filled("path")),
            },
            "emulator" => TpmBackend::Emulator {
                version: backend.keyword("version")?,
                encryption_secret: backend.child("encryption").and_then(|secret| secret.filled("secret")),
                persistent_state: backend.yes_no("persistent_state")?,
                active_pcr_banks: read_banks(backend),
            },
            "external" => {
                let source = backend.need_child("source")?;
                source.keep_attribute("type");
                source.keep_attribute("mode");
                TpmBackend::External { path: source.need_string("path")? }
            }
            other => {
                return Err(backend.unknown(Some("type"), other, &["passthrough", "emulator", "external"]));
            }
        };
        Ok(Self { node: tpm.node, model: tpm.filled("model"), backend: read, info: DeviceInfo::read(tpm)? })
    }
}

fn read_banks(backend: Element<'_>) -> Vec<String> {
    let Some(banks) = backend.child("active_pcr_banks") else { return Vec::new() };
    let mut found: Vec<_> = BANKS.into_iter().filter_map(|name| banks.child(name)).collect();
    found.sort_by_key(|bank| bank.node);
    found.into_iter().map(|bank| bank.name().to_owned()).collect()
}
