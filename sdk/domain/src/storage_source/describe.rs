//! What a block driver of QEMU is told about where bytes are: identity only, nothing about how they are opened.
//!
//! These members (QAPI `BlockdevOptions`, without node name and flags) may stand in an image. Credentials,
//! certificates and cookies never do: whoever opens the source adds them.

use super::fault::{SourceFault, SourceFaultKind};
use super::property::{Properties, Property};
use super::{Host, Location, NetworkSource, Protocol, Transport};

impl Location {
    /// The members of a protocol node that say where the bytes are.
    ///
    /// # Errors
    /// A location that is no source by itself, such as a volume of a pool; a server without what its
    /// protocol needs.
    pub fn describe(&self) -> Result<Properties, SourceFault> {
        match self {
            Self::File(path) => Ok(Properties::of_driver("file").with("filename", path.as_str())),
            Self::Block(path) => Ok(Properties::of_driver("host_device").with("filename", path.as_str())),
            // Whether it is shown as a floppy is the drive's to say.
            Self::Dir(path) => Ok(Properties::of_driver("vvfat").with("dir", path.as_str())),
            Self::Nvme { address, namespace, .. } => Ok(Properties::of_driver("nvme")
                .with("device", address.to_string())
                .with("namespace", u64::from(*namespace))),
            Self::VhostVdpa(path) => {
                Ok(Properties::of_driver("virtio-blk-vhost-vdpa").with("path", path.as_str()))
            }
            Self::Network(source) => source.describe(),
            Self::Empty | Self::Volume { .. } | Self::VhostUser { .. } => Err(SourceFault::new(
                SourceFaultKind::Kind,
                format!("a source of type '{}' has no name of its own", self.type_name()),
            )),
        }
    }
}

impl NetworkSource {
    /// As [`Location::describe`].
    ///
    /// # Errors
    /// A server without what its protocol needs.
    pub fn describe(&self) -> Result<Properties, SourceFault> {
        let node = Properties::of_driver(self.protocol.as_str());
        match self.protocol {
            Protocol::Nbd => Ok(node
                .with("server", self.socket(self.only_host()?)?)
                .with_some("export", self.name.as_deref())),
            Protocol::Rbd => self.describe_rbd(node),
            Protocol::Gluster => self.describe_gluster(node),
            Protocol::Iscsi => self.describe_iscsi(node),
            Protocol::Http | Protocol::Https | Protocol::Ftp | Protocol::Ftps | Protocol::Tftp => Ok(node
                .with("url", self.url()?)
                .with_some("sslverify", self.ssl_verify)
                .with_some("timeout", self.timeout_s)
                .with_some("readahead", self.readahead_bytes)),
            Protocol::Nfs => self.describe_nfs(node),
            Protocol::Ssh => Ok(node.with("path", self.need_name()?).with("server", self.only_inet()?)),
            Protocol::Sheepdog => {
                Ok(node.with("server", self.socket(self.only_host()?)?).with("vdi", self.need_name()?))
            }
            Protocol::Vxhs => Ok(node.with("vdisk-id", self.need_name()?).with("server", self.only_inet()?)),
        }
    }

    fn describe_rbd(&self, node: Properties) -> Result<Properties, SourceFault> {
        let (pool, image) = self.name_parts()?;
        let servers = self
            .hosts
            .iter()
            .map(|host| self.inet(host).map(Property::from))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(node
            .with("pool", pool)
            .with("image", image)
            .with_some("snapshot", self.snapshot.as_deref())
            .with_some("conf", self.config_file.as_deref())
            .with_some("server", (!servers.is_empty()).then_some(servers)))
    }

    fn describe_gluster(&self, node: Properties) -> Result<Properties, SourceFault> {
        let (volume, path) = self.name_parts()?;
        let servers = self
            .hosts
            .iter()
            .map(|host| self.socket(host).map(Property::from))
            .collect::<Result<Vec<_>, _>>()?;
        if servers.is_empty() {
            return Err(self.wrong_hosts("at least one host"));
        }
        Ok(node.with("volume", volume).with("path", path).with("server", servers))
    }

    fn describe_iscsi(&self, node: Properties) -> Result<Properties, SourceFault> {
        let whole = self.need_name()?;
        let (target, unit) = whole.split_once('/').unwrap_or((whole, "0"));
        let unit: u32 = unit.parse().map_err(|_| {
            SourceFault::new(
                SourceFaultKind::Name,
                format!("'{unit}' in '{whole}' is not the number of a logical unit"),
            )
        })?;
        let host = self.only_host()?;
        self.need_tcp(host)?;
        Ok(node
            .with("portal", format!("{}:{}", host.bracketed_name(), self.port(host)))
            .with("target", target)
            .with("lun", u64::from(unit))
            .with("transport", "tcp")
            .with_some("initiator-name", self.initiator_iqn.as_deref()))
    }

    fn describe_nfs(&self, node: Properties) -> Result<Properties, SourceFault> {
        let host = self.only_host()?;
        self.need_tcp(host)?;
        Ok(node
            .with("server", Properties::new().with("host", host.name_text()).with("type", "inet"))
            .with("path", self.need_name()?)
            .with_some("user", identity(self.nfs_user.as_deref())?)
            .with_some("group", identity(self.nfs_group.as_deref())?))
    }

    fn url(&self) -> Result<String, SourceFault> {
        let host = self.only_host()?;
        self.need_tcp(host)?;
        let query = self.query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
        Ok(format!(
            "{}://{}:{}/{}{query}",
            self.protocol,
            host.bracketed_name(),
            self.port(host),
            encode_path(self.need_name()?.trim_start_matches('/'))
        ))
    }

    /// The only server of a source that has one.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn only_host(&self) -> Result<&Host, SourceFault> {
        match self.hosts.as_slice() {
            [host] => Ok(host),
            _ => Err(self.wrong_hosts("one host")),
        }
    }

    fn wrong_hosts(&self, wanted: &str) -> SourceFault {
        let message =
            format!("a source of '{}' has {wanted}, and this one has {}", self.protocol, self.hosts.len());
        SourceFault::new(SourceFaultKind::Hosts, message)
    }

    /// The name of a source that has one.
    ///
    /// # Errors
    /// There is none.
    pub fn need_name(&self) -> Result<&str, SourceFault> {
        self.name.as_deref().ok_or_else(|| {
            SourceFault::new(SourceFaultKind::Name, format!("a source of '{}' has no name", self.protocol))
        })
    }

    /// `POOL/IMAGE`, or `VOLUME/PATH`.
    fn name_parts(&self) -> Result<(&str, &str), SourceFault> {
        self.need_name()?
            .split_once('/')
            .filter(|(first, second)| !first.is_empty() && !second.is_empty())
            .ok_or_else(|| {
                let message = format!(
                    "the name of a source of '{}' has two parts with '/' between them",
                    self.protocol
                );
                SourceFault::new(SourceFaultKind::Name, message)
            })
    }

    /// Ports are text in the address of every block driver; Ceph's own port is written 0.
    fn port(&self, host: &Host) -> String {
        host.port.or(self.protocol.default_port()).unwrap_or(0).to_string()
    }

    fn need_tcp(&self, host: &Host) -> Result<(), SourceFault> {
        match host.transport {
            Transport::Tcp => Ok(()),
            other => Err(SourceFault::new(
                SourceFaultKind::Transport,
                format!("a server of '{}' is not reached by transport '{other}'", self.protocol),
            )),
        }
    }

    fn only_inet(&self) -> Result<Properties, SourceFault> {
        self.inet(self.only_host()?)
    }

    fn inet(&self, host: &Host) -> Result<Properties, SourceFault> {
        self.need_tcp(host)?;
        Ok(Properties::new().with("host", host.name_text()).with("port", self.port(host)))
    }

    fn socket(&self, host: &Host) -> Result<Properties, SourceFault> {
        let address = Properties::new();
        match host.transport {
            Transport::Unix => {
                Ok(address.with("type", "unix").with("path", host.socket.as_deref().unwrap_or_default()))
            }
            Transport::Tcp => {
                Ok(address.with("type", "inet").with("host", host.name_text()).with("port", self.port(host)))
            }
            Transport::Rdma => {
                let message = "no block driver reaches a server by transport 'rdma'";
                Err(SourceFault::new(SourceFaultKind::Transport, message))
            }
        }
    }
}

impl Host {
    fn name_text(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// Its name for a URI: an IPv6 address stands in brackets, and what would end the name is percent-encoded.
    #[must_use]
    pub fn bracketed_name(&self) -> String {
        let name = encode_host(self.name_text());
        if name.contains(':') && !name.starts_with('[') { format!("[{name}]") } else { name }
    }
}

/// Encodes what has a meaning of its own in the authority of a URI (RFC 3986 section 3.2).
fn encode_host(name: &str) -> String {
    let ends = |character: char| matches!(character, '@' | '/' | '?' | '#' | '%' | '\\') || character <= ' ';
    let mut encoded = String::with_capacity(name.len());
    for character in name.chars() {
        if ends(character) {
            encoded.push_str(&format!("%{:02X}", u32::from(character)));
        } else {
            encoded.push(character);
        }
    }
    encoded
}

/// A user or group of an NFS server, given by number; a leading `+` says so.
fn identity(identity: Option<&str>) -> Result<Option<u64>, SourceFault> {
    let number = |text: &str| {
        text.trim_start_matches('+').parse::<u32>().map(u64::from).map_err(|_| {
            SourceFault::new(
                SourceFaultKind::Identity,
                format!("'{text}' is no number of an NFS user or group"),
            )
        })
    };
    identity.map(number).transpose()
}

/// A path for a URI: what means something else there is percent-encoded.
#[must_use]
pub fn encode_path(path: &str) -> String {
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

#[cfg(test)]
mod tests;
