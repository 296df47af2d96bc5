//! Definitions of storage pools, whether they are started, and what is known about volumes that were made here.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Kind, StateError};
use crate::files::Keep;
use crate::layout::StateDir;
use crate::owner::Owner;

/// What the records of volumes begin with; the rest is a digest of the name, which may have any characters.
const VOLUME: &str = "volume-";
/// Digits of that digest.
const DIGEST_DIGITS: usize = 32;

/// What is known about a pool whether it is started or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolDefinition {
    /// Identifies the pool for ever.
    pub uuid: Uuid,
    /// The name users give it; unique among the pools, which the caller sees to.
    pub name: String,
    /// The pool XML.
    pub xml: String,
    /// Whether it is there when it is not started; `false` for a transient pool.
    pub persistent: bool,
    /// Whether the first owner after a boot of the machine starts it.
    pub autostart: bool,
    /// Grows with each change.
    pub generation: u64,
    /// When the pool was defined first, in milliseconds since 1970.
    pub created_unix_ms: u64,
    /// When this generation was written, in milliseconds since 1970.
    pub changed_unix_ms: u64,
}

/// Whether a pool is started. It says so for one boot of the machine: what a pool shows does not outlive that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolActivity {
    /// The boot, as the kernel identifies it.
    pub boot: String,
    /// Whether it is started; `false` when it was stopped.
    pub active: bool,
}

/// What is known about a volume that this host made, beyond what can be measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeRecord {
    /// Its name in the pool.
    pub name: String,
    /// Its format as it was declared, by its name in documents; a guest is given this one and never a guess.
    pub format: String,
    /// When it was made, in milliseconds since 1970.
    pub created_unix_ms: u64,
    /// The files that it may be, in the words of who looked at them: two while its content is being replaced. None in
    /// records of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// The directory that it was made in, in the same words; nothing in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The secret that it was encrypted with; nothing for one that is not. The value is in no record of a volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<VolumeSecret>,
}

/// How the secret of an encrypted volume is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeSecret {
    /// By its UUID.
    Uuid(String),
    /// By what it is used for.
    Usage(String),
}

impl StateDir {
    /// Every pool, sorted by name. A record that is damaged beyond recovery is left out and found in
    /// [`StateDir::damage`].
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::TooNew`].
    pub fn pools(&self) -> Result<Vec<PoolDefinition>, StateError> {
        let mut pools = Vec::new();
        for uuid in self.uuids_in("pools")? {
            match self.pool_by_uuid(uuid) {
                Err(error) if error.kind == Kind::Corrupt => {}
                found => pools.extend(found?),
            }
        }
        pools.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(pools)
    }

    /// One pool, or nothing.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when there is one that cannot be read, [`Kind::Io`] or [`Kind::TooNew`].
    pub fn pool_by_uuid(&self, uuid: Uuid) -> Result<Option<PoolDefinition>, StateError> {
        self.read_record(&self.pool_path(uuid), |pool: &PoolDefinition| pool.uuid == uuid)
    }

    /// Whether a pool was started or stopped, and in which boot, or nothing when it was neither. It is written without
    /// waiting for the disk, so a damaged one is one that a power cut took.
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::TooNew`].
    pub fn pool_activity(&self, pool: Uuid) -> Result<Option<PoolActivity>, StateError> {
        match self.read_record(&self.pool_dir(pool).join("activity"), |_| true) {
            Err(error) if error.kind == Kind::Corrupt => Ok(None),
            read => read,
        }
    }

    /// What is recorded about a volume, or nothing when it was not made here.
    ///
    /// # Errors
    /// [`Kind::Corrupt`], [`Kind::Io`] or [`Kind::TooNew`].
    pub fn volume(&self, pool: Uuid, name: &str) -> Result<Option<VolumeRecord>, StateError> {
        self.read_record(&self.volume_path(pool, name), |volume: &VolumeRecord| volume.name == name)
    }

    /// What is recorded about the volumes of a pool, in no order.
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::TooNew`].
    pub fn volumes(&self, pool: Uuid) -> Result<Vec<VolumeRecord>, StateError> {
        let directory = self.pool_dir(pool);
        let mut volumes = Vec::new();
        for name in self.names_in(&directory)? {
            let own = name.strip_prefix(VOLUME).is_some_and(|digest| digest.len() == DIGEST_DIGITS);
            if !own {
                continue;
            }
            match self.read_record(&directory.join(name), |_| true) {
                Err(error) if error.kind == Kind::Corrupt => {}
                found => volumes.extend(found?),
            }
        }
        Ok(volumes)
    }

    /// The directory of one pool's records.
    pub(crate) fn pool_dir(&self, pool: Uuid) -> PathBuf {
        self.root().join("pools").join(pool.to_string())
    }

    fn pool_path(&self, pool: Uuid) -> PathBuf {
        self.pool_dir(pool).join("definition")
    }

    fn volume_path(&self, pool: Uuid, name: &str) -> PathBuf {
        let digest = blake3::hash(name.as_bytes()).to_hex();
        let digest = digest.get(..DIGEST_DIGITS).unwrap_or(&digest);
        self.pool_dir(pool).join(format!("{VOLUME}{digest}"))
    }

    pub(crate) fn read_record<T: for<'a> Deserialize<'a>>(
        &self,
        path: &Path,
        is_own: impl FnOnce(&T) -> bool,
    ) -> Result<Option<T>, StateError> {
        let Some(payload) = self.files.load(path)? else { return Ok(None) };
        let read = serde_json::from_slice(&payload);
        match read {
            Ok(record) if is_own(&record) => return Ok(Some(record)),
            _ => self.files.set_aside(path, false)?,
        }
        let error =
            StateError::new(Kind::Corrupt, path, "record is intact but is not about what it is kept for")
                .hint("define it again, or restore the record from a backup");
        Err(match read {
            Err(source) => error.caused_by(source.into()),
            Ok(_) => error,
        })
    }
}

impl Owner {
    /// Stores a pool, new or changed; durable when this returns.
    ///
    /// # Errors
    /// [`Kind::TooLarge`], [`Kind::Full`], [`Kind::Io`] or [`Kind::ReadOnly`]: then the old definition stands.
    pub fn put_pool(&self, pool: &PoolDefinition) -> Result<(), StateError> {
        let path = self.pool_path(pool.uuid);
        let payload = encoded(&path, pool)?;
        self.files.ensure_directory(&self.pool_dir(pool.uuid))?;
        self.files.replace(&path, &payload, Keep::Previous)
    }

    /// Removes what is known about a pool and its volumes. The storage itself is not touched.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such pool; [`Kind::Io`] or [`Kind::ReadOnly`].
    pub fn remove_pool(&self, pool: Uuid) -> Result<(), StateError> {
        let directory = self.pool_dir(pool);
        self.remove_at_once(&directory, pool).map_err(|error| match error.kind {
            Kind::NotFound => no_such_pool(&directory),
            _ => error,
        })
    }

    /// Records whether a pool is started. A power cut may take that, for it ends the boot that it is about.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when the pool has no definition; [`Kind::Full`], [`Kind::Io`] or [`Kind::ReadOnly`].
    pub fn put_pool_activity(&self, pool: Uuid, activity: &PoolActivity) -> Result<(), StateError> {
        self.require_pool(pool)?;
        let path = self.pool_dir(pool).join("activity");
        self.files.replace_volatile(&path, &encoded(&path, activity)?)
    }

    /// Records what a volume is declared to be; durable when this returns.
    ///
    /// # Errors
    /// As [`Owner::put_pool_activity`].
    pub fn put_volume(&self, pool: Uuid, volume: &VolumeRecord) -> Result<(), StateError> {
        self.require_pool(pool)?;
        let path = self.volume_path(pool, &volume.name);
        self.files.replace(&path, &encoded(&path, volume)?, Keep::OnlyCurrent)
    }

    /// Forgets a volume; done already is done.
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::ReadOnly`].
    pub fn remove_volume(&self, pool: Uuid, name: &str) -> Result<(), StateError> {
        self.files.remove_all(&[self.volume_path(pool, name)])
    }

    fn require_pool(&self, pool: Uuid) -> Result<(), StateError> {
        match self.pool_by_uuid(pool)? {
            Some(_) => Ok(()),
            None => Err(no_such_pool(&self.pool_dir(pool))),
        }
    }
}

pub(crate) fn encoded(path: &Path, record: &impl Serialize) -> Result<Vec<u8>, StateError> {
    serde_json::to_vec(record)
        .map_err(|error| StateError::io(path, "encode the record", io::Error::from(error)))
}

fn no_such_pool(directory: &Path) -> StateError {
    StateError::new(Kind::NotFound, directory, "no such pool").hint("list the pools to see which there are")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn pool(name: &str) -> PoolDefinition {
        PoolDefinition {
            uuid: Uuid::new_v4(),
            name: name.to_owned(),
            xml: "<pool/>".to_owned(),
            persistent: true,
            autostart: false,
            generation: 1,
            created_unix_ms: 1,
            changed_unix_ms: 2,
        }
    }

    fn volume(name: &str) -> VolumeRecord {
        let (files, directory) = (vec!["1".to_owned()], Some("2".to_owned()));
        VolumeRecord {
            name: name.to_owned(),
            format: "qcow2".to_owned(),
            created_unix_ms: 1,
            files,
            directory,
            secret: Some(VolumeSecret::Usage("/v".to_owned())),
        }
    }

    fn owner(root: &Path) -> Owner {
        StateDir::open_owner(root, Duration::ZERO).unwrap()
    }

    #[test]
    fn pools_and_their_volumes_are_found_until_they_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let (state, a, b) = (owner(root.path()), pool("a"), pool("b"));
        state.put_pool(&b).unwrap();
        state.put_pool(&a).unwrap();
        let odd = volume("../odd name\u{fc}");
        state.put_volume(a.uuid, &odd).unwrap();
        state.put_volume(a.uuid, &volume("v")).unwrap();
        let reader = StateDir::open_reader(root.path()).unwrap();
        assert_eq!(reader.pools().unwrap(), [a.clone(), b.clone()]);
        assert_eq!(reader.volume(a.uuid, &odd.name).unwrap(), Some(odd));
        assert_eq!((reader.volumes(a.uuid).unwrap().len(), reader.volumes(b.uuid).unwrap().len()), (2, 0));
        state.remove_volume(a.uuid, "v").unwrap();
        state.remove_volume(a.uuid, "v").unwrap();
        assert_eq!(reader.volume(a.uuid, "v").unwrap(), None);
        state.remove_pool(a.uuid).unwrap();
        assert_eq!(state.remove_pool(a.uuid).unwrap_err().kind, Kind::NotFound);
        assert_eq!((reader.pools().unwrap(), reader.volumes(a.uuid).unwrap()), (vec![b], vec![]));
    }

    #[test]
    fn what_is_about_a_pool_needs_the_pool() {
        let root = tempfile::tempdir().unwrap();
        let (state, a) = (owner(root.path()), pool("a"));
        let activity = PoolActivity { boot: "x".to_owned(), active: true };
        assert_eq!(state.put_pool_activity(a.uuid, &activity).unwrap_err().kind, Kind::NotFound);
        assert_eq!(state.put_volume(a.uuid, &volume("v")).unwrap_err().kind, Kind::NotFound);
        state.put_pool(&a).unwrap();
        state.put_pool_activity(a.uuid, &activity).unwrap();
        assert_eq!(state.pool_activity(a.uuid).unwrap(), Some(activity));
    }

    #[test]
    fn records_of_earlier_versions_are_read() {
        let older = r#"{"name": "v", "format": "qcow2", "created_unix_ms": 1}"#;
        let record: VolumeRecord = serde_json::from_str(older).unwrap();
        assert_eq!(record, VolumeRecord { files: Vec::new(), directory: None, secret: None, ..volume("v") });
    }

    #[test]
    fn damaged_records_are_set_aside_and_the_others_are_found() {
        let root = tempfile::tempdir().unwrap();
        let (state, a, b) = (owner(root.path()), pool("a"), pool("b"));
        for pool in [&a, &b] {
            state.put_pool(pool).unwrap();
            state.put_volume(pool.uuid, &volume("v")).unwrap();
        }
        std::fs::copy(state.pool_path(a.uuid), state.pool_path(b.uuid)).unwrap();
        std::fs::write(state.volume_path(a.uuid, "v"), "torn").unwrap();
        std::fs::write(state.pool_dir(a.uuid).join("activity"), "torn").unwrap();
        assert_eq!(state.pool_activity(a.uuid).unwrap(), None);
        assert_eq!(state.pools().unwrap(), std::slice::from_ref(&a));
        assert!(state.volumes(a.uuid).unwrap().is_empty());
        assert_eq!(state.set_aside().unwrap().len(), 3);
    }
}
