//! `scheme[+transport]://[user@]host[:port]/path[?query]`.

use hostler_domain::storage_source::{Host, NetworkSource, Protocol, Transport};

use super::{BackingSource, Fault, Found, Profile};
use crate::reference::printable;

/// The parts of a URI, still encoded.
struct Parts<'a> {
    protocol: Protocol,
    transport: Transport,
    user: Option<&'a str>,
    host: &'a str,
    port: Option<u16>,
    path: &'a str,
    query: Option<&'a str>,
}

pub(super) fn read(text: &str, profile: Profile) -> Result<Found, Fault> {
    let parts = split(text)?;
    let mut source = NetworkSource::new(parts.protocol);
    source.hosts.push(host(&parts, profile)?);
    name(&mut source, &decode(parts.path.strip_prefix('/').unwrap_or(parts.path))?)?;
    if matches!(parts.protocol, Protocol::Http | Protocol::Https) {
        source.query = parts.query.map(str::to_owned);
    }
    let mut found = Found::clean(BackingSource::network(source));
    if parts.user.is_some() {
        found.unsupported.push("credentials".to_owned());
    }
    if profile == Profile::Strict {
        found.unsupported.extend(unused_query(&parts));
    }
    Ok(found)
}

fn split(text: &str) -> Result<Parts<'_>, Fault> {
    let (scheme, rest) = text.split_once("://").ok_or("it is no URI")?;
    let (protocol, transport) = scheme.split_once('+').unwrap_or((scheme, "tcp"));
    let protocol = protocol_of(protocol)?;
    let transport = transport_of(transport)?;
    let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, address) =
        authority.rsplit_once('@').map_or((None, authority), |(user, address)| (Some(user), address));
    let (host, port) = address_of(address)?;
    Ok(Parts { protocol, transport, user, host, port, path, query })
}

/// The protocol of this name.
pub(super) fn protocol_of(name: &str) -> Result<Protocol, Fault> {
    PROTOCOLS
        .into_iter()
        .find(|protocol| protocol.as_str() == name)
        .ok_or_else(|| format!("'{}' is not the protocol of a storage server", printable(name)))
}

const PROTOCOLS: [Protocol; 13] = [
    Protocol::Nbd,
    Protocol::Rbd,
    Protocol::Sheepdog,
    Protocol::Gluster,
    Protocol::Iscsi,
    Protocol::Http,
    Protocol::Https,
    Protocol::Ftp,
    Protocol::Ftps,
    Protocol::Tftp,
    Protocol::Ssh,
    Protocol::Vxhs,
    Protocol::Nfs,
];

fn transport_of(name: &str) -> Result<Transport, Fault> {
    [Transport::Tcp, Transport::Unix, Transport::Rdma]
        .into_iter()
        .find(|transport| transport.as_str() == name)
        .ok_or_else(|| format!("'{}' is not a transport; tcp, unix and rdma are", printable(name)))
}

/// Host and port; the brackets of an IPv6 address are taken off.
fn address_of(address: &str) -> Result<(&str, Option<u16>), Fault> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or("the bracket of its address is not closed")?;
            let port = match rest.strip_prefix(':') {
                None if rest.is_empty() => None,
                None => return Err("something follows the bracket of its address".to_owned()),
                Some(port) => Some(port),
            };
            (host, port)
        }
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    let port = port.filter(|port| !port.is_empty()).map(port_of).transpose()?;
    Ok((host, port))
}

/// A port as text: a whole number up to 65535.
pub(super) fn port_of(text: &str) -> Result<u16, Fault> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| format!("'{}' is not a port, which is a number up to 65535", printable(text)))
}

fn host(parts: &Parts<'_>, profile: Profile) -> Result<Host, Fault> {
    if parts.transport == Transport::Unix {
        return socket(parts, profile).map(Host::unix);
    }
    // Ceph finds its monitors in its own configuration; every other server must be named.
    if parts.host.is_empty() && profile == Profile::Strict && parts.protocol != Protocol::Rbd {
        return Err("it names no host".to_owned());
    }
    let port = parts.port.filter(|port| *port != 0);
    let default = if parts.transport == Transport::Tcp { parts.protocol.default_port() } else { None };
    Ok(Host { transport: parts.transport, ..Host::tcp(decode(parts.host)?, port.or(default)) })
}

/// The socket of a `+unix` URI: all of the query in the compatible profile, one of its parameters otherwise.
fn socket(parts: &Parts<'_>, profile: Profile) -> Result<String, Fault> {
    let query = parts.query.unwrap_or_default();
    let path = match profile {
        Profile::Compatible => query.strip_prefix("socket=").map(|path| Ok(path.to_owned())),
        Profile::Strict => {
            parameters(query).find(|(name, _)| *name == "socket").map(|(_, path)| decode(path))
        }
    };
    path.transpose()?.filter(|path| !path.is_empty()).ok_or_else(|| "it names no socket".to_owned())
}

fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|part| !part.is_empty()).map(|part| part.split_once('=').unwrap_or((part, "")))
}

/// Parameters that mean something to a hypervisor and that the model does not carry.
fn unused_query(parts: &Parts<'_>) -> Vec<String> {
    if matches!(parts.protocol, Protocol::Http | Protocol::Https) {
        return Vec::new();
    }
    let known = |name: &str| name == "socket" && parts.transport == Transport::Unix;
    let unused = parameters(parts.query.unwrap_or_default()).filter(|(name, _)| !known(name));
    unused.map(|(name, _)| format!("parameter '{}'", printable(name))).collect()
}

/// Sets the name that the path stands for.
fn name(source: &mut NetworkSource, path: &str) -> Result<(), Fault> {
    match source.protocol {
        // The default export has no name.
        Protocol::Nbd if path.is_empty() => {}
        Protocol::Gluster => {
            path.split_once('/')
                .filter(|(volume, image)| !volume.is_empty() && !image.is_empty())
                .ok_or("a gluster source has a volume and a path in it")?;
            source.name = Some(path.to_owned());
        }
        _ => source.name = Some(path.to_owned()),
    }
    Ok(())
}

/// Takes off percent encoding.
fn decode(text: &str) -> Result<String, Fault> {
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let escaped = (*byte == b'%').then(|| after.split_at_checked(2)).flatten();
        let value = escaped.and_then(|(digits, after)| Some((hexadecimal(digits)?, after)));
        match value {
            Some((value, after)) => {
                decoded.push(value);
                rest = after;
            }
            None if *byte == b'%' => {
                return Err("a '%' in it is not followed by two hexadecimal digits".to_owned());
            }
            None => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    let decoded = String::from_utf8(decoded).map_err(|_| "it is not valid UTF-8 once decoded")?;
    if decoded.contains('\0') {
        return Err("it contains a NUL byte once decoded".to_owned());
    }
    Ok(decoded)
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok()?;
    digits
        .bytes()
        .all(|digit| digit.is_ascii_hexdigit())
        .then(|| u8::from_str_radix(digits, 16).ok())
        .flatten()
}
