//! `<disk type='volume'>` as what a guest is given: a pure function of the reference and of what is known of the pool.
//!
//! Nothing of the answer goes into the definition: the mode that an iSCSI pool implies, in particular, is a matter of
//! each run. So asking again, as often as one likes, gives the same.

use hostler_domain::pool::{PoolType, StoragePool};
use hostler_domain::storage_source::{
    Auth, Host, Location, NetworkSource, Protocol, SecretReference, StorageSource, VolumeMode,
};
use hostler_domain::volume::VolumeType;
use hostler_image::Format;
use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, StorageError};

/// Parts of the name of an iSCSI volume: `unit:bus:target:lun`.
const UNIT_PARTS: usize = 4;

/// A volume as a disk names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VolumeReference {
    /// Name of the pool.
    pub pool: String,
    /// Name of the volume.
    pub volume: String,
    /// Where an iSCSI volume is reached from: `host` or `direct`; none where the document is silent.
    pub mode: Option<String>,
}

impl VolumeReference {
    /// The reference of a source that names a volume; nothing for any other.
    #[must_use]
    pub fn of(source: &StorageSource) -> Option<Self> {
        match &source.location {
            Location::Volume { pool, volume, mode } => Some(Self {
                pool: pool.clone(),
                volume: volume.clone(),
                mode: mode.map(|mode| mode.as_str().to_owned()),
            }),
            _ => None,
        }
    }

    fn fault(&self, kind: ErrorKind, code: &'static str, message: String) -> StorageError {
        StorageError::new(kind, code, message).about("pool", &self.pool).about("volume", &self.volume)
    }
}

/// A pool as far as a translation has to know it.
#[derive(Clone, Copy, Debug)]
pub struct PoolView<'a> {
    /// Its document.
    pub definition: &'a StoragePool,
    /// Whether it is started.
    pub active: bool,
}

/// A volume as far as a translation has to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownVolume {
    /// What it is.
    pub kind: VolumeType,
    /// Its path.
    pub path: String,
    /// Its format as recorded when it was made; nothing for one that this host did not make.
    pub format: Option<String>,
    /// The format that its content looks like.
    pub found_format: Option<Format>,
    /// The secret that it was encrypted with when it was made.
    pub secret: Option<Secret>,
}

/// What a guest is given for a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Translated {
    /// Where it is.
    pub place: TranslatedPlace,
    /// The format that goes with it where the disk declares none; nothing for plain bytes.
    pub format: Option<String>,
    /// What its content looks like, where nobody has recorded a format and it does not look like plain bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looks_like: Option<String>,
    /// The secret that it was encrypted with when it was made: a disk has to name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
}

/// Where a translated volume is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TranslatedPlace {
    /// A file of this host.
    File(String),
    /// A block device of this host.
    Block(String),
    /// A directory of this host.
    Dir(String),
    /// A unit of an iSCSI server.
    Iscsi {
        /// The server.
        host: String,
        /// Its port.
        port: u16,
        /// Target and unit: `iqn…/LUN`.
        name: String,
        /// iSCSI name of the initiator.
        initiator: Option<String>,
        /// Who connects.
        auth: Option<(String, Secret)>,
    },
}

/// How a secret is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Secret {
    /// By its UUID.
    Uuid(String),
    /// By what it is used for.
    Usage(String),
}

impl From<&SecretReference> for Secret {
    fn from(reference: &SecretReference) -> Self {
        match reference {
            SecretReference::Uuid(uuid) => Self::Uuid(uuid.clone()),
            SecretReference::Usage(usage) => Self::Usage(usage.clone()),
        }
    }
}

/// Translates one reference.
///
/// # Errors
/// [`ErrorKind::Conflict`] for a pool that is not started, [`ErrorKind::NotFound`] for a volume that is not there,
/// [`ErrorKind::Invalid`] for a mode that does not go with the pool, [`ErrorKind::Unsupported`] for a pool whose volumes
/// cannot be disks.
pub fn translate(
    reference: &VolumeReference,
    pool: PoolView<'_>,
    volume: Option<&KnownVolume>,
) -> Result<Translated, StorageError> {
    let kind = pool.definition.kind;
    if !pool.active {
        let message = format!(
            "the pool '{}' is not started, so its volume '{}' cannot be used",
            reference.pool, reference.volume
        );
        let start = format!("hostler pool start {}", hostler_image::shell_quote(&reference.pool));
        return Err(reference
            .fault(ErrorKind::Conflict, "pool.inactive", message)
            .hint_command("start it", start));
    }
    require_disk_pool(reference, kind)?;
    let direct = is_direct(reference, kind)?;
    let Some(volume) = volume else {
        let message = format!("the pool '{}' has no volume '{}'", reference.pool, reference.volume);
        let list = format!("hostler vol list {}", hostler_image::shell_quote(&reference.pool));
        return Err(reference
            .fault(ErrorKind::NotFound, "volume.not-found", message)
            .hint_command("see which there are", list));
    };
    if direct {
        return direct_unit(reference, pool.definition);
    }
    local(reference, volume)
}

fn require_disk_pool(reference: &VolumeReference, kind: PoolType) -> Result<(), StorageError> {
    if !matches!(kind, PoolType::Mpath | PoolType::Rbd | PoolType::Sheepdog | PoolType::Gluster) {
        return Ok(());
    }
    let message = format!(
        "the pool '{}' is of type '{kind}', whose volumes cannot be used as disks by name",
        reference.pool
    );
    Err(reference
        .fault(ErrorKind::Unsupported, "volume.pool-type", message)
        .hint("name the volume in the disk itself, as a source of type 'network' or 'block'"))
}

/// Whether the guest's host reaches the volume by iSCSI itself.
fn is_direct(reference: &VolumeReference, kind: PoolType) -> Result<bool, StorageError> {
    match (kind, reference.mode.as_deref()) {
        (PoolType::IscsiDirect, None) => Ok(true),
        (PoolType::Iscsi, Some(mode)) => Ok(mode == VolumeMode::Direct.as_str()),
        (_, None) => Ok(false),
        (_, Some(mode)) => {
            let message = format!(
                "mode '{mode}' goes with pools of type 'iscsi' only, and '{}' is of type '{kind}'",
                reference.pool
            );
            Err(reference
                .fault(ErrorKind::Invalid, "volume.mode", message)
                .hint("take the attribute 'mode' out of the disk's source"))
        }
    }
}

fn local(reference: &VolumeReference, volume: &KnownVolume) -> Result<Translated, StorageError> {
    let (path, format) = (volume.path.clone(), volume.format.clone());
    let found = volume.found_format.filter(|found| format.is_none() && found.opened_as() != Format::Raw);
    let looks_like = found.map(|found| found.xml_name().to_owned());
    let place = match volume.kind {
        VolumeType::File | VolumeType::Ploop => TranslatedPlace::File(path),
        VolumeType::Block => TranslatedPlace::Block(path),
        VolumeType::Dir => {
            let place = TranslatedPlace::Dir(path);
            return Ok(Translated { place, format: Some("fat".to_owned()), looks_like: None, secret: None });
        }
        VolumeType::Network | VolumeType::Netdir => {
            let message = format!(
                "the volume '{}' of '{}' is of type '{}', which has no place on this host",
                reference.volume, reference.pool, volume.kind
            );
            return Err(reference.fault(ErrorKind::Unsupported, "volume.type", message));
        }
    };
    Ok(Translated { place, format, looks_like, secret: volume.secret.clone() })
}

fn direct_unit(reference: &VolumeReference, pool: &StoragePool) -> Result<Translated, StorageError> {
    let ([host], [device]) = (pool.source.hosts.as_slice(), pool.source.devices.as_slice()) else {
        let message = format!(
            "the pool '{}' has {} hosts; a unit is reached on exactly one",
            reference.pool,
            pool.source.hosts.len()
        );
        return Err(reference.fault(ErrorKind::Unsupported, "volume.pool-hosts", message));
    };
    let parts: Vec<&str> = reference.volume.split(':').collect();
    let lun = parts.last().filter(|_| parts.len() == UNIT_PARTS).filter(|lun| lun.parse::<u64>().is_ok());
    let Some(lun) = lun else {
        let message = format!("the volume '{}' is no unit of an iSCSI target", reference.volume);
        return Err(reference
            .fault(ErrorKind::Invalid, "volume.unit", message)
            .hint("a unit is called unit:BUS:TARGET:LUN, such as unit:0:0:1"));
    };
    let auth = pool.source.auth.as_ref().map(|auth| (auth.username.clone(), Secret::from(&auth.secret)));
    let place = TranslatedPlace::Iscsi {
        host: host.name.clone().unwrap_or_default(),
        port: host.port.or(Protocol::Iscsi.default_port()).unwrap_or_default(),
        name: format!("{}/{lun}", device.path),
        initiator: pool.source.initiator_iqn.clone(),
        auth,
    };
    Ok(Translated { place, format: None, looks_like: None, secret: None })
}

impl Translated {
    /// Refuses to take for plain bytes what looks like an image and was declared by nobody.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`].
    pub(crate) fn require_declared(
        &self,
        reference: &VolumeReference,
        source: &StorageSource,
    ) -> Result<(), StorageError> {
        let Some(found) = self.looks_like.as_ref().filter(|_| source.format.is_none()) else { return Ok(()) };
        let message = format!(
            "the volume '{}' of '{}' looks like '{found}', and nobody says its format; it is never guessed",
            reference.volume, reference.pool
        );
        Err(reference.fault(ErrorKind::Denied, "volume.format-undeclared", message).hint(format!(
            "if you know what it is, say it in the disk: <driver type='{found}'/>, or <format type='{found}'/> \
             of a <backingStore>"
        )))
    }

    /// Refuses to give a guest the bytes of a container for those of its disk.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`].
    pub(crate) fn require_decrypted(
        &self,
        reference: &VolumeReference,
        source: &StorageSource,
    ) -> Result<(), StorageError> {
        let Some(secret) = self.secret.as_ref().filter(|_| source.encryption.is_none()) else {
            return Ok(());
        };
        let message = format!(
            "the volume '{}' of '{}' is encrypted, and the disk names no secret for it",
            reference.volume, reference.pool
        );
        let named = match secret {
            Secret::Uuid(uuid) => format!("uuid='{uuid}'"),
            Secret::Usage(usage) => format!("usage='{usage}'"),
        };
        Err(reference.fault(ErrorKind::Invalid, "volume.secret-missing", message).hint(format!(
            "write in its <source>: <encryption format='luks'><secret type='passphrase' {named}/></encryption>"
        )))
    }

    /// The source as a guest is given it: everything that the document says, at the place that was found. What was
    /// there of an earlier translation is replaced.
    #[must_use]
    pub fn apply(&self, source: &StorageSource) -> StorageSource {
        let mut applied = source.clone();
        if applied.format.is_none() {
            applied.format.clone_from(&self.format);
        }
        // Who connects is a matter of the pool, whatever the disk says.
        applied.auth = None;
        applied.location = match &self.place {
            TranslatedPlace::File(path) => Location::File(path.clone()),
            TranslatedPlace::Block(path) => Location::Block(path.clone()),
            TranslatedPlace::Dir(path) => Location::Dir(path.clone()),
            TranslatedPlace::Iscsi { host, port, name, initiator, auth } => {
                applied.auth = auth.as_ref().map(|(username, secret)| Auth {
                    username: username.clone(),
                    secret_type: "iscsi".to_owned(),
                    secret: match secret {
                        Secret::Uuid(uuid) => SecretReference::Uuid(uuid.clone()),
                        Secret::Usage(usage) => SecretReference::Usage(usage.clone()),
                    },
                });
                let mut unit = NetworkSource::new(Protocol::Iscsi);
                unit.name = Some(name.clone());
                unit.hosts = vec![Host::tcp(host.as_str(), Some(*port))];
                unit.initiator_iqn.clone_from(initiator);
                Location::Network(Box::new(unit))
            }
        };
        applied
    }
}

#[cfg(test)]
mod tests;
