//! Where the characters of a device go on the host.

use crate::error::{XmlError, XmlErrorKind};
use crate::read::Element;
use crate::storage_source::Reconnect;

keywords! {
    /// What is spoken over a TCP connection.
    TcpProtocol { Raw = "raw", Telnet = "telnet", Telnets = "telnets", Tls = "tls" }
}
keywords! {
    /// Who moves the pointer of a SPICE agent.
    ClipboardMouse { Client = "client", Server = "server" }
}

/// Where the characters go, and whether they are logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CharSource {
    /// Where they go.
    pub backend: CharBackend,
    /// Where a copy goes.
    pub log: Option<CharLog>,
}

/// `<log>`: a copy of what the guest writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CharLog {
    /// Host path of the file.
    pub file: String,
    /// Whether it is continued, not begun anew; none when not given.
    pub append: Option<bool>,
}

/// A character backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CharBackend {
    /// Nowhere.
    Null,
    /// A virtual console of the display.
    Vc,
    /// The streams of the hypervisor itself.
    Stdio,
    /// A pseudo terminal.
    Pty {
        /// Its path, in a running domain.
        path: Option<String>,
    },
    /// A device of the host.
    Dev {
        /// Its path.
        path: String,
    },
    /// A file.
    File {
        /// Its path.
        path: String,
        /// Whether it is continued, not begun anew; none when not given.
        append: Option<bool>,
    },
    /// A named pipe.
    Pipe {
        /// Its path.
        path: String,
    },
    /// A TCP connection.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port or service name.
        service: String,
        /// Whether to listen (mode `bind`), not connect.
        listen: bool,
        /// What is spoken.
        protocol: TcpProtocol,
        /// Whether it is encrypted; none when the operator decides.
        tls: Option<bool>,
        /// How a lost connection comes back.
        reconnect: Option<Reconnect>,
    },
    /// UDP packets.
    Udp {
        /// Where to send: host name or address.
        connect_host: Option<String>,
        /// Where to send: port or service name.
        connect_service: String,
        /// Where to listen: host name or address.
        bind_host: Option<String>,
        /// Where to listen: port or service name.
        bind_service: Option<String>,
    },
    /// A Unix socket.
    Unix {
        /// Its path; none when the host chooses.
        path: Option<String>,
        /// Whether to listen (mode `bind`), not connect.
        listen: bool,
        /// How a lost connection comes back.
        reconnect: Option<Reconnect>,
    },
    /// The SPICE agent's channel.
    SpiceVmc,
    /// A named SPICE channel.
    SpicePort {
        /// Its name.
        channel: String,
    },
    /// A null modem pair (bhyve).
    Nmdm {
        /// Path of one end.
        master: String,
        /// Path of the other end.
        slave: String,
    },
    /// QEMU's own side of the SPICE agent protocol.
    QemuVdagent {
        /// Whether the clipboard is shared.
        clipboard: Option<bool>,
        /// Who moves the pointer.
        mouse: Option<ClipboardMouse>,
    },
    /// A D-Bus channel.
    Dbus {
        /// Its name.
        channel: String,
    },
}

const TYPES: &[&str] = &[
    "null",
    "vc",
    "stdio",
    "pty",
    "dev",
    "file",
    "pipe",
    "tcp",
    "udp",
    "unix",
    "spicevmc",
    "spiceport",
    "nmdm",
    "qemu-vdagent",
    "dbus",
];

impl CharSource {
    /// Reads the `type` attribute and the children of a device whose socket must have a path.
    pub(crate) fn read(device: Element<'_>) -> Result<Self, XmlError> {
        let read = Self::read_channel(device)?;
        match read.backend {
            CharBackend::Unix { path: None, .. } => Err(missing_in_source(device, "path")),
            _ => Ok(read),
        }
    }

    /// The same for a channel, whose socket gets its path from the host when the document is silent.
    pub(crate) fn read_channel(device: Element<'_>) -> Result<Self, XmlError> {
        let kind = device.get("type").unwrap_or("pty");
        Ok(Self { backend: read_backend(kind, device)?, log: device.maybe("log", read_log)? })
    }
}

fn read_log(log: Element<'_>) -> Result<CharLog, XmlError> {
    Ok(CharLog { file: log.need_string("file")?, append: log.on_off("append")? })
}

fn read_backend(kind: &str, device: Element<'_>) -> Result<CharBackend, XmlError> {
    let source = device.child("source");
    let path = source.and_then(|source| source.filled("path"));
    let need_path = || path.clone().ok_or_else(|| missing_in_source(device, "path"));
    let need_channel = || {
        let channel = source.and_then(|source| source.filled("channel"));
        channel.ok_or_else(|| missing_in_source(device, "channel"))
    };
    Ok(match kind {
        "null" => CharBackend::Null,
        "vc" => CharBackend::Vc,
        "stdio" => CharBackend::Stdio,
        "spicevmc" => CharBackend::SpiceVmc,
        "pty" => CharBackend::Pty { path },
        "dev" => CharBackend::Dev { path: need_path()? },
        "pipe" => CharBackend::Pipe { path: need_path()? },
        "file" => CharBackend::File {
            path: need_path()?,
            append: source.map(|source| source.on_off("append")).transpose()?.flatten(),
        },
        "tcp" => read_tcp(device)?,
        "udp" => read_udp(device)?,
        "unix" => read_unix(source, path)?,
        "spiceport" => CharBackend::SpicePort { channel: need_channel()? },
        "dbus" => CharBackend::Dbus { channel: need_channel()? },
        "nmdm" => {
            let source = device.need_child("source")?;
            CharBackend::Nmdm { master: source.need_string("master")?, slave: source.need_string("slave")? }
        }
        "qemu-vdagent" => read_vdagent(source)?,
        other => return Err(device.unknown(Some("type"), other, TYPES)),
    })
}

fn missing_in_source(device: Element<'_>, name: &str) -> XmlError {
    match device.child("source") {
        Some(source) => source.missing(name),
        None => device.error(
            XmlErrorKind::MissingElement,
            format!("element 'source' with attribute '{name}' is missing in '{}'", device.name()),
        ),
    }
}

fn is_listener(source: Element<'_>) -> Result<bool, XmlError> {
    match source.get("mode") {
        None | Some("connect") => Ok(false),
        Some("bind") => Ok(true),
        Some(other) => Err(source.unknown(Some("mode"), other, &["connect", "bind"])),
    }
}

/// Who listens cannot connect again.
fn refuse_reconnecting_listener(source: Element<'_>) -> Result<(), XmlError> {
    match source.child("reconnect") {
        Some(reconnect) if is_listener(source)? && reconnect.get("enabled") == Some("yes") => Err(reconnect
            .error(XmlErrorKind::Conflict, "the device listens, and only what connects can do so again")
            .hint("write mode='connect', or remove 'reconnect'")),
        _ => Ok(()),
    }
}

fn read_tcp(device: Element<'_>) -> Result<CharBackend, XmlError> {
    let source = device.need_child("source")?;
    let protocol = device.maybe("protocol", |protocol| protocol.keyword("type"))?.flatten();
    refuse_reconnecting_listener(source)?;
    Ok(CharBackend::Tcp {
        host: source.need_string("host")?,
        service: source.need_string("service")?,
        listen: is_listener(source)?,
        protocol: protocol.unwrap_or(TcpProtocol::Raw),
        tls: source.yes_no("tls")?,
        reconnect: source.maybe("reconnect", Reconnect::read)?,
    })
}

fn read_udp(device: Element<'_>) -> Result<CharBackend, XmlError> {
    // UDP has two sources: where to send, and where to listen.
    let (mut connect, mut bind) = ((None, None), (None, None));
    for source in device.children("source") {
        let place = (source.filled("host"), source.filled("service"));
        if is_listener(source)? {
            bind = place;
        } else {
            connect = place;
        }
    }
    Ok(CharBackend::Udp {
        connect_host: connect.0,
        connect_service: connect.1.ok_or_else(|| missing_in_source(device, "service"))?,
        bind_host: bind.0,
        bind_service: bind.1,
    })
}

fn read_unix(source: Option<Element<'_>>, path: Option<String>) -> Result<CharBackend, XmlError> {
    let Some(source) = source else {
        return Ok(CharBackend::Unix { path, listen: true, reconnect: None });
    };
    refuse_reconnecting_listener(source)?;
    let reconnect = source.maybe("reconnect", Reconnect::read)?;
    let listen = is_listener(source)? || (path.is_none() && source.get("mode").is_none());
    Ok(CharBackend::Unix { path, listen, reconnect })
}

fn read_vdagent(source: Option<Element<'_>>) -> Result<CharBackend, XmlError> {
    let Some(source) = source else {
        return Ok(CharBackend::QemuVdagent { clipboard: None, mouse: None });
    };
    Ok(CharBackend::QemuVdagent {
        clipboard: source.maybe("clipboard", |clipboard| clipboard.yes_no("copypaste"))?.flatten(),
        mouse: source.maybe("mouse", |mouse| mouse.keyword("mode"))?.flatten(),
    })
}
