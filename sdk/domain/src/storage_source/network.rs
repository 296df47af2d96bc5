//! Storage on a server.

use crate::error::{XmlError, XmlErrorKind};
use crate::read::Element;

keywords! {
    /// The protocol of a storage server.
    Protocol {
        Nbd = "nbd", Rbd = "rbd", Sheepdog = "sheepdog", Gluster = "gluster", Iscsi = "iscsi", Http = "http",
        Https = "https", Ftp = "ftp", Ftps = "ftps", Tftp = "tftp", Ssh = "ssh", Vxhs = "vxhs", Nfs = "nfs",
    }
}
keywords! {
    /// How a host is reached.
    Transport { Tcp = "tcp", Unix = "unix", Rdma = "rdma" }
}

/// A source on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSource {
    /// The protocol.
    pub protocol: Protocol,
    /// The export, image, target or path; none only for nbd without export.
    pub name: Option<String>,
    /// The query part of an HTTP location.
    pub query: Option<String>,
    /// Whether the connection is encrypted.
    pub tls: Option<bool>,
    /// The name that the server's certificate must carry.
    pub tls_hostname: Option<String>,
    /// The servers.
    pub hosts: Vec<Host>,
    /// Name of a snapshot inside the image.
    pub snapshot: Option<String>,
    /// Host path of a configuration file (rbd).
    pub config_file: Option<String>,
    /// iSCSI name of the initiator.
    pub initiator_iqn: Option<String>,
    /// Whether the certificate of the server is checked.
    pub ssl_verify: Option<bool>,
    /// Cookies to send.
    pub cookies: Vec<Cookie>,
    /// How much to read ahead, in bytes.
    pub readahead_bytes: Option<u64>,
    /// How long to wait for an answer, in seconds.
    pub timeout_s: Option<u64>,
    /// How long to try again, in seconds.
    pub reconnect_delay_s: Option<u32>,
    /// User as which an NFS server is asked.
    pub nfs_user: Option<String>,
    /// Group as which an NFS server is asked.
    pub nfs_group: Option<String>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// How it is reached.
    pub transport: Transport,
    /// Its name or address; none for `unix`.
    pub name: Option<String>,
    /// Its port; none for the protocol's own.
    pub port: Option<u16>,
    /// Path of its socket, for `unix` only.
    pub socket: Option<String>,
}

/// A cookie to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value; treat it as a secret.
    pub value: String,
}

impl Host {
    /// A server by its name or address; no port means the protocol's own.
    #[must_use]
    pub fn tcp(name: impl Into<String>, port: Option<u16>) -> Self {
        Self { transport: Transport::Tcp, name: Some(name.into()), port, socket: None }
    }

    /// A server behind a socket of this host.
    #[must_use]
    pub fn unix(socket: impl Into<String>) -> Self {
        Self { transport: Transport::Unix, name: None, port: None, socket: Some(socket.into()) }
    }

    pub(crate) fn read(host: Element<'_>) -> Result<Self, XmlError> {
        let transport = host.keyword("transport")?.unwrap_or(Transport::Tcp);
        let read = Self {
            transport,
            name: host.filled("name"),
            port: host.number("port")?,
            socket: host.filled("socket"),
        };
        match (transport, &read.name, &read.socket) {
            (Transport::Unix, _, None) => Err(host.missing("socket")),
            (Transport::Unix, _, Some(_)) => Ok(read),
            (_, None, _) => Err(host.missing("name")),
            (_, _, Some(_)) => Err(host.error(
                XmlErrorKind::Conflict,
                format!("a socket goes with transport 'unix', not '{transport}'"),
            )),
            _ => Ok(read),
        }
    }
}

impl Protocol {
    /// The port that servers of this protocol listen on; none where there is no such port.
    #[must_use]
    pub fn default_port(self) -> Option<u16> {
        match self {
            Self::Http => Some(80),
            Self::Https => Some(443),
            Self::Ftp => Some(21),
            Self::Ftps => Some(990),
            Self::Tftp => Some(69),
            Self::Nbd => Some(10809),
            Self::Iscsi => Some(3260),
            Self::Gluster => Some(24007),
            Self::Ssh => Some(22),
            Self::Sheepdog => Some(7000),
            Self::Vxhs => Some(9999),
            Self::Rbd | Self::Nfs => None,
        }
    }
}

impl NetworkSource {
    /// A source of this protocol of which nothing else is known.
    #[must_use]
    pub fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            name: None,
            query: None,
            tls: None,
            tls_hostname: None,
            hosts: Vec::new(),
            snapshot: None,
            config_file: None,
            initiator_iqn: None,
            ssl_verify: None,
            cookies: Vec::new(),
            readahead_bytes: None,
            timeout_s: None,
            reconnect_delay_s: None,
            nfs_user: None,
            nfs_group: None,
        }
    }

    /// The cookies as a request carries them: a secret. None when there are no cookies.
    #[must_use]
    pub fn cookie_text(&self) -> Option<String> {
        let pairs: Vec<String> =
            self.cookies.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    pub(super) fn read(source: Element<'_>) -> Result<Self, XmlError> {
        let protocol = source.need_keyword("protocol")?;
        let name = source.filled("name");
        if name.is_none() && protocol != Protocol::Nbd {
            return Err(source.missing("name"));
        }
        let named = |child, attribute| source.child(child).and_then(|child| child.filled(attribute));
        let initiator = source.child("initiator").and_then(|initiator| initiator.child("iqn"));
        let identity = source.child("identity");
        let cookies = source.maybe("cookies", |cookies| cookies.each("cookie", read_cookie))?;
        let delay = source.maybe("reconnect", |reconnect| reconnect.number("delay"))?;
        Ok(Self {
            protocol,
            name,
            query: source.filled("query"),
            tls: source.yes_no("tls")?,
            tls_hostname: source.filled("tlsHostname"),
            hosts: source.each("host", Host::read)?,
            snapshot: named("snapshot", "name"),
            config_file: named("config", "file"),
            initiator_iqn: initiator.and_then(|iqn| iqn.filled("name")),
            ssl_verify: source.maybe("ssl", |ssl| ssl.yes_no("verify"))?.flatten(),
            cookies: cookies.unwrap_or_default(),
            readahead_bytes: source.maybe("readahead", |readahead| readahead.need_number("size"))?,
            timeout_s: source.maybe("timeout", |timeout| timeout.need_number("seconds"))?,
            reconnect_delay_s: delay.flatten(),
            nfs_user: identity.and_then(|identity| identity.filled("user")),
            nfs_group: identity.and_then(|identity| identity.filled("group")),
        })
    }
}

fn read_cookie(cookie: Element<'_>) -> Result<Cookie, XmlError> {
    Ok(Cookie { name: cookie.need_string("name")?, value: cookie.content() })
}
