//! `<shmem>`: memory shared between guests.

use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::{XmlError, XmlErrorKind};
use crate::read::Element;
use crate::units::Bytes;

keywords! {
    /// What the guest sees.
    ShmemModel { Ivshmem = "ivshmem", IvshmemPlain = "ivshmem-plain", IvshmemDoorbell = "ivshmem-doorbell" }
}
keywords! {
    /// Whether the memory migrates with this guest.
    ShmemRole { Master = "master", Peer = "peer" }
}

/// Memory shared between guests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shmem {
    /// The element.
    pub node: NodeId,
    /// Its name on the host.
    pub name: String,
    /// Whether it migrates with this guest.
    pub role: Option<ShmemRole>,
    /// What the guest sees; none for `ivshmem`.
    pub model: Option<ShmemModel>,
    /// Its size.
    pub size: Option<Bytes>,
    /// The server that hands it out.
    pub server: Option<ShmemServer>,
    /// Interrupts between guests.
    pub msi: Option<ShmemMsi>,
    /// Alias, address.
    pub info: DeviceInfo,
}

/// `<server>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShmemServer {
    /// Host path of its socket; none when the host chooses.
    pub path: Option<String>,
}

/// `<msi>`; none where the document is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShmemMsi {
    /// Whether there are interrupts.
    pub enabled: Option<bool>,
    /// Number of vectors.
    pub vectors: Option<u32>,
    /// Whether the host takes notifications asynchronously.
    pub ioeventfd: Option<bool>,
}

fn read_size(size: Element<'_>) -> Result<Bytes, XmlError> {
    let bytes = size.size("MiB")?;
    if bytes < Bytes::from_mib(1) || !bytes.0.is_power_of_two() {
        let message = "the size of shared memory is a power of two of at least 1 MiB";
        return Err(size.error(XmlErrorKind::OutOfRange, message));
    }
    Ok(bytes)
}

impl Shmem {
    pub(crate) fn read(shmem: Element<'_>) -> Result<Self, XmlError> {
        let name = shmem.need("name")?;
        if name.contains('/') || matches!(name, "." | "..") {
            return Err(shmem.invalid(Some("name"), name, "a name without '/'"));
        }
        Ok(Self {
            node: shmem.node,
            name: name.to_owned(),
            role: shmem.keyword("role")?,
            model: shmem.maybe("model", |model| model.need_keyword("type"))?,
            size: shmem.maybe("size", read_size)?,
            server: shmem.maybe("server", |server| Ok(ShmemServer { path: server.filled("path") }))?,
            msi: shmem.maybe("msi", |msi| {
                Ok(ShmemMsi {
                    enabled: msi.on_off("enabled")?,
                    vectors: msi.number("vectors")?,
                    ioeventfd: msi.on_off("ioeventfd")?,
                })
            })?,
            info: DeviceInfo::read(shmem)?,
        })
    }
}
