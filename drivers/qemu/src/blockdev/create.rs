//! Images that QEMU makes for a running guest: the options of `blockdev-create` (QAPI `BlockdevCreateOptions`).
//!
//! Two steps: the server or the file that is to hold the bytes, then the format in it. Between them the
//! protocol node is added, after them the format node.

use hostler_sdk::domain::storage_source::{Encryption, Location, Protocol, StorageSource};
use hostler_sdk::{Error, ProblemExt, Symbol, Value, problem};

use super::names::LayerNames;
use super::objects::by_client;
use super::open::refused;

/// An image that is to be made.
#[derive(Clone, Debug)]
pub struct Creation<'a> {
    /// The target name of the disk that it is for.
    pub disk: &'a str,
    /// The index that its layer has in the chain of that disk.
    pub layer: u32,
    /// Where it is to be.
    pub source: &'a StorageSource,
    /// Its format.
    pub format: &'a str,
    /// What its nodes and objects are called.
    pub names: &'a LayerNames,
    /// How many bytes the guest sees.
    pub capacity: u64,
    /// How many bytes its file or server holds at first.
    pub physical: u64,
    /// What lies below it.
    pub backing: Option<Reference<'a>>,
    /// How its format is laid out.
    pub layout: Layout,
}

/// What an image records about the one below it.
#[derive(Clone, Debug)]
pub struct Reference<'a> {
    /// The name that its header is to hold; given by the host, which alone knows names.
    pub name: Value,
    /// The source below.
    pub source: &'a StorageSource,
    /// Its format.
    pub format: &'a str,
}

/// The layout of a qcow2 image; none is QEMU's own choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The version of the format.
    pub version: Option<Version>,
    /// Bytes of a cluster.
    pub cluster_size: Option<u64>,
    /// Whether clusters have parts that are allocated apart.
    pub extended_l2: Option<bool>,
}

/// The versions of qcow2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Compatibility level 0.10.
    V2,
    /// Compatibility level 1.1.
    V3,
}

impl Creation<'_> {
    /// The options that make what holds the bytes; none where it has to exist already.
    ///
    /// # Errors
    /// A window into something else; a server without what its protocol needs.
    pub fn storage(&self) -> Result<Option<Value>, Error> {
        if self.source.slice.is_some() {
            return Err(problem(
                "qemu.create-slice",
                "an image cannot be made in a <slice> of something else",
            )
            .hint("name a file or a volume of its own for the new image")
            .unsupported());
        }
        let file = Value::mapping().with("driver", "file");
        Ok(match &self.source.location {
            Location::File(_) => {
                let image = Symbol::Image { disk: self.disk.to_owned(), layer: self.layer };
                Some(file.with("filename", image).with("size", self.physical))
            }
            Location::Network(network) if is_made(network.protocol) => {
                let mut described = Value::from(network.describe().map_err(|fault| refused(&fault))?);
                if let (Protocol::Ssh, Some(auth)) = (network.protocol, &self.source.auth) {
                    described.set("user", auth.username.as_str());
                }
                let Value::Mapping(mut members) = described else { return Ok(None) };
                members.retain(|(name, _)| name != "driver");
                Some(
                    Value::mapping()
                        .with("driver", network.protocol.as_str())
                        .with("location", Value::Mapping(members))
                        .with("size", self.physical),
                )
            }
            _ => None,
        })
    }

    /// The options that make the format; none for bytes that stand as they are.
    ///
    /// # Errors
    /// A format that QEMU does not make; encryption that the format, or QEMU, does not have.
    pub fn content(&self) -> Result<Option<Value>, Error> {
        let encryption = self.source.encryption.as_ref().filter(|_| !by_client(self.source));
        let node = match (self.format, encryption) {
            ("raw", None) => return self.no_backing().map(|()| None),
            ("raw", Some(encryption)) => {
                self.no_backing()?;
                self.luks(self.made("luks"), encryption)?
            }
            ("qcow2", _) => self.qcow2(encryption)?,
            ("qcow", _) => self.encrypt(self.named(self.made("qcow")), encryption)?,
            ("qed", None) => self.named_with_format(self.made("qed")),
            ("vmdk", None) => self.named(self.made("vmdk")),
            ("vpc" | "vdi", None) => self.alone(self.format)?,
            ("vhd" | "vhdx", None) => self.alone("vhdx")?,
            ("ploop" | "parallels", None) => self.alone("parallels")?,
            (other, None) => {
                return Err(problem(
                    "qemu.create-format",
                    format!("QEMU does not make images of format '{other}'"),
                )
                .hint("make a qcow2 or a raw image")
                .unsupported());
            }
            (other, Some(_)) => {
                return Err(problem(
                    "qemu.create-encryption",
                    format!("an image of format '{other}' is not encrypted"),
                )
                .hint("make a raw or a qcow2 image, with <encryption format='luks'>")
                .unsupported());
            }
        };
        Ok(Some(node))
    }

    fn made(&self, driver: &str) -> Value {
        Value::mapping()
            .with("driver", driver)
            .with("file", self.names.storage.as_str())
            .with("size", self.capacity)
    }

    fn alone(&self, driver: &str) -> Result<Value, Error> {
        self.no_backing()?;
        Ok(self.made(driver))
    }

    fn no_backing(&self) -> Result<(), Error> {
        if self.backing.is_none() {
            return Ok(());
        }
        let message = format!("an image of format '{}' cannot have one below it", self.format);
        Err(problem("qemu.image-backing", message).hint("make a qcow2 image").invalid())
    }

    fn qcow2(&self, encryption: Option<&Encryption>) -> Result<Value, Error> {
        let version = self.layout.version.map(|version| match version {
            Version::V2 => "v2",
            Version::V3 => "v3",
        });
        let node = self
            .made("qcow2")
            .with_some("version", version)
            .with_some("cluster-size", self.layout.cluster_size)
            .with_some("extended-l2", self.layout.extended_l2);
        self.encrypt(self.named_with_format(node), encryption)
    }

    fn named(&self, node: Value) -> Value {
        node.with_some("backing-file", self.backing.as_ref().map(|below| below.name.clone()))
    }

    fn named_with_format(&self, node: Value) -> Value {
        let format = self.backing.as_ref().map(|below| match below.format {
            "raw" if below.source.encryption.is_some() && !by_client(below.source) => "luks",
            format => format,
        });
        self.named(node).with_some("backing-fmt", format)
    }

    fn encrypt(&self, node: Value, encryption: Option<&Encryption>) -> Result<Value, Error> {
        let Some(encryption) = encryption else { return Ok(node) };
        let options = self.luks(Value::mapping().with("format", "luks"), encryption)?;
        Ok(node.with("encrypt", options))
    }

    /// QAPI `QCryptoBlockCreateOptionsLUKS`.
    fn luks(&self, node: Value, encryption: &Encryption) -> Result<Value, Error> {
        if encryption.format != "luks" {
            let message = format!("QEMU makes no images with encryption '{}'", encryption.format);
            return Err(problem("qemu.create-encryption", message)
                .hint("use <encryption format='luks'>")
                .unsupported());
        }
        let (cipher, vector) = (encryption.cipher.as_ref(), encryption.initial_vector.as_ref());
        Ok(node
            .with("key-secret", self.names.content_secret(0))
            .with_some("cipher-alg", cipher.map(|cipher| format!("{}-{}", cipher.name, cipher.size)))
            .with_some("cipher-mode", cipher.and_then(|cipher| cipher.mode.as_deref()))
            .with_some("hash-alg", cipher.and_then(|cipher| cipher.hash.as_deref()))
            .with_some("ivgen-alg", vector.map(|vector| vector.name.as_str()))
            .with_some("ivgen-hash-alg", vector.and_then(|vector| vector.hash.as_deref())))
    }
}

/// Whether QEMU makes images on servers of this protocol; elsewhere they exist before.
fn is_made(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Gluster | Protocol::Rbd | Protocol::Sheepdog | Protocol::Ssh | Protocol::Nfs)
}

#[cfg(test)]
mod tests;
