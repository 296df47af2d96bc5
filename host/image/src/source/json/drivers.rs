//! The block drivers that a description can name, each with its members.

use hostler_domain::address::PciAddress;
use hostler_domain::storage_source::{Cookie, Host, Location, NetworkSource, Protocol, Transport};

use super::members::Members;
use crate::reference::printable;
use crate::source::uri::port_of;
use crate::source::{BackingSource, Fault, Profile, SshOptions, colon, uri};

pub(super) fn read(driver: &str, members: &Members<'_>) -> Result<BackingSource, Fault> {
    let network = |source| Ok(BackingSource::network(source));
    match driver {
        "file" => path(members, Location::File),
        "host_device" | "host_cdrom" => path(members, Location::Block),
        "http" | "https" | "ftp" | "ftps" | "tftp" => url(driver, members).and_then(network),
        "gluster" => gluster(members).and_then(network),
        "iscsi" => iscsi(members).and_then(network),
        "nbd" => nbd(members).and_then(network),
        "sheepdog" => sheepdog(members).and_then(network),
        "ssh" => ssh(members),
        "rbd" => rbd(members).and_then(network),
        "nfs" => nfs(members).and_then(network),
        "vxhs" => vxhs(members).and_then(network),
        "nvme" => nvme(members),
        other => Err(format!("driver '{}' does not say where bytes are", printable(other))),
    }
}

fn path(members: &Members<'_>, place: fn(String) -> Location) -> Result<BackingSource, Fault> {
    members.need_text("filename").map(|path| BackingSource::new(place(path.to_owned())))
}

/// A source given as the URI or the colon form that an older QEMU wrote.
fn by_filename(members: &Members<'_>, protocol: Protocol) -> Result<Option<NetworkSource>, Fault> {
    let Some(name) = members.text("filename")? else { return Ok(None) };
    let profile = if members.strict() { Profile::Strict } else { Profile::Compatible };
    let found = match name.strip_prefix("rbd:").filter(|_| protocol == Protocol::Rbd) {
        Some(rest) => colon::rbd(rest, profile)?,
        None => uri::read(name, profile)?,
    };
    match found.source.location {
        Location::Network(_) if members.strict() && !found.unsupported.is_empty() => {
            Err(format!("its 'filename' carries {}", found.unsupported.join(", ")))
        }
        Location::Network(source) if source.protocol == protocol => Ok(Some(*source)),
        _ => Err(format!("its 'filename' is not a source of '{protocol}'")),
    }
}

fn url(driver: &str, members: &Members<'_>) -> Result<NetworkSource, Fault> {
    let profile = if members.strict() { Profile::Strict } else { Profile::Compatible };
    let found = uri::read(members.need_text("url")?, profile)?;
    if members.strict() && !found.unsupported.is_empty() {
        return Err(format!("its 'url' carries {}", found.unsupported.join(", ")));
    }
    let Location::Network(mut source) = found.source.location else { return Err("it is no URL".to_owned()) };
    if source.protocol.as_str() != driver {
        return Err(format!("driver '{driver}' has a URL of '{}'", source.protocol));
    }
    source.readahead_bytes = members.number("readahead")?;
    source.timeout_s = members.number("timeout")?;
    if matches!(source.protocol, Protocol::Https | Protocol::Ftps) {
        source.ssl_verify = switch(members, "sslverify")?;
    }
    if matches!(source.protocol, Protocol::Http | Protocol::Https) {
        source.cookies = members.text("cookie")?.map(cookies).unwrap_or_default();
    }
    Ok(*source)
}

/// A switch, written as one or, by older programs, as text.
fn switch(members: &Members<'_>, name: &str) -> Result<Option<bool>, Fault> {
    match members.get(name) {
        None => Ok(None),
        Some(super::Json::Bool(value)) => Ok(Some(*value)),
        Some(super::Json::Text(text)) if text == "on" => Ok(Some(true)),
        Some(super::Json::Text(text)) if text == "off" => Ok(Some(false)),
        Some(_) => Err(format!("'{name}' is neither true nor false")),
    }
}

fn cookies(text: &str) -> Vec<Cookie> {
    let pairs = text.split(';').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| Cookie { name: name.to_owned(), value: value.to_owned() })
        .collect()
}

/// The port that is given, where 0 is none. One given as a number counts, except that libvirt 8.5 did not see it.
fn port(members: &Members<'_>, otherwise: Option<u16>) -> Result<Option<u16>, Fault> {
    given_port(members).map(|port| port.filter(|port| *port != 0).or(otherwise))
}

fn given_port(members: &Members<'_>) -> Result<Option<u16>, Fault> {
    match members.get("port") {
        Some(super::Json::Text(text)) => port_of(text).map(Some),
        Some(super::Json::Number(number)) if members.strict() => {
            u16::try_from(*number).map(Some).map_err(|_| "'port' is not a number up to 65535".to_owned())
        }
        Some(super::Json::Number(_)) | None => Ok(None),
        Some(_) => Err("'port' is neither a string nor a number".to_owned()),
    }
}

fn inet(members: &Members<'_>, otherwise: Option<u16>) -> Result<Host, Fault> {
    Ok(Host::tcp(members.need_text("host")?, port(members, otherwise)?))
}

/// A `SocketAddress`, with `tcp` for `inet` and `socket` for `path` as older programs wrote.
fn address(members: &Members<'_>, otherwise: Option<u16>) -> Result<Host, Fault> {
    match members.text("type")? {
        None | Some("inet" | "tcp") => inet(members, otherwise),
        Some("unix") => {
            let path = members.text("path")?.or(members.text("socket")?).ok_or("'path' is missing")?;
            Ok(Host { transport: Transport::Unix, ..Host::unix(path) })
        }
        Some(other) => Err(format!("'{}' is not an address type; inet and unix are", printable(other))),
    }
}

fn server(members: &Members<'_>, otherwise: Option<u16>) -> Result<Option<Host>, Fault> {
    let Some(server) = members.object("server")? else { return Ok(None) };
    let host = address(&server, otherwise)?;
    server.finish_into(members);
    Ok(Some(host))
}

fn need_server(members: &Members<'_>, otherwise: Option<u16>) -> Result<Host, Fault> {
    server(members, otherwise)?.ok_or_else(|| "'server' is missing".to_owned())
}

fn named(protocol: Protocol, name: String, hosts: Vec<Host>) -> NetworkSource {
    NetworkSource { name: Some(name), hosts, ..NetworkSource::new(protocol) }
}

fn gluster(members: &Members<'_>) -> Result<NetworkSource, Fault> {
    if let Some(source) = by_filename(members, Protocol::Gluster)? {
        return Ok(source);
    }
    let (volume, path) = (members.need_text("volume")?, members.need_text("path")?);
    let mut hosts = Vec::new();
    for server in members.objects("server")? {
        hosts.push(address(&server, Protocol::Gluster.default_port())?);
        server.finish_into(members);
    }
    if hosts.is_empty() {
        return Err("a gluster source names no server".to_owned());
    }
    Ok(named(Protocol::Gluster, format!("{volume}/{path}"), hosts))
}

fn iscsi(members: &Members<'_>) -> Result<NetworkSource, Fault> {
    if let Some(source) = by_filename(members, Protocol::Iscsi)? {
        return Ok(source);
    }
    if members.need_text("transport")? != "tcp" {
        return Err("only transport 'tcp' is known for iscsi".to_owned());
    }
    let lun = members.number("lun")?.unwrap_or(0);
    let host = portal(members.need_text("portal")?)?;
    let name = format!("{}/{lun}", members.need_text("target")?);
    let mut source = named(Protocol::Iscsi, name, vec![host]);
    if members.strict() {
        source.initiator_iqn = members.text("initiator-name")?.map(str::to_owned);
    }
    Ok(source)
}

/// `HOST[:PORT]`; the brackets of an address belong to the host.
fn portal(text: &str) -> Result<Host, Fault> {
    let bracketed = text.starts_with('[').then(|| text.find(']')).flatten();
    let colon = bracketed
        .map_or_else(|| text.find(':'), |end| text.get(end..)?.find(':').map(|at| end.saturating_add(at)));
    let (host, port) = match colon.and_then(|at| text.split_at_checked(at)) {
        Some((host, port)) => (host, Some(port_of(port.trim_start_matches(':'))?)),
        None => (text, None),
    };
    Ok(Host::tcp(host, port.or(Protocol::Iscsi.default_port())))
}

fn nbd(members: &Members<'_>) -> Result<NetworkSource, Fault> {
    let otherwise = Protocol::Nbd.default_port();
    let host = match (server(members, otherwise)?, members.text("path")?) {
        (Some(host), _) => host,
        (None, Some(path)) => Host::unix(path),
        (None, None) => inet(members, otherwise)?,
    };
    let mut source = NetworkSource::new(Protocol::Nbd);
    source.hosts.push(host);
    source.name = members.text("export")?.filter(|name| !name.is_empty()).map(str::to_owned);
    Ok(source)
}

fn sheepdog(members: &Members<'_>) -> Result<NetworkSource, Fault> {
    if let Some(source) = by_filename(members, Protocol::Sheepdog)? {
        return Ok(source);
    }
    let host = need_server(members, Protocol::Sheepdog.default_port())?;
    Ok(named(Protocol::Sheepdog, members.need_text("vdi")?.to_owned(), vec![host]))
}

fn ssh(members: &Members<'_>) -> Result<BackingSource, Fault> {
    let otherwise = Protocol::Ssh.default_port();
    let host = match server(members, otherwise)? {
        Some(host) => host,
        None => inet(members, otherwise)?,
    };
    let source = named(Protocol::Ssh, members.need_text("path")?.to_owned(), vec![host]);
    let unchecked =
        members.text("host_key_check")? == Some("no") || (members.strict() && check_mode_none(members)?);
    let user = members.text("user")?.map(str::to_owned);
    Ok(BackingSource {
        ssh: SshOptions { user, host_key_unchecked: unchecked },
        ..BackingSource::network(source)
    })
}

fn check_mode_none(members: &Members<'_>) -> Result<bool, Fault> {
    let Some(check) = members.object("host-key-check")? else { return Ok(false) };
    let none = check.text("mode")? == Some("none");
    check.finish_into(members);
    if none { Ok(true) } else { Err("only the mode 'none' of 'host-key-check' can be passed on".to_owned()) }
}

fn rbd(members: &Members<'_>) -> Result<NetworkSource, Fault> {
    if let Some(source) = by_filename(members, Protocol::Rbd)? {
        return Ok(source);
    }
    let name = format!("{}/{}", members.need_text("pool")?, members.need_text("image")?);
    let mut hosts = Vec::new();
    for server in members.objects("server")? {
        hosts.push(inet(&server, None)?);
        server.finish_into(members);
    }
    let mut source = named(Protocol::Rbd, name, hosts);
    source.snapshot = members.text("snapshot")?.map(str::to_owned);
    source.config_file = members.text("conf")?.map(str::to_owned);
    Ok(source)
}

fn nfs(members: &Members<'_>) -> Result<NetworkSource, Fault> {
    let host = need_server(members, None)?;
    let mut source = named(Protocol::Nfs, members.need_text("path")?.to_owned(), vec![host]);
    let number = |name: &str| members.number(name)?.ok_or_else(|| format!("'{name}' is missing"));
    source.nfs_user = Some(format!("+{}", number("user")?));
    source.nfs_group = Some(format!("+{}", number("group")?));
    Ok(source)
}

fn vxhs(members: &Members<'_>) -> Result<NetworkSource, Fault> {
    let host = need_server(members, Protocol::Vxhs.default_port())?;
    Ok(named(Protocol::Vxhs, members.need_text("vdisk-id")?.to_owned(), vec![host]))
}

fn nvme(members: &Members<'_>) -> Result<BackingSource, Fault> {
    let namespace = members.number("namespace")?.and_then(|number| u32::try_from(number).ok());
    let namespace = namespace.filter(|number| *number != 0).ok_or("'namespace' is not a number from 1")?;
    let address = pci_address(members.need_text("device")?).ok_or("'device' is not a PCI address")?;
    Ok(BackingSource::new(Location::Nvme { address, namespace, managed: true }))
}

/// `DDDD:BB:SS.F`, in hexadecimal.
fn pci_address(text: &str) -> Option<PciAddress> {
    let (domain, rest) = text.split_once(':')?;
    let (bus, rest) = rest.split_once(':')?;
    let (slot, function) = rest.split_once('.')?;
    let byte = |text: &str, most: u8| u8::from_str_radix(text, 16).ok().filter(|value| *value <= most);
    let domain = u16::from_str_radix(domain, 16).ok()?;
    let place = PciAddress::new(byte(bus, u8::MAX)?, byte(slot, 0x1f)?, byte(function, 7)?);
    Some(PciAddress { domain, ..place })
}
