//! What a block driver of QEMU is told about where bytes are: identity only, nothing about how it is opened.
//!
//! These members may stand in an image. Credentials, certificates and cookies never do.

use hostler_domain::storage_source::{Host, Location, NetworkSource, Protocol, Transport};

use super::{BackingSource, Json, WriteFault};

/// The members of a protocol node (QAPI `BlockdevOptions`) that say where the bytes are.
///
/// # Errors
/// A location that is no source by itself, such as a volume of a pool; a server without what its protocol needs.
pub fn target_properties(source: &BackingSource) -> Result<Json, WriteFault> {
    match &source.location {
        Location::File(path) => Ok(Json::of_driver("file").with("filename", path.as_str())),
        Location::Block(path) => Ok(Json::of_driver("host_device").with("filename", path.as_str())),
        Location::Dir(path) => Ok(Json::of_driver("vvfat").with("dir", path.as_str()).with("floppy", false)),
        Location::Nvme { address, namespace, .. } => Ok(Json::of_driver("nvme")
            .with("device", address.to_string())
            .with("namespace", u64::from(*namespace))),
        Location::Network(network) => server(network, source),
        other => Err(WriteFault(format!("a source of type '{}' has no name of its own", other.type_name()))),
    }
}

fn server(source: &NetworkSource, whole: &BackingSource) -> Result<Json, WriteFault> {
    match source.protocol {
        Protocol::Nbd => Ok(Json::of_driver("nbd")
            .with("server", socket(only(source)?, source.protocol)?)
            .with_some("export", source.name.as_deref())),
        Protocol::Rbd => rbd(source),
        Protocol::Gluster => gluster(source),
        Protocol::Iscsi => iscsi(source),
        Protocol::Http | Protocol::Https | Protocol::Ftp | Protocol::Ftps | Protocol::Tftp => {
            Ok(Json::of_driver(source.protocol.as_str())
                .with("url", url(source)?)
                .with_some("sslverify", source.ssl_verify)
                .with_some("timeout", source.timeout_s)
                .with_some("readahead", source.readahead_bytes))
        }
        Protocol::Nfs => Ok(Json::of_driver("nfs")
            .with("server", Json::Object(Vec::new()).with("host", name(only(source)?)).with("type", "inet"))
            .with("path", named(source)?)
            .with_some("user", number(source.nfs_user.as_deref())?)
            .with_some("group", number(source.nfs_group.as_deref())?)),
        Protocol::Ssh => Ok(Json::of_driver("ssh")
            .with("path", named(source)?)
            .with("server", inet(only(source)?, source.protocol))
            .with_some("user", whole.ssh.user.as_deref())
            .with_some(
                "host-key-check",
                whole.ssh.host_key_unchecked.then(|| Json::Object(Vec::new()).with("mode", "none")),
            )),
        Protocol::Sheepdog => Ok(Json::of_driver("sheepdog")
            .with("server", socket(only(source)?, source.protocol)?)
            .with("vdi", named(source)?)),
        Protocol::Vxhs => Ok(Json::of_driver("vxhs")
            .with("vdisk-id", named(source)?)
            .with("server", inet(only(source)?, source.protocol))),
    }
}

fn rbd(source: &NetworkSource) -> Result<Json, WriteFault> {
    let (pool, image) = pair(source)?;
    let servers: Vec<Json> = source.hosts.iter().map(|host| inet(host, source.protocol)).collect();
    Ok(Json::of_driver("rbd")
        .with("pool", pool)
        .with("image", image)
        .with_some("snapshot", source.snapshot.as_deref())
        .with_some("conf", source.config_file.as_deref())
        .with_some("server", (!servers.is_empty()).then_some(servers)))
}

fn gluster(source: &NetworkSource) -> Result<Json, WriteFault> {
    let (volume, path) = pair(source)?;
    let servers =
        source.hosts.iter().map(|host| socket(host, source.protocol)).collect::<Result<Vec<_>, _>>()?;
    Ok(Json::of_driver("gluster").with("volume", volume).with("path", path).with("server", servers))
}

fn iscsi(source: &NetworkSource) -> Result<Json, WriteFault> {
    let whole = named(source)?;
    let (target, lun) = whole.split_once('/').unwrap_or((whole, "0"));
    let lun: u64 =
        lun.parse().map_err(|_| WriteFault(format!("'{lun}' is not the number of a logical unit")))?;
    let host = only(source)?;
    let port = port(host, source.protocol);
    Ok(Json::of_driver("iscsi")
        .with("portal", format!("{}:{port}", bracketed(name(host))))
        .with("target", target)
        .with("lun", lun)
        .with("transport", "tcp")
        .with_some("initiator-name", source.initiator_iqn.as_deref()))
}

fn url(source: &NetworkSource) -> Result<String, WriteFault> {
    let host = only(source)?;
    let query = source.query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!(
        "{}://{}:{}/{}{query}",
        source.protocol,
        bracketed(name(host)),
        port(host, source.protocol),
        super::write::encode(named(source)?.trim_start_matches('/'))
    ))
}

/// The only server of a source that has one.
pub(super) fn only(source: &NetworkSource) -> Result<&Host, WriteFault> {
    match source.hosts.as_slice() {
        [host] => Ok(host),
        hosts => Err(WriteFault(format!(
            "a source of '{}' has one host, this one has {}",
            source.protocol,
            hosts.len()
        ))),
    }
}

pub(super) fn named(source: &NetworkSource) -> Result<&str, WriteFault> {
    source.name.as_deref().ok_or_else(|| WriteFault(format!("a source of '{}' has no name", source.protocol)))
}

/// `POOL/IMAGE`, or `VOLUME/PATH`.
fn pair(source: &NetworkSource) -> Result<(&str, &str), WriteFault> {
    named(source)?
        .split_once('/')
        .filter(|(first, second)| !first.is_empty() && !second.is_empty())
        .ok_or_else(|| {
            WriteFault(format!(
                "the name of a source of '{}' has two parts with '/' between them",
                source.protocol
            ))
        })
}

pub(super) fn name(host: &Host) -> &str {
    host.name.as_deref().unwrap_or_default()
}

/// Ports are text in the address of every block driver; Ceph's own port is written 0.
fn port(host: &Host, protocol: Protocol) -> String {
    host.port.or(protocol.default_port()).unwrap_or(0).to_string()
}

/// A host for a URI: an IPv6 address stands in brackets.
pub(super) fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

fn inet(host: &Host, protocol: Protocol) -> Json {
    Json::Object(Vec::new()).with("host", name(host)).with("port", port(host, protocol))
}

fn socket(host: &Host, protocol: Protocol) -> Result<Json, WriteFault> {
    let address = Json::Object(Vec::new());
    match host.transport {
        Transport::Unix => {
            Ok(address.with("type", "unix").with("path", host.socket.as_deref().unwrap_or_default()))
        }
        Transport::Tcp => {
            Ok(address.with("type", "inet").with("host", name(host)).with("port", port(host, protocol)))
        }
        Transport::Rdma => Err(WriteFault("no block driver reaches a server over RDMA".to_owned())),
    }
}

/// A user or group of an NFS server, given by number; a leading `+` says so.
fn number(identity: Option<&str>) -> Result<Option<u64>, WriteFault> {
    let number = |text: &str| {
        text.trim_start_matches('+')
            .parse()
            .map_err(|_| WriteFault("the identity of an NFS source is not a number".to_owned()))
    };
    identity.map(number).transpose()
}
