//! `<source>` of a pool: servers, devices, adapters, and the name of the storage on them.

use crate::error::XmlError;
use crate::read::Element;
use crate::storage_source::{Auth, Host, SecretReference, Transport};

/// Where the storage of a pool is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolSource {
    /// The servers.
    pub hosts: Vec<Host>,
    /// Devices: block devices, or the target of an iSCSI server.
    pub devices: Vec<PoolDevice>,
    /// A SCSI adapter.
    pub adapter: Option<Adapter>,
    /// A directory: exported by a server, or inside a volume of one.
    pub dir: Option<String>,
    /// Volume group, RBD pool, Gluster volume or ZFS data set.
    pub name: Option<String>,
    /// Format of what is on the devices; an open word, because pools of other types have other words.
    pub format: Option<String>,
    /// iSCSI name of the initiator.
    pub initiator_iqn: Option<String>,
    /// Who connects. The kind of secret follows from the type of the pool.
    pub auth: Option<Auth>,
    /// Version of the protocol, as `4.1` of NFS.
    pub protocol_version: Option<String>,
}

/// A device of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolDevice {
    /// Its path, or the name of an iSCSI target.
    pub path: String,
    /// Whether a `p` stands between its name and the number of a partition.
    pub part_separator: Option<bool>,
}

/// A SCSI adapter of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// `scsi_host` or `fc_host`.
    pub kind: String,
    /// Name of a SCSI host, as `host5`.
    pub name: Option<String>,
    /// World wide port name of a virtual Fibre Channel port.
    pub wwpn: Option<String>,
}

impl PoolSource {
    pub(super) fn read(source: Element<'_>) -> Result<Self, XmlError> {
        // They describe the device for people.
        source.keep("vendor");
        source.keep("product");
        let initiator = source.child("initiator").and_then(|initiator| initiator.child("iqn"));
        Ok(Self {
            hosts: source.each("host", read_host)?,
            devices: source.each("device", read_device)?,
            adapter: source.maybe("adapter", read_adapter)?,
            dir: source.maybe("dir", |dir| dir.need_string("path"))?,
            name: source.text_of("name"),
            format: source.maybe("format", |format| format.need_string("type"))?,
            initiator_iqn: initiator.map(|iqn| iqn.need_string("name")).transpose()?,
            auth: source.maybe("auth", read_auth)?,
            protocol_version: source.maybe("protocol", |protocol| protocol.need_string("ver"))?,
        })
    }
}

/// Unlike the host of a disk, that of a pool is always a name with an optional port.
fn read_host(host: Element<'_>) -> Result<Host, XmlError> {
    Ok(Host {
        transport: Transport::Tcp,
        name: Some(host.need_string("name")?),
        port: host.number("port")?,
        socket: None,
    })
}

fn read_device(device: Element<'_>) -> Result<PoolDevice, XmlError> {
    device.keep("freeExtent");
    Ok(PoolDevice { path: device.need_string("path")?, part_separator: device.yes_no("part_separator")? })
}

fn read_adapter(adapter: Element<'_>) -> Result<Adapter, XmlError> {
    for attribute in ["parent", "managed", "parent_wwnn", "parent_wwpn", "parent_fabric_wwn", "wwnn"] {
        adapter.keep_attribute(attribute);
    }
    adapter.keep("parentaddr");
    Ok(Adapter {
        kind: adapter.filled("type").unwrap_or_else(|| "scsi_host".to_owned()),
        name: adapter.filled("name"),
        wwpn: adapter.filled("wwpn"),
    })
}

fn read_auth(auth: Element<'_>) -> Result<Auth, XmlError> {
    let secret = auth.need_child("secret")?;
    Ok(Auth {
        username: auth.need_string("username")?,
        secret_type: match auth.need("type")? {
            "chap" => "iscsi".to_owned(),
            "ceph" => "ceph".to_owned(),
            other => return Err(auth.unknown(Some("type"), other, &["chap", "ceph"])),
        },
        secret: SecretReference::read(secret)?,
    })
}
