//! Volumes as the verbs work with them: measured, with what is recorded about them, and with who uses them.

use std::path::{Path, PathBuf};

use hostler_domain::Domain;
use hostler_domain::storage_source::{Location, StorageSource};
use hostler_image::Format;
use hostler_runtime::inspect_disk;
use hostler_state::{VolumeRecord, VolumeSecret};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use hostler_storage::{
    KnownVolume, Listing, Secret, StorageError, Translations, VolumeFacts, VolumeReference, find, references,
    refresh, translate,
};

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::pools::{Pool, is_same_file, programs};
use crate::reference::PoolRef;
use crate::storage_summary::{VolumeSummary, VolumeUse};

/// The line about one volume, from what was measured and what is recorded.
pub(crate) fn summary(pool: &Pool, facts: VolumeFacts, record: Option<&VolumeRecord>) -> VolumeSummary {
    let (backing, backing_format) =
        facts.backing.map_or((None, None), |backing| (Some(backing.name), backing.format));
    VolumeSummary {
        pool: pool.definition.name.clone(),
        name: facts.name,
        kind: facts.kind.to_string(),
        path: facts.path,
        format: record.map(|record| record.format.clone()),
        found_format: facts.found_format.map(|format| format.to_string()),
        capacity: facts.capacity,
        allocation: facts.allocation,
        physical: facts.physical,
        backing,
        backing_format,
        cluster_size: facts.cluster_size,
        compat: facts.compat.map(str::to_owned),
        encryption: facts.encryption.map(str::to_owned),
        secret: record.and_then(|record| record.secret.clone()),
        problem: facts.problem,
    }
}

/// Everything in a started pool, measured now.
pub(crate) fn listing(pool: &Pool) -> Result<Listing, Error> {
    pool.require_active()?;
    let listed = refresh(&pool.document, &programs(), &pool.reach);
    Ok(listed.map_err(|error| error.about("pool", pool.definition.name.as_str()))?)
}

impl Host {
    /// A volume of a started pool, measured now.
    ///
    /// # Errors
    /// [`Kind::NotFound`] with the nearest name; [`Kind::Conflict`] for a pool that is not started.
    pub(crate) fn volume(&self, pool: &Pool, name: &str) -> Result<VolumeFacts, Error> {
        pool.require_active()?;
        match find(&pool.document, name, &pool.reach) {
            Err(error) if error.code() == "volume.not-found" => Err(suggested(error, pool, name)),
            found => Ok(found?),
        }
    }

    /// The format that a volume is worked with as: what the user says, else what is recorded, else raw for what looks
    /// like nothing else. What an image claims to be decides nothing.
    ///
    /// # Errors
    /// [`Kind::Denied`] when none of them says it.
    pub(crate) fn declared_format(
        &self,
        pool: &Pool,
        facts: &VolumeFacts,
        said: Option<&str>,
        option: &str,
    ) -> Result<Format, Error> {
        let recorded = self.recorded(pool, facts)?.map(|record| record.format);
        if let Some(name) = said.or(recorded.as_deref()) {
            return Format::from_xml_name(name).ok_or_else(|| {
                let message = format!("there is no image format '{name}'");
                Error::new(Kind::Invalid, "volume.format-unknown", message).about("volume", &facts.name)
            });
        }
        match facts.found_format {
            None | Some(Format::Raw) => Ok(Format::Raw),
            Some(found) => {
                let name = &facts.name;
                let message = format!(
                    "the volume '{name}' was not made here, so its format is not known; it is never guessed"
                );
                Err(Error::new(Kind::Denied, "volume.format-undeclared", message).about("volume", name).hint(
                    format!("it looks like '{found}'; if you know that it is, say so with {option} {found}"),
                ))
            }
        }
    }

    /// Refuses what would need the passphrase of a volume, or would take its container for plain bytes.
    ///
    /// # Errors
    /// [`Kind::Unsupported`], where it is encrypted.
    pub(crate) fn require_unencrypted(
        &self,
        pool: &Pool,
        facts: &VolumeFacts,
        format: Format,
        what: &str,
    ) -> Result<(), Error> {
        let made_so = self.recorded(pool, facts)?.is_some_and(|record| record.secret.is_some());
        // Of a raw volume that was not made so, the bytes are its guest's, whatever they look like.
        if !made_so && (facts.encryption.is_none() || format == Format::Raw) {
            return Ok(());
        }
        let name = &facts.name;
        let message = format!("the volume '{name}' is encrypted, and this version does not {what}");
        Err(Error::new(Kind::Unsupported, "volume.encrypted", message).about("volume", name).hint(
            "make a new one with 'hostler vol create --secret', and copy from disk to disk inside a guest",
        ))
    }

    /// What the volumes that a document names are. One that has no place fails only who wants to open it.
    pub(crate) fn translations(&self, xml: &str) -> Result<Translations, Error> {
        let mut translations = Translations::default();
        // Nearly every document names none, and is not read for that.
        let Some(domain) = xml.contains("volume").then(|| Domain::parse(xml).ok()).flatten() else {
            return Ok(translations);
        };
        for reference in domain.devices.disks.iter().flat_map(|disk| references(&disk.source)) {
            let outcome = self.translated(&reference)?;
            translations.insert(reference, outcome);
        }
        Ok(translations)
    }

    fn translated(
        &self,
        reference: &VolumeReference,
    ) -> Result<Result<hostler_storage::Translated, StorageError>, Error> {
        let pool = match self.pool(&PoolRef::new(reference.pool.as_str())) {
            Ok(pool) => pool,
            Err(error) if error.kind == Kind::NotFound => return Ok(Err(no_pool(reference, &error))),
            Err(error) => return Err(error),
        };
        let facts = match pool.active {
            true => find(&pool.document, &reference.volume, &pool.reach),
            false => Err(not_asked()),
        };
        let known = match facts {
            Ok(facts) => {
                let record = self.recorded(&pool, &facts)?;
                Some(KnownVolume {
                    kind: facts.kind,
                    path: facts.path.display().to_string(),
                    secret: record.as_ref().and_then(|record| record.secret.as_ref()).map(named),
                    format: record.map(|record| record.format),
                    found_format: facts.found_format,
                })
            }
            Err(error) if error.kind == hostler_storage::ErrorKind::NotFound => None,
            Err(error) => return Ok(Err(error)),
        };
        Ok(translate(reference, pool.view(), known.as_ref()))
    }

    /// Refuses what would change a volume while a guest uses it, or anybody has it open. `change` is what would become of
    /// it, as a sentence begins: `it is wiped`.
    ///
    /// # Errors
    /// [`Kind::Conflict`], naming who uses it; [`Kind::Host`] when that cannot be found out.
    pub(crate) fn require_idle_volume(
        &self,
        pool: &Pool,
        facts: &VolumeFacts,
        change: &str,
    ) -> Result<(), Error> {
        let name = &facts.name;
        let uses = self.uses(pool, name, &facts.path)?;
        let running = uses.iter().filter(|one| one.running);
        require_unused(name, running, &format!("{change} only while no guest uses it"))?;
        require_unlocked(&facts.path, &format!("{change} only while nobody has it open"))
    }

    /// The disks of all domains that lead to a volume: by its name in the pool, by its path, or over an image that
    /// stands on it.
    pub(crate) fn uses(&self, pool: &Pool, name: &str, path: &Path) -> Result<Vec<VolumeUse>, Error> {
        self.uses_where(&|layer| names(layer, pool, name, path), path)
    }

    /// The disks of all domains that lead to an image: by its path, or over another image that stands on it.
    pub(crate) fn image_uses(&self, path: &Path) -> Result<Vec<VolumeUse>, Error> {
        self.uses_where(&|layer| names_file(layer, path), path)
    }

    fn uses_where(
        &self,
        is_named: &dyn Fn(&StorageSource) -> bool,
        path: &Path,
    ) -> Result<Vec<VolumeUse>, Error> {
        let roots = self.roots();
        let mut uses = Vec::new();
        for definition in self.definitions()? {
            let running = self.state().run_dir(definition.uuid).is_held()?;
            let mut documents = vec![(definition.xml.clone(), self.translations(&definition.xml)?, false)];
            if running {
                // What runs and what starts next can be two documents, and a run keeps the volumes it was started with.
                let volumes = self.current_volumes(&definition)?;
                documents.push((self.current_xml(&definition)?, volumes, true));
            }
            for (xml, volumes, runs) in documents {
                let domain = match Domain::parse(&xml) {
                    Ok(domain) => domain,
                    // What is off and cannot be read cannot be started either.
                    Err(_) if !runs => continue,
                    Err(error) => return Err(error.into()),
                };
                for disk in &domain.devices.disks {
                    let named = disk.source.layers().any(is_named);
                    let place = place_in(inspect_disk(disk, &roots, &volumes), path);
                    if !named && place.is_none() {
                        continue;
                    }
                    let top = is_named(&disk.source) || place == Some(0);
                    uses.push(VolumeUse {
                        domain: definition.name.clone(),
                        disk: disk.target.to_string(),
                        running: runs,
                        writes: top && !disk.readonly,
                    });
                }
            }
        }
        uses.sort_by(|a, b| (&a.domain, &a.disk, b.running).cmp(&(&b.domain, &b.disk, a.running)));
        uses.dedup_by(|later, kept| later.domain == kept.domain && later.disk == kept.disk);
        Ok(uses)
    }
}

/// A recorded name of a secret.
fn named(secret: &VolumeSecret) -> Secret {
    match secret {
        VolumeSecret::Uuid(uuid) => Secret::Uuid(uuid.clone()),
        VolumeSecret::Usage(usage) => Secret::Usage(usage.clone()),
    }
}

fn names(layer: &StorageSource, pool: &Pool, name: &str, path: &Path) -> bool {
    match &layer.location {
        Location::Volume { pool: named, volume, .. } => *named == pool.definition.name && volume == name,
        _ => names_file(layer, path),
    }
}

fn names_file(layer: &StorageSource, path: &Path) -> bool {
    match &layer.location {
        Location::File(file) | Location::Block(file) | Location::Dir(file) => {
            is_same_file(Path::new(file), path)
        }
        _ => false,
    }
}

/// Which layer of a chain an image is. A chain that cannot be resolved is none: it cannot be started either, and a guest
/// that runs with it holds the image's lock (see [`require_unlocked`]).
fn place_in(
    layers: Result<Vec<hostler_runtime::InspectedLayer>, hostler_runtime::RuntimeError>,
    path: &Path,
) -> Option<usize> {
    layers.ok()?.iter().position(|layer| {
        is_same_file(&layer.path, path)
            || layer.data_file.as_ref().is_some_and(|data| is_same_file(data, path))
    })
}

/// Refuses while any QEMU on this host has the image open, whoever started it: QEMU locks every image that it uses.
/// Asked of the kernel, for a volume can be reached by names that no document of this host has.
pub(crate) fn require_unlocked(path: &Path, why: &str) -> Result<(), Error> {
    let shown = path.display().to_string();
    let failed = |error: std::io::Error| {
        let message = format!("'{shown}' cannot be asked for its locks");
        Error::new(Kind::Host, "image.lock-unknown", message).about("image", &shown).caused_by(error)
    };
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty());
    let file = match opened {
        Ok(file) => file,
        // Nobody can have locked what is not a file, and the caller says what is wrong with it.
        Err(Errno::NOENT | Errno::ISDIR | Errno::LOOP | Errno::NXIO) => return Ok(()),
        Err(error) => return Err(failed(error.into())),
    };
    match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(Errno::AGAIN | Errno::ACCESS) => {
            let message = format!("the image '{shown}' is open in a hypervisor or another program; {why}");
            Err(Error::new(Kind::Conflict, "image.locked", message)
                .about("image", &shown)
                .hint_command("see who has it", format!("fuser -v {}", hostler_image::shell_quote(&shown))))
        }
        // A file system without locks.
        Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::INVAL) => Ok(()),
        Err(error) => Err(failed(error.into())),
    }
}

/// Volumes of the pool whose headers name this one, below them or as the place of their data.
pub(crate) fn standing_on(listing: &Listing, name: &str, path: &Path) -> Vec<String> {
    let below = |facts: &VolumeFacts| {
        let names = facts.backing.iter().map(|backing| &backing.name).chain(&facts.data_file);
        names.map(PathBuf::from).any(|named| is_same_file(&facts.path.with_file_name(named), path))
    };
    let others = listing.volumes.iter().filter(|facts| facts.name != name && below(facts));
    others.map(|facts| facts.name.clone()).collect()
}

/// Refuses what would change a volume under those who use it.
pub(crate) fn require_unused<'a>(
    name: &str,
    uses: impl IntoIterator<Item = &'a VolumeUse>,
    why: &str,
) -> Result<(), Error> {
    let mut uses = uses.into_iter().peekable();
    let Some(first) = uses.peek().copied() else { return Ok(()) };
    let shown: Vec<_> = uses
        .map(|one| {
            let state = if one.running { "which runs" } else { "which is off" };
            format!("disk {} of the domain '{}', {state}", one.disk, one.domain)
        })
        .collect();
    let message = format!("the volume '{name}' is in use by {}; {why}", shown.join(" and "));
    let error = Error::new(Kind::Conflict, "volume.in-use", message)
        .about("volume", name)
        .about("domain", &first.domain);
    Err(match first.running {
        true => error.hint_command("end the domain first", crate::error::command("shutdown", &first.domain)),
        false => error.hint("take the disk out of the domain's definition first, or undefine the domain"),
    })
}

/// Refuses what would take the ground from under other volumes.
pub(crate) fn require_nothing_above(name: &str, above: &[String]) -> Result<(), Error> {
    if above.is_empty() {
        return Ok(());
    }
    let shown: Vec<_> = above.iter().take(5).map(|name| format!("'{name}'")).collect();
    let message = format!("{} of this pool stands on the volume '{name}'", shown.join(", "));
    Err(Error::new(Kind::Conflict, "volume.has-overlays", message)
        .about("volume", name)
        .hint("delete what stands on it first, or flatten it with 'hostler vol clone'"))
}

fn suggested(error: StorageError, pool: &Pool, name: &str) -> Error {
    let names =
        refresh(&pool.document, &programs(), &pool.reach).map(|listing| listing.volumes).unwrap_or_default();
    let near = hostler_domain::nearest(name, names.iter().map(|facts| facts.name.as_str()));
    let hint = near.map(|near| format!("did you mean '{near}'?"));
    let error = Error::from(error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error.hint_command(
            "see which there are",
            format!("hostler vol list {}", hostler_image::shell_quote(&pool.definition.name)),
        ),
    }
}

fn no_pool(reference: &VolumeReference, error: &Error) -> StorageError {
    let converted = StorageError::new(
        hostler_storage::ErrorKind::NotFound,
        "pool.not-found",
        format!("no pool is called '{}', and a disk names its volume '{}'", reference.pool, reference.volume),
    )
    .about("pool", &reference.pool)
    .about("volume", &reference.volume);
    error.hints.iter().fold(converted, |converted, hint| match &hint.command {
        Some(command) => converted.hint_command(&hint.text, command),
        None => converted.hint(&hint.text),
    })
}

/// A pool that is not started is not looked into; the translation says why.
fn not_asked() -> StorageError {
    StorageError::new(hostler_storage::ErrorKind::NotFound, "pool.inactive", "the pool is not started")
}
