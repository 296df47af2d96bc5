//! `vol create`: makes a volume.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_domain::pool::PoolType;
use hostler_domain::storage_source::SecretReference;
use hostler_domain::volume::StorageVolume;
use hostler_image::Format;
use hostler_state::VolumeSecret;
use hostler_storage::{BackingRequest, CreateRequest, NewEncryption, Preallocation, create_volume};

use crate::drafts::{self, Progress};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::pools::{Pool, programs};
use crate::process;
use crate::reference::{PoolRef, SecretRef};
use crate::storage_summary::VolumeSummary;

/// What a new volume is to be.
#[derive(Clone, Debug)]
pub enum NewVolume {
    /// What a document says.
    Document {
        /// The volume XML.
        xml: String,
        /// How much is set aside at once.
        preallocation: Preallocation,
    },
    /// What options of a command say.
    Options {
        /// Its name.
        name: String,
        /// Bytes that a guest sees; 0 for those of what it stands on.
        capacity: u64,
        /// Its format by its name in documents.
        format: String,
        /// Bytes of a raw volume that are set aside at once.
        allocation: Option<u64>,
        /// How much is set aside of a volume with a format.
        preallocation: Preallocation,
        /// What it stands on, and the format of that.
        backing: Option<(PathBuf, Option<String>)>,
        /// The secret with the passphrase that it is encrypted with, if it is to be encrypted.
        secret: Option<SecretRef>,
    },
}

impl Host {
    /// Makes a volume in a started pool: whole and durable when this returns, or not there at all.
    ///
    /// # Errors
    /// [`Kind::Exists`]; [`Kind::Invalid`] for what the format cannot be; [`Kind::Host`] without room; what the rules
    /// for images say about what it is to stand on.
    pub async fn vol_create(
        &self,
        wanted: &PoolRef,
        new: &NewVolume,
        mut progress: Progress,
    ) -> Result<VolumeSummary, Error> {
        let pool = self.pool(wanted)?;
        pool.require_active()?;
        require_writable(&pool)?;
        let mut request = self.create_request(&pool, new)?;
        if let Some(encryption) = &mut request.encryption {
            encryption.passphrase = Some(self.keeper().passphrase_of(&encryption.secret)?);
        }
        self.require_reachable(&pool, &request)?;
        let name = request.name.as_str().to_owned();
        let (owner, asked) = (Arc::clone(self.owner()?), pool.clone());
        let charged = self.charge_new(&pool.target().join(&name), &request)?;
        let made = process::blocking(move || {
            if request.directory {
                return make_directory(&asked, request.name.as_str());
            }
            let secret = request.encryption.as_ref().map(|encryption| recorded_secret(&encryption.secret));
            let made =
                drafts::Made { name: request.name.as_str(), format: request.format.xml_name(), secret };
            drafts::make(&owner, &asked, made, |draft| {
                Ok(create_volume(draft, &request, &programs(), &mut progress)?)
            })
        })
        .await?;
        self.close(charged, made.is_ok())?;
        made?;
        self.volume_summary(&pool, &name)
    }

    fn create_request(&self, pool: &Pool, new: &NewVolume) -> Result<CreateRequest, Error> {
        match new {
            NewVolume::Document { xml, preallocation } => {
                Ok(CreateRequest::from_document(&StorageVolume::parse(xml)?, *preallocation)?)
            }
            NewVolume::Options { name, capacity, format, allocation, preallocation, backing, secret } => {
                let known = |format: &str| known_format(name, format);
                let mut request = CreateRequest::new(name, known(format)?, *capacity)?;
                (request.allocation, request.preallocation) = (*allocation, *preallocation);
                if let Some((path, said)) = backing {
                    let format = self.backing_format(pool, path, said.as_deref())?;
                    request.backing = Some(BackingRequest { path: path.clone(), format });
                }
                if let Some(secret) = secret {
                    // By what names it for ever, whatever the user has called it.
                    let uuid = self.secret(secret)?.definition.uuid.to_string();
                    request.encryption = Some(NewEncryption::new(SecretReference::Uuid(uuid)));
                }
                Ok(request)
            }
        }
    }

    /// Refuses a volume that no start would take: an image may name what lies beside it or beneath an image root.
    fn require_reachable(&self, pool: &Pool, request: &CreateRequest) -> Result<(), Error> {
        let Some(backing) = &request.backing else { return Ok(()) };
        let beside = !backing.path.is_absolute() || backing.path.parent() == Some(&pool.target());
        if beside || self.config.image_roots.iter().any(|root| backing.path.starts_with(root)) {
            return Ok(());
        }
        let shown = backing.path.display().to_string();
        let message =
            format!("'{shown}' lies outside of the pool, so a start would refuse what stands on it");
        let directory = backing.path.parent().unwrap_or(&backing.path).display().to_string();
        Err(Error::new(Kind::Denied, "volume.backing-outside", message)
            .about("volume", request.name.as_str())
            .about("path", shown)
            .hint(format!(
                "let images name it, here and at each start: --image-root {}",
                hostler_image::shell_quote(&directory)
            )))
    }

    /// The format of what a new volume is to stand on: said, or recorded for a volume of the pool.
    fn backing_format(&self, pool: &Pool, path: &Path, said: Option<&str>) -> Result<Format, Error> {
        let shown = path.display().to_string();
        if let Some(format) = said {
            return known_format(&shown, format);
        }
        let inside = path.strip_prefix(pool.target()).unwrap_or(path).to_str().unwrap_or_default();
        if path.components().count() == 1 || path.starts_with(pool.target()) {
            let facts = self.volume(pool, inside)?;
            return self.declared_format(pool, &facts, None, "--backing-format");
        }
        let message = format!("the format of '{shown}' is not said; it is never guessed");
        Err(Error::new(Kind::Invalid, "volume.backing-format", message)
            .about("path", shown)
            .hint("say it with --backing-format"))
    }
}

fn recorded_secret(secret: &SecretReference) -> VolumeSecret {
    match secret {
        SecretReference::Uuid(uuid) => VolumeSecret::Uuid(uuid.clone()),
        SecretReference::Usage(usage) => VolumeSecret::Usage(usage.clone()),
    }
}

/// A format by its name in documents, or by QEMU's where that is another.
pub(crate) fn known_format(subject: &str, name: &str) -> Result<Format, Error> {
    let found = Format::from_xml_name(name).or_else(|| Format::from_qemu_name(name));
    found.ok_or_else(|| {
        let error =
            Error::new(Kind::Invalid, "volume.format-unknown", format!("there is no image format '{name}'"))
                .about("volume", subject);
        let names = Format::all().map(Format::xml_name);
        match hostler_domain::nearest(name, names) {
            Some(near) => error.hint(format!("did you mean '{near}'?")),
            None => error.hint("raw and qcow2 are the usual ones"),
        }
    })
}

/// A directory is there at once, and there is nothing to record about it.
fn make_directory(pool: &Pool, name: &str) -> Result<(), Error> {
    Ok(pool.root()?.make_directory(name)?)
}

/// Refuses a pool whose volumes are made by other means.
pub(crate) fn require_writable(pool: &Pool) -> Result<(), Error> {
    if pool.document.kind != PoolType::Logical {
        return Ok(());
    }
    let name = &pool.definition.name;
    let message = format!("volumes of the pool '{name}' are logical volumes, which this version only lists");
    let group = pool.document.source.name.as_deref().unwrap_or("GROUP");
    Err(Error::new(Kind::Unsupported, "volume.logical", message).about("pool", name).hint_command(
        "make it with LVM",
        format!("lvcreate --name NAME --size SIZE {}", hostler_image::shell_quote(group)),
    ))
}
