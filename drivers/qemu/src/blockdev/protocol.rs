//! Protocol nodes: where the bytes of an image come from.

use hostler_sdk::domain::storage_source::{Location, NetworkSource, StorageSource};
use hostler_sdk::{Error, Layer, ProblemExt, Symbol, Value, problem};

use super::names::LayerNames;
use super::objects::{Needed, by_client};
use super::open::{self, Openers};
use super::options::Options;
use crate::argv::comparison;

/// One layer, and all that decides about its protocol node.
pub(crate) struct Protocol<'a> {
    /// The disk's target name.
    pub(crate) disk: &'a str,
    /// The layer's index in its chain.
    pub(crate) index: u32,
    /// What the host says about it.
    pub(crate) layer: &'a Layer,
    /// What the document says about it, if it says anything.
    pub(crate) source: Option<&'a StorageSource>,
    /// What the disk asks of its nodes.
    pub(crate) options: Options,
    /// What its nodes and objects are called.
    pub(crate) names: &'a LayerNames,
    /// Whether this is only compared.
    pub(crate) comparison: bool,
    /// Whether the drive is a floppy drive.
    pub(crate) floppy: bool,
}

impl Protocol<'_> {
    /// The node's own properties, before the ones that every protocol node carries.
    ///
    /// # Errors
    /// A kind of layer, or a source, that this driver cannot describe.
    fn properties(&self) -> Result<Value, Error> {
        let location = self.source.map(|source| &source.location);
        match (self.layer.kind.as_str(), location) {
            (_, Some(Location::Network(source))) => self.server(source),
            (_, Some(Location::Volume { volume, mode, .. })) if self.comparison => {
                Ok(comparison::volume(volume, *mode))
            }
            (_, Some(location @ Location::Nvme { .. })) => {
                location.describe().map(Value::from).map_err(|fault| open::refused(&fault))
            }
            ("dir", _) => Ok(Value::mapping()
                .with("driver", "vvfat")
                .with("dir", self.image())
                .with("floppy", self.floppy)
                .with("rw", !self.layer.read_only)),
            ("vhostvdpa", _) => {
                Ok(Value::mapping().with("driver", "virtio-blk-vhost-vdpa").with("path", self.image()))
            }
            ("file", _) => Ok(self.file("file")),
            ("block", location) => Ok(self.file(match location {
                Some(Location::Block(path)) if self.comparison && comparison::is_cdrom_drive(path) => {
                    "host_cdrom"
                }
                _ => "host_device",
            })),
            (other, _) => Err(problem(
                "qemu.layer-kind",
                format!(
                    "layer {} of disk '{}' is held as '{other}', which this driver does not know",
                    self.index, self.disk
                ),
            )
            .hint("use an image in a file or on a block device")
            .detail("disk", self.disk)
            .unsupported()),
        }
    }

    fn server(&self, network: &NetworkSource) -> Result<Value, Error> {
        let keys = Needed::of(self.source, self.names, self.index).content_keys();
        let encryption = self.source.filter(|source| by_client(source));
        let encryption = encryption.and_then(|source| source.encryption.as_ref());
        open::properties(
            network,
            &Openers {
                auth: self.source.and_then(|source| source.auth.as_ref()),
                secret: Some(&self.names.server_secret),
                cookies: (!network.cookies.is_empty()).then_some(&self.names.cookie_secret),
                certificates: (network.tls == Some(true)).then_some(&self.names.certificates),
                encryption: encryption.map(|encryption| (encryption, keys.as_slice())),
            },
        )
    }

    /// What stands for the image wherever a node must name it.
    fn image(&self) -> Symbol {
        Symbol::Image { disk: self.disk.to_owned(), layer: self.index }
    }

    fn file(&self, driver: &str) -> Value {
        Value::mapping()
            .with("driver", driver)
            .with("filename", self.image())
            .with_some("aio", self.options.aio())
            .with_some("pr-manager", Needed::of(self.source, self.names, self.index).reservations_id())
    }

    /// The whole node, with a name where others refer to it. S1: it opens read-only until something needs more.
    ///
    /// # Errors
    /// As [`Protocol::properties`].
    pub(crate) fn node(&self, name: Option<&String>) -> Result<Value, Error> {
        Ok(self
            .properties()?
            .with_some("node-name", name.map(String::as_str))
            .with_some("cache", self.options.cache())
            .with("auto-read-only", true)
            .with("discard", "unmap"))
    }
}
