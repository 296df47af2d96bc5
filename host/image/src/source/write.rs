//! A source as the reference that stands for it in an image.

use std::fmt;

use hostler_domain::storage_source::{Location, NetworkSource, Protocol, Transport};

use super::properties::{bracketed, name, named, only};
use super::{BackingSource, Json, target_properties};

/// Why a source cannot be written as a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteFault(pub(super) String);

impl fmt::Display for WriteFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WriteFault {}

/// The reference that an image records for this source: a path, a URI where one says everything, and a `json:`
/// description otherwise. It never carries credentials, certificates or cookies, so a source that needs them
/// must be declared where it is used.
///
/// # Errors
/// As [`target_properties`].
pub fn reference_text(source: &BackingSource) -> Result<String, WriteFault> {
    if let Some(slice) = &source.slice {
        let window = Json::of_driver("raw")
            .with("offset", slice.offset)
            .with("size", slice.size)
            .with("file", target_properties(source)?);
        return Ok(description(window));
    }
    match &source.location {
        Location::File(path) | Location::Block(path) => Ok(file(path)),
        Location::Dir(path) => Ok(format!("fat:{path}")),
        Location::Network(network) if fits_uri(network) => uri(network),
        _ => Ok(description(target_properties(source)?)),
    }
}

fn description(file: Json) -> String {
    format!("json:{}", Json::Object(Vec::new()).with("file", file).to_text())
}

/// A name of a file that nobody takes for a protocol.
fn file(path: &str) -> String {
    if crate::reference::prefix(path).is_some() { format!("./{path}") } else { path.to_owned() }
}

/// Whether a URI says all that the source is.
fn fits_uri(source: &NetworkSource) -> bool {
    use Protocol::{Ftp, Ftps, Gluster, Http, Https, Iscsi, Nbd, Tftp};
    let plain = source.timeout_s.is_none()
        && source.readahead_bytes.is_none()
        && source.ssl_verify.is_none()
        && source.cookies.is_empty();
    let hosts = matches!(source.hosts.as_slice(), [host] if host.transport == Transport::Tcp);
    plain && hosts && matches!(source.protocol, Nbd | Http | Https | Ftp | Ftps | Tftp | Iscsi | Gluster)
}

fn uri(source: &NetworkSource) -> Result<String, WriteFault> {
    let host = only(source)?;
    let port = host.port.or(source.protocol.default_port()).unwrap_or(0);
    let path = match (source.protocol, source.name.as_deref()) {
        (Protocol::Nbd, None) => String::new(),
        _ => format!("/{}", encode(named(source)?.trim_start_matches('/'))),
    };
    let query = source.query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{}://{}:{port}{path}{query}", source.protocol, bracketed(name(host))))
}

/// A path for a URI: what means something else there is percent-encoded.
pub(super) fn encode(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=@".contains(&byte);
        if plain {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
