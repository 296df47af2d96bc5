//! A storage source: one location with its format, and what lies below it.

use crate::address::{PciAddress, read_host_pci};
use crate::document::NodeId;
use crate::error::{XmlError, XmlErrorKind};
use crate::read::Element;
use crate::units::Bytes;

mod access;
mod describe;
mod fault;
mod network;
mod property;
mod status;
mod write;

pub use access::{
    Auth, Cipher, Encryption, EncryptionEngine, EncryptionSecret, InitialVector, Reservations,
    SecretReference, Slice,
};
pub use describe::encode_path;
pub use fault::{SourceFault, SourceFaultKind};
pub use network::{Cookie, Host, NetworkSource, Protocol, Transport};
pub use property::{Properties, Property};
pub use status::SourceStatus;

keywords! {
    /// Where an iSCSI volume of a pool is reached from.
    VolumeMode { Host = "host", Direct = "direct" }
}
keywords! {
    /// What happens when a removable or optional source is missing at start.
    StartupPolicy { Mandatory = "mandatory", Requisite = "requisite", Optional = "optional" }
}

/// One location with its format, and what lies below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageSource {
    /// The element that names the location: `<source>`, or what holds it when there is none.
    pub node: NodeId,
    /// Where the bytes are.
    pub location: Location,
    /// The format of the bytes, such as `qcow2`; never guessed: none when the document is silent.
    pub format: Option<String>,
    /// Number of this layer in a running domain.
    pub index: Option<u32>,
    /// The window of the location that holds the image.
    pub slice: Option<Slice>,
    /// Who opens it.
    pub auth: Option<Auth>,
    /// How its content is encrypted.
    pub encryption: Option<Encryption>,
    /// Persistent reservations.
    pub reservations: Option<Reservations>,
    /// What happens when it is missing at start.
    pub startup_policy: Option<StartupPolicy>,
    /// Name of a group of descriptors that stand for this file.
    pub fd_group: Option<String>,
    /// Largest qcow2 metadata cache.
    pub metadata_cache: Option<Bytes>,
    /// How it is open in a running domain; only a status document says that.
    pub status: Option<Box<SourceStatus>>,
    /// What lies below.
    pub backing: Backing,
}

/// What lies below a layer: three different things, never two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backing {
    /// The document does not say: whoever starts the domain must find out.
    Unknown,
    /// The document says that nothing lies below (`<backingStore/>`).
    Nothing,
    /// The document says what lies below.
    Layer(Box<StorageSource>),
}

/// Where the bytes of a source are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// Nowhere: a drive without medium.
    Empty,
    /// A file of the host.
    File(String),
    /// A block device of the host.
    Block(String),
    /// A directory of the host, shown as a FAT volume.
    Dir(String),
    /// A server.
    Network(Box<NetworkSource>),
    /// A volume of a storage pool.
    Volume {
        /// Name of the pool.
        pool: String,
        /// Name of the volume.
        volume: String,
        /// Where an iSCSI volume is reached from.
        mode: Option<VolumeMode>,
    },
    /// A namespace of an NVMe controller of the host.
    Nvme {
        /// The controller.
        address: PciAddress,
        /// The namespace, from 1.
        namespace: u32,
        /// Whether the controller is taken from and given back to its host driver.
        managed: bool,
    },
    /// A vhost-user server.
    VhostUser {
        /// Path of its socket.
        path: String,
        /// How a lost connection comes back.
        reconnect: Option<Reconnect>,
    },
    /// A vDPA device of the host.
    VhostVdpa(String),
}

/// `<reconnect>`: how a lost connection comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reconnect {
    /// Whether it does.
    pub enabled: bool,
    /// Time between two attempts, in seconds.
    pub timeout_s: Option<u32>,
}

impl Reconnect {
    pub(crate) fn read(element: Element<'_>) -> Result<Self, XmlError> {
        let enabled = element.yes_no("enabled")?.ok_or_else(|| element.missing("enabled"))?;
        let timeout_s = element.number("timeout")?;
        if timeout_s == Some(0) && enabled {
            let message = "attribute 'timeout' of 'reconnect' is 0; it is at least 1 second".to_owned();
            return Err(element.fault(Some("timeout"), XmlErrorKind::OutOfRange, message));
        }
        Ok(Self { enabled, timeout_s })
    }
}

keywords! {
    /// The kinds of location that a document can name.
    SourceType {
        File = "file", Block = "block", Dir = "dir", Network = "network", Volume = "volume", Nvme = "nvme",
        VhostUser = "vhostuser", VhostVdpa = "vhostvdpa",
    }
}

impl StorageSource {
    /// A source with a location and nothing else said.
    pub fn new(node: NodeId, location: Location) -> Self {
        Self {
            node,
            location,
            format: None,
            index: None,
            slice: None,
            auth: None,
            encryption: None,
            reservations: None,
            startup_policy: None,
            fd_group: None,
            metadata_cache: None,
            status: None,
            backing: Backing::Unknown,
        }
    }

    /// A file of the host and nothing else said.
    pub fn file(node: NodeId, path: String) -> Self {
        Self::new(node, Location::File(path))
    }

    /// The layers from this one downwards, as far as the document names them.
    pub fn layers(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |layer| match &layer.backing {
            Backing::Layer(below) => Some(below.as_ref()),
            Backing::Unknown | Backing::Nothing => None,
        })
    }

    /// Reads the `type` attribute of an element and its `<source>` child.
    pub(crate) fn read_typed(holder: Element<'_>) -> Result<Self, XmlError> {
        let kind = holder.keyword("type")?.unwrap_or(SourceType::File);
        match holder.child("source") {
            Some(source) => Self::read_source(kind, source),
            None => Ok(Self::new(holder.node, Location::Empty)),
        }
    }

    fn read_source(kind: SourceType, source: Element<'_>) -> Result<Self, XmlError> {
        let slices = source.child("slices");
        Ok(Self {
            index: source.number("index")?,
            slice: slices.map(|slices| slices.maybe("slice", Slice::read)).transpose()?.flatten(),
            auth: source.maybe("auth", Auth::read)?,
            encryption: source.maybe("encryption", Encryption::read)?,
            reservations: source.maybe("reservations", Reservations::read)?,
            startup_policy: source.keyword("startupPolicy")?,
            fd_group: source.filled("fdgroup"),
            status: source.maybe("privateData", SourceStatus::read)?.map(Box::new),
            ..Self::new(source.node, read_location(kind, source)?)
        })
    }

    /// Reads the `<backingStore>` child of a disk, a layer or a mirror.
    pub(crate) fn read_backing(holder: Element<'_>) -> Result<Backing, XmlError> {
        let Some(store) = holder.child("backingStore") else { return Ok(Backing::Unknown) };
        if store.get("type").is_none() {
            return Ok(Backing::Nothing);
        }
        // Recursion is as deep as the document, which MAX_DEPTH bounds.
        let mut source = Self::read_typed(store)?;
        if source.location == Location::Empty {
            return Err(
                store.error(XmlErrorKind::MissingElement, "element 'source' is missing in 'backingStore'")
            );
        }
        let format = store.need_child("format")?;
        source.format = Some(format.need_string("type")?);
        source.metadata_cache = read_metadata_cache(format)?;
        source.index = store.number("index")?.or(source.index);
        source.backing = Self::read_backing(store)?;
        Ok(Backing::Layer(Box::new(source)))
    }
}

/// Reads `<metadata_cache><max_size>`.
pub(crate) fn read_metadata_cache(holder: Element<'_>) -> Result<Option<Bytes>, XmlError> {
    let Some(cache) = holder.child("metadata_cache") else { return Ok(None) };
    cache.maybe("max_size", |size| size.size("bytes"))
}

fn read_location(kind: SourceType, source: Element<'_>) -> Result<Location, XmlError> {
    let path = |name, make: fn(String) -> Location| source.filled(name).map_or(Location::Empty, make);
    Ok(match kind {
        SourceType::File => path("file", Location::File),
        SourceType::Block => path("dev", Location::Block),
        SourceType::Dir => path("dir", Location::Dir),
        SourceType::VhostVdpa => path("dev", Location::VhostVdpa),
        SourceType::Network => Location::Network(Box::new(NetworkSource::read(source)?)),
        SourceType::Volume => read_volume(source)?,
        SourceType::Nvme => read_nvme(source)?,
        SourceType::VhostUser => {
            source.keep_attribute("type");
            source.keep_attribute("mode");
            Location::VhostUser {
                path: source.need_string("path")?,
                reconnect: source.maybe("reconnect", Reconnect::read)?,
            }
        }
    })
}

fn read_volume(source: Element<'_>) -> Result<Location, XmlError> {
    let mode = source.keyword("mode")?;
    match (source.filled("pool"), source.filled("volume")) {
        (Some(pool), Some(volume)) => Ok(Location::Volume { pool, volume, mode }),
        (None, None) => Ok(Location::Empty),
        (Some(_), None) => Err(source.missing("volume")),
        (None, Some(_)) => Err(source.missing("pool")),
    }
}

fn read_nvme(source: Element<'_>) -> Result<Location, XmlError> {
    match source.need("type")? {
        "pci" => {}
        other => return Err(source.unknown(Some("type"), other, &["pci"])),
    }
    let namespace: u32 = source.need_number("namespace")?;
    if namespace == 0 {
        let message = "attribute 'namespace' of 'source' is 0; namespaces count from 1".to_owned();
        return Err(source.fault(Some("namespace"), XmlErrorKind::OutOfRange, message));
    }
    let address = read_host_pci(source.need_child("address")?)?;
    Ok(Location::Nvme { address, namespace, managed: source.yes_no("managed")?.unwrap_or(true) })
}
