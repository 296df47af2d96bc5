//! How a storage source may be opened: credentials, encryption, reservations, slices.

use crate::error::{XmlError, XmlErrorKind};
use crate::read::Element;

/// `<slice>`: the window of a location that holds the image, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub size: u64,
}

impl Slice {
    pub(super) fn read(slice: Element<'_>) -> Result<Self, XmlError> {
        match slice.need("type")? {
            "storage" => {}
            other => return Err(slice.unknown(Some("type"), other, &["storage"])),
        }
        Ok(Self { offset: slice.need_number("offset")?, size: slice.need_number("size")? })
    }
}

/// How a secret is named: by UUID or by usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretReference {
    /// By its UUID.
    Uuid(String),
    /// By what it is used for.
    Usage(String),
}

impl SecretReference {
    pub(crate) fn read(secret: Element<'_>) -> Result<Self, XmlError> {
        match (secret.filled("uuid"), secret.filled("usage")) {
            (Some(uuid), None) => Ok(Self::Uuid(uuid)),
            (None, Some(usage)) => Ok(Self::Usage(usage)),
            (None, None) => {
                Err(secret.error(XmlErrorKind::MissingAttribute, "'secret' has neither uuid nor usage"))
            }
            (Some(_), Some(_)) => {
                Err(secret.error(XmlErrorKind::Conflict, "'secret' has both uuid and usage"))
            }
        }
    }
}

/// `<auth>`: who opens a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// The user.
    pub username: String,
    /// What kind of secret: `iscsi`, `ceph`...
    pub secret_type: String,
    /// The secret; its value never stands in a document.
    pub secret: SecretReference,
}

impl Auth {
    pub(crate) fn read(auth: Element<'_>) -> Result<Self, XmlError> {
        let secret = auth.need_child("secret")?;
        Ok(Self {
            username: auth.need_string("username")?,
            secret_type: secret.need_string("type")?,
            secret: SecretReference::read(secret)?,
        })
    }
}

keywords! {
    /// Who decrypts.
    EncryptionEngine { Qemu = "qemu", Librbd = "librbd" }
}

/// `<encryption>`: how the content is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// `luks`, `luks2`, `qcow`...; open, because drivers differ.
    pub format: String,
    /// Who decrypts.
    pub engine: Option<EncryptionEngine>,
    /// The secrets, outermost layer first.
    pub secrets: Vec<EncryptionSecret>,
    /// The cipher of an image that is to be made; an existing image says itself.
    pub cipher: Option<Cipher>,
    /// How initial vectors of an image that is to be made come about.
    pub initial_vector: Option<InitialVector>,
}

/// `<cipher>`: with what an image is encrypted when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cipher {
    /// The algorithm, such as `aes` or `serpent`.
    pub name: String,
    /// Bits of the key.
    pub size: u32,
    /// The mode, such as `xts` or `cbc`.
    pub mode: Option<String>,
    /// The digest, such as `sha256`.
    pub hash: Option<String>,
}

impl Cipher {
    pub(crate) fn read(cipher: Element<'_>) -> Result<Self, XmlError> {
        Ok(Self {
            name: cipher.need_string("name")?,
            size: cipher.need_number("size")?,
            mode: cipher.filled("mode"),
            hash: cipher.filled("hash"),
        })
    }
}

/// `<ivgen>`: how initial vectors come about when an image is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialVector {
    /// The algorithm, such as `plain64` or `essiv`.
    pub name: String,
    /// The digest that it uses.
    pub hash: Option<String>,
}

impl InitialVector {
    pub(crate) fn read(ivgen: Element<'_>) -> Result<Self, XmlError> {
        Ok(Self { name: ivgen.need_string("name")?, hash: ivgen.filled("hash") })
    }
}

/// One secret of an encryption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptionSecret {
    /// What kind of secret; `passphrase` in practice.
    pub kind: String,
    /// The secret; its value never stands in a document.
    pub secret: SecretReference,
}

impl Encryption {
    pub(crate) fn read(encryption: Element<'_>) -> Result<Self, XmlError> {
        let secrets = encryption.each("secret", |secret| {
            Ok(EncryptionSecret { kind: secret.need_string("type")?, secret: SecretReference::read(secret)? })
        })?;
        Ok(Self {
            format: encryption.need_string("format")?,
            engine: encryption.keyword("engine")?,
            secrets,
            cipher: encryption.maybe("cipher", Cipher::read)?,
            initial_vector: encryption.maybe("ivgen", InitialVector::read)?,
        })
    }
}

/// `<reservations>`: who handles SCSI persistent reservations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reservations {
    /// A helper that is started with the domain.
    Managed,
    /// A helper that somebody else runs, at this socket.
    Unmanaged(String),
}

impl Reservations {
    pub(super) fn read(reservations: Element<'_>) -> Result<Self, XmlError> {
        if reservations.yes_no("managed")?.ok_or_else(|| reservations.missing("managed"))? {
            return Ok(Self::Managed);
        }
        let source = reservations.need_child("source")?;
        source.keep_attribute("type");
        source.keep_attribute("mode");
        source.need_string("path").map(Self::Unmanaged)
    }
}
