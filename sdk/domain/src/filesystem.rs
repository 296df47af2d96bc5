//! `<filesystem>`: directories of the host inside the guest.

use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::XmlError;
use crate::read::Element;
use crate::units::Bytes;
use crate::virtio::VirtioOptions;

keywords! {
    /// What is shown to the guest.
    FilesystemType {
        Mount = "mount", Block = "block", File = "file", Template = "template", Ram = "ram", Bind = "bind",
        Volume = "volume",
    }
}
keywords! {
    /// Whose permissions count.
    AccessMode { Passthrough = "passthrough", Mapped = "mapped", Squash = "squash" }
}
keywords! {
    /// When writes reach the host's disk.
    WritePolicy { Immediate = "immediate" }
}
keywords! {
    /// What happens when a file is on another device.
    MultiDevs { Default = "default", Remap = "remap", Forbid = "forbid", Warn = "warn" }
}
keywords! {
    /// Who implements it.
    FilesystemDriver {
        Path = "path", Handle = "handle", Loop = "loop", Nbd = "nbd", Ploop = "ploop", Virtiofs = "virtiofs",
        Mtp = "mtp",
    }
}

/// A directory of the host inside the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filesystem {
    /// The element.
    pub node: NodeId,
    /// What is shown.
    pub kind: FilesystemType,
    /// Whose permissions count.
    pub access_mode: Option<AccessMode>,
    /// Flavour of virtio.
    pub model: Option<String>,
    /// Who implements it; none for the default of the type.
    pub driver: Option<FilesystemDriver>,
    /// When writes reach the host's disk.
    pub write_policy: Option<WritePolicy>,
    /// What happens when a file is on another device.
    pub multidevs: Option<MultiDevs>,
    /// Permissions of new files, octal as written.
    pub fmode: Option<String>,
    /// Permissions of new directories, octal as written.
    pub dmode: Option<String>,
    /// Entries of the queue (virtiofs).
    pub queue: Option<u32>,
    /// What is shown: path, device, or name, as the type says.
    pub source: Option<String>,
    /// Socket of a virtiofs server that somebody else runs.
    pub source_socket: Option<String>,
    /// Name of the pool (type volume).
    pub source_pool: Option<String>,
    /// The name, or mount point, in the guest.
    pub target: String,
    /// Whether the guest cannot write.
    pub readonly: bool,
    /// How the virtiofs server is run.
    pub binary: Option<VirtiofsBinary>,
    /// Most that may be stored.
    pub space_hard_limit: Option<Bytes>,
    /// The switches that any virtio device can carry.
    pub virtio: VirtioOptions,
    /// Alias, address.
    pub info: DeviceInfo,
}

keywords! {
    /// What a virtiofs server caches.
    VirtiofsCache { None = "none", Always = "always" }
}
keywords! {
    /// How a virtiofs server confines itself.
    VirtiofsSandbox { Namespace = "namespace", Chroot = "chroot" }
}

/// `<binary>`: how the virtiofs server is run; none where the document is silent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VirtiofsBinary {
    /// Host path of the program.
    pub path: Option<String>,
    /// Whether extended attributes are shown.
    pub xattr: Option<bool>,
    /// What it caches.
    pub cache: Option<VirtiofsCache>,
    /// How it confines itself.
    pub sandbox: Option<VirtiofsSandbox>,
    /// Size of its pool of threads.
    pub thread_pool: Option<u32>,
    /// POSIX locks.
    pub lock_posix: Option<bool>,
    /// BSD locks.
    pub lock_flock: Option<bool>,
}

impl Filesystem {
    pub(crate) fn read(filesystem: Element<'_>) -> Result<Self, XmlError> {
        let driver = filesystem.child("driver");
        let source = filesystem.child("source");
        let of_source = |name| source.and_then(|source| source.filled(name));
        let target = filesystem.need_child("target")?;
        let names = ["dir", "dev", "file", "name", "volume", "usage"];
        Ok(Self {
            node: filesystem.node,
            kind: filesystem.keyword("type")?.unwrap_or(FilesystemType::Mount),
            access_mode: filesystem.keyword("accessmode")?,
            model: filesystem.filled("model"),
            driver: driver.map(|driver| driver.keyword("type")).transpose()?.flatten(),
            write_policy: driver.map(|driver| driver.keyword("wrpolicy")).transpose()?.flatten(),
            multidevs: filesystem.keyword("multidevs")?,
            fmode: filesystem.filled("fmode"),
            dmode: filesystem.filled("dmode"),
            queue: driver.map(|driver| driver.number("queue")).transpose()?.flatten(),
            source: names.into_iter().filter_map(of_source).next(),
            source_socket: of_source("socket"),
            source_pool: of_source("pool"),
            target: target.need_string("dir")?,
            readonly: filesystem.has("readonly"),
            binary: filesystem.maybe("binary", read_binary)?,
            space_hard_limit: filesystem.maybe("space_hard_limit", |limit| limit.size("bytes"))?,
            virtio: VirtioOptions::of_device(filesystem)?,
            info: DeviceInfo::read(filesystem)?,
        })
    }
}

fn read_binary(binary: Element<'_>) -> Result<VirtiofsBinary, XmlError> {
    let lock = binary.child("lock");
    let locks = |name| lock.map(|lock| lock.on_off(name)).transpose().map(Option::flatten);
    Ok(VirtiofsBinary {
        path: binary.filled("path"),
        xattr: binary.on_off("xattr")?,
        cache: binary.maybe("cache", |cache| cache.need_keyword("mode"))?,
        sandbox: binary.maybe("sandbox", |sandbox| sandbox.need_keyword("mode"))?,
        thread_pool: binary.maybe("thread_pool", |pool| pool.need_number("size"))?,
        lock_posix: locks("posix")?,
        lock_flock: locks("flock")?,
    })
}
