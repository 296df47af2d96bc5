//! A source as the reference that stands for it in an image.

use hostler_domain::storage_source::{
    Location, NetworkSource, Protocol, SourceFault, Transport, encode_path,
};

use super::{BackingSource, Json, Profile, target_properties};

/// The reference that an image records for this source: a path, a URI where one says everything, and a `json:`
/// description otherwise. It carries no credentials, certificates or cookies (see [`target_properties`]), so a
/// source that needs them must be declared where it is used.
///
/// # Errors
/// As [`target_properties`].
pub fn reference_text(source: &BackingSource, profile: Profile) -> Result<String, SourceFault> {
    if let Some(slice) = &source.slice {
        let window = Json::Object(Vec::new())
            .with("driver", "raw")
            .with("offset", slice.offset)
            .with("size", slice.size)
            .with("file", target_properties(source, profile)?);
        return Ok(description(window));
    }
    match &source.location {
        Location::File(path) | Location::Block(path) => Ok(file(path)),
        Location::Dir(path) => Ok(format!("fat:{path}")),
        Location::Network(network) if fits_uri(network) => uri(network),
        _ => Ok(description(target_properties(source, profile)?)),
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

fn uri(source: &NetworkSource) -> Result<String, SourceFault> {
    let host = source.only_host()?;
    let port = host.port.or(source.protocol.default_port()).unwrap_or(0);
    let path = match (source.protocol, source.name.as_deref()) {
        (Protocol::Nbd, None) => String::new(),
        _ => format!("/{}", encode_path(source.need_name()?.trim_start_matches('/'))),
    };
    let query = source.query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{}://{}:{port}{path}{query}", source.protocol, host.bracketed_name()))
}
