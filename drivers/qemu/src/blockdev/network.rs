//! Protocol nodes for storage on a server.

use hostler_sdk::domain::storage_source::{Auth, Host, NetworkSource, Protocol, Transport};
use hostler_sdk::{Error, ProblemExt, Value, problem};

/// The node's own properties.
///
/// # Errors
/// A protocol or a combination that QEMU has no driver for.
pub(crate) fn properties(
    source: &NetworkSource,
    auth: Option<&Auth>,
    secret: Option<&str>,
) -> Result<Value, Error> {
    let node = Value::mapping();
    match source.protocol {
        Protocol::Nbd => nbd(source),
        Protocol::Rbd => Ok(rbd(source, auth, secret)),
        Protocol::Gluster => gluster(source),
        Protocol::Iscsi => {
            iscsi(source.name.as_deref(), &source.hosts, source.initiator_iqn.as_deref(), auth, secret)
        }
        Protocol::Http | Protocol::Https | Protocol::Ftp | Protocol::Ftps | Protocol::Tftp => {
            url(source, auth, secret)
        }
        Protocol::Nfs => Ok(node
            .with("driver", "nfs")
            .with("server", Value::mapping().with("host", name(first(source)?)).with("type", "inet"))
            .with("path", image(source))
            .with_some("user", identity(source.nfs_user.as_deref(), source)?)
            .with_some("group", identity(source.nfs_group.as_deref(), source)?)),
        Protocol::Ssh => Ok(node
            .with("driver", "ssh")
            .with("path", image(source))
            .with("server", with_port(first(source)?, 22))
            .with("host-key-check", Value::mapping().with("mode", "none"))),
        Protocol::Sheepdog => Ok(node
            .with("driver", "sheepdog")
            .with("server", socket(first(source)?, 7000)?)
            .with("vdi", image(source))),
        Protocol::Vxhs => Ok(node
            .with("driver", "vxhs")
            .with("vdisk-id", image(source))
            .with("server", with_port(first(source)?, 9999))),
    }
}

fn image(source: &NetworkSource) -> &str {
    source.name.as_deref().unwrap_or_default()
}

/// A path on the server always begins at its root.
fn rooted(source: &NetworkSource) -> String {
    format!("/{}", image(source).trim_start_matches('/'))
}

fn first(source: &NetworkSource) -> Result<&Host, Error> {
    source.hosts.first().ok_or_else(|| {
        let message = format!("a {} source needs a host", source.protocol);
        problem("qemu.source-host", message).hint("add <host name='…' port='…'/> to <source>").invalid()
    })
}

fn name(host: &Host) -> &str {
    host.name.as_deref().unwrap_or_default()
}

/// Ports are text in every block driver's address.
fn port(host: &Host, otherwise: u16) -> String {
    host.port.unwrap_or(otherwise).to_string()
}

fn with_port(host: &Host, otherwise: u16) -> Value {
    Value::mapping().with("host", name(host)).with("port", port(host, otherwise))
}

fn socket(host: &Host, otherwise: u16) -> Result<Value, Error> {
    match host.transport {
        Transport::Unix => {
            Ok(Value::mapping().with("type", "unix").with_some("path", host.socket.as_deref()))
        }
        Transport::Tcp => Ok(Value::mapping()
            .with("type", "inet")
            .with("host", name(host))
            .with("port", port(host, otherwise))),
        Transport::Rdma => Err(problem("qemu.source-transport", "QEMU has no block driver over RDMA")
            .hint("use <host transport='tcp'>")
            .unsupported()),
    }
}

fn nbd(source: &NetworkSource) -> Result<Value, Error> {
    if source.tls == Some(true) {
        return Err(problem(
            "qemu.source-tls",
            "encrypted NBD needs credentials that this host does not offer",
        )
        .hint("use <source tls='no'> over a trusted network")
        .unsupported());
    }
    Ok(Value::mapping()
        .with("driver", "nbd")
        .with("server", socket(first(source)?, 10809)?)
        .with_some("export", source.name.as_deref()))
}

fn rbd(source: &NetworkSource, auth: Option<&Auth>, secret: Option<&str>) -> Value {
    let (pool, image) = image(source).split_once('/').unwrap_or_default();
    let server: Vec<Value> = source.hosts.iter().map(|host| with_port(host, 0)).collect();
    let mut node = Value::mapping()
        .with("driver", "rbd")
        .with("pool", pool)
        .with("image", image)
        .with_some("snapshot", source.snapshot.as_deref())
        .with_some("conf", source.config_file.as_deref())
        .with_some("server", (!server.is_empty()).then_some(server));
    if let Some(auth) = auth {
        node.set("user", auth.username.as_str());
        node.set("auth-client-required", vec![Value::from("cephx"), Value::from("none")]);
        node = node.with_some("key-secret", secret);
    }
    node
}

fn gluster(source: &NetworkSource) -> Result<Value, Error> {
    let (volume, path) = image(source).split_once('/').ok_or_else(|| {
        problem("qemu.source-name", format!("gluster source '{}' has no image", image(source)))
            .hint("write <source name='volume/image'>")
            .invalid()
    })?;
    let server = source.hosts.iter().map(|host| socket(host, 24007)).collect::<Result<Vec<_>, _>>()?;
    Ok(Value::mapping()
        .with("driver", "gluster")
        .with("volume", volume)
        .with("path", path)
        .with("server", server)
        .with("debug", GLUSTER_DEBUG_LEVEL))
}

/// How much the gluster client logs: warnings and worse.
const GLUSTER_DEBUG_LEVEL: i64 = 4;

/// An iSCSI target; its name may end in `/lun`.
///
/// # Errors
/// No host, or a logical unit that is no number.
pub(crate) fn iscsi(
    target: Option<&str>,
    hosts: &[Host],
    initiator: Option<&str>,
    auth: Option<&Auth>,
    secret: Option<&str>,
) -> Result<Value, Error> {
    let whole = target.unwrap_or_default();
    let (target, lun) = whole.split_once('/').unwrap_or((whole, "0"));
    let invalid =
        |what: &str| problem("qemu.source-name", format!("iSCSI source '{whole}' {what}")).invalid();
    let lun: u32 = lun.parse().map_err(|_| invalid("names a logical unit that is no number"))?;
    let host = hosts.first().ok_or_else(|| invalid("has no host"))?;
    let address = if name(host).contains(':') { format!("[{}]", name(host)) } else { name(host).to_owned() };
    Ok(Value::mapping()
        .with("driver", "iscsi")
        .with("portal", format!("{address}:{}", port(host, 3260)))
        .with("target", target)
        .with("lun", lun)
        .with("transport", "tcp")
        .with_some("user", auth.map(|auth| auth.username.as_str()))
        .with_some("password-secret", auth.and(secret))
        .with_some("initiator-name", initiator))
}

fn url(source: &NetworkSource, auth: Option<&Auth>, secret: Option<&str>) -> Result<Value, Error> {
    if !source.cookies.is_empty() {
        return Err(problem(
            "qemu.source-cookies",
            "cookies are secrets, which this host does not offer yet",
        )
        .unsupported());
    }
    let host = first(source)?;
    let scheme = source.protocol.as_str();
    let default = match source.protocol {
        Protocol::Https => 443,
        Protocol::Ftp => 21,
        Protocol::Ftps => 990,
        Protocol::Tftp => 69,
        _ => 80,
    };
    let query = source.query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
    let url = format!("{scheme}://{}:{}{}{query}", name(host), port(host, default), rooted(source));
    Ok(Value::mapping()
        .with("driver", scheme)
        .with("url", url)
        .with_some("username", auth.map(|auth| auth.username.as_str()))
        .with_some("password-secret", auth.and(secret))
        .with_some("sslverify", source.ssl_verify)
        .with_some("timeout", source.timeout_s)
        .with_some("readahead", source.readahead_bytes))
}

/// NFS users are given by number; a leading `+` says so.
fn identity(user: Option<&str>, source: &NetworkSource) -> Result<Option<u32>, Error> {
    user.map(|user| user.trim_start_matches('+').parse()).transpose().map_err(|_| {
        problem(
            "qemu.source-identity",
            format!("'{}' on {}: the user of an NFS source must be a number", image(source), source.protocol),
        )
        .hint("write <identity user='+1000' group='+1000'/>")
        .unsupported()
    })
}
