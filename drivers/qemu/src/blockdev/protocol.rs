//! Protocol nodes: where the bytes of an image come from.

use hostler_sdk::domain::storage_source::{EncryptionEngine, Location, StorageSource};
use hostler_sdk::{Error, Layer, ProblemExt, Symbol, Value, problem};

use super::{Options, network};
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
    /// The id of the object that holds the password, for sources that need one.
    pub(crate) secret: Option<String>,
    /// The id of the object that holds the content's key.
    pub(crate) key: Option<String>,
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
    pub(crate) fn properties(&self) -> Result<Value, Error> {
        let location = self.source.map(|source| &source.location);
        match (self.layer.kind.as_str(), location) {
            (_, Some(Location::Network(source))) => {
                let auth = self.source.and_then(|source| source.auth.as_ref());
                let node = network::properties(source, auth, self.secret.as_deref())?;
                Ok(node.with_some("encrypt", self.client_encryption()))
            }
            (_, Some(Location::Volume { volume, mode, .. })) if self.comparison => {
                Ok(comparison::volume(volume, *mode))
            }
            (_, Some(Location::Nvme { address, namespace, .. })) => Ok(Value::mapping()
                .with("driver", "nvme")
                .with("device", address.to_string())
                .with("namespace", *namespace)),
            (_, Some(Location::Dir(path))) => Ok(Value::mapping()
                .with("driver", "vvfat")
                .with("dir", path.as_str())
                .with("floppy", self.floppy)
                .with("rw", !self.layer.read_only)),
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
            .detail("disk", self.disk)
            .unsupported()),
        }
    }

    /// How the server's client decrypts, where it does and not QEMU.
    fn client_encryption(&self) -> Option<Value> {
        let encryption = self.source?.encryption.as_ref()?;
        let by_client = encryption.engine == Some(EncryptionEngine::Librbd);
        by_client.then(|| {
            Value::mapping()
                .with("format", encryption.format.as_str())
                .with_some("key-secret", self.key.as_deref())
        })
    }

    fn file(&self, driver: &str) -> Value {
        Value::mapping()
            .with("driver", driver)
            .with("filename", Symbol::Image { disk: self.disk.to_owned(), layer: self.index })
            .with_some("aio", self.options.aio())
    }

    /// The whole node. S1: it opens read-only until something needs more.
    ///
    /// # Errors
    /// As [`Protocol::properties`].
    pub(crate) fn node(&self, name: &str) -> Result<Value, Error> {
        Ok(self
            .properties()?
            .with("node-name", name)
            .with_some("cache", self.options.cache())
            .with("auto-read-only", true)
            .with("discard", "unmap"))
    }
}
