//! Back ends of character devices as libvirt writes them, with paths and descriptors.

use hostler_sdk::Value;
use hostler_sdk::domain::chardev::{CharBackend, CharSource, TcpProtocol};
use hostler_sdk::domain::storage_source::Reconnect;

use super::{LISTENING_DESCRIPTOR, add_descriptor};
use crate::argv::builder::{Builder, set_some};

/// The descriptor of every opened file in libvirt's tests.
const FILE_DESCRIPTOR: u32 = 1750;

/// The back end of a device whose back end the host would keep.
pub(in crate::argv) fn hosted_backend(
    builder: &mut Builder<'_>,
    source: &CharSource,
    id: &str,
    alias: &str,
) -> Value {
    let mut value = match &source.backend {
        CharBackend::File { append, .. } => {
            let path = add_descriptor(builder, FILE_DESCRIPTOR, &format!("{alias}-source"));
            let append = append.unwrap_or(true);
            Value::mapping().with("backend", "file").with("id", id).with("path", path).with("append", append)
        }
        other => backend(other, id, alias),
    };
    if let Some(log) = &source.log {
        value.set("logfile", log.file.as_str());
        set_some(&mut value, "logappend", log.append);
    }
    value
}

/// A back end with everything that the document says about it.
pub(in crate::argv) fn backend(backend: &CharBackend, id: &str, alias: &str) -> Value {
    let named = |name: &str| Value::mapping().with("backend", name).with("id", id);
    match backend {
        CharBackend::Null => named("null"),
        CharBackend::Vc => named("vc"),
        CharBackend::Stdio => named("stdio"),
        CharBackend::Pty { .. } => named("pty"),
        CharBackend::Dev { path } if alias.starts_with("parallel") => {
            named("parport").with("path", path.as_str())
        }
        CharBackend::Dev { path } => named("tty").with("path", path.as_str()),
        CharBackend::File { path, .. } => named("file").with("path", path.as_str()),
        CharBackend::Pipe { path } => named("pipe").with("path", path.as_str()),
        CharBackend::Tcp { host, service, listen, protocol, reconnect, .. } => {
            let mut value = named("socket").with("host", host.as_str()).with("port", service.as_str());
            set_some(&mut value, "telnet", (*protocol == TcpProtocol::Telnet).then_some(true));
            add_direction(&mut value, *listen, reconnect.as_ref());
            value
        }
        CharBackend::Udp { connect_host, connect_service, bind_host, bind_service } => {
            let mut value = named("udp").with("host", connect_host.as_deref().unwrap_or_default());
            value.set("port", connect_service.as_str());
            value.set("localaddr", bind_host.as_deref().unwrap_or_default());
            value.set("localport", bind_service.as_deref().unwrap_or("0"));
            value
        }
        CharBackend::Unix { path, listen, .. } if *listen || is_made_by_libvirt(path.as_deref()) => {
            named("socket").with("fd", LISTENING_DESCRIPTOR).with("server", true).with("wait", false)
        }
        CharBackend::Unix { path, reconnect, .. } => {
            let mut value = named("socket").with("path", path.as_deref().unwrap_or_default());
            add_direction(&mut value, false, reconnect.as_ref());
            value
        }
        CharBackend::Nmdm { .. }
        | CharBackend::SpiceVmc
        | CharBackend::SpicePort { .. }
        | CharBackend::QemuVdagent { .. } => named("dbus"),
        CharBackend::Dbus { channel } => named("dbus").with("name", channel.as_str()),
    }
}

/// Whether libvirt once chose this path itself; it chooses anew at every start, and listens.
fn is_made_by_libvirt(path: Option<&str>) -> bool {
    path.is_none_or(|path| path.starts_with("/tmp/channel/domain-"))
}

fn add_direction(value: &mut Value, listen: bool, reconnect: Option<&Reconnect>) {
    if listen {
        value.set("server", true);
        value.set("wait", false);
    }
    if let Some(reconnect) = reconnect {
        value.set("reconnect", reconnect.timeout_s.filter(|_| reconnect.enabled).unwrap_or(0));
    }
}

/// The socket of a network interface that another process serves.
pub(in crate::argv) fn vhost_user_socket(
    id: &str,
    path: &str,
    server: bool,
    reconnect: Option<u32>,
) -> Value {
    let mut value = Value::mapping().with("backend", "socket").with("id", id);
    if server {
        value.set("fd", LISTENING_DESCRIPTOR);
        value.set("server", true);
    } else {
        value.set("path", path);
        set_some(&mut value, "reconnect", reconnect);
    }
    value
}
