//! Installed drivers: their components under their digests, what the operator said of them, what they have used.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock;
use crate::error::{Kind, StateError};
use crate::files::{self, Keep};
use crate::layout::StateDir;
use crate::owner::Owner;

/// Longest name of a driver, in bytes.
const NAME_MAX_BYTES: usize = 64;
/// How a digest begins; 64 hexadecimal digits follow, which name the file.
const DIGEST_START: &str = "sha256:";
/// Those digits.
const DIGEST_DIGITS: usize = 64;
/// The ending of a component's file.
const COMPONENT: &str = ".wasm";
/// What is added to that for its signatures.
const SIGNATURES: &str = ".sig";
/// Stands in the name of a directory that was removed; no driver's name has a dot.
const REMOVED: &str = ".removed-";
/// How many levels of directories a removed driver may have; ours have none.
const REMOVED_DEPTH: usize = 1;

/// What is known about the drivers of one name: those that are installed, and what the operator said.
///
/// A record without versions is about drivers that come from a driver directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverRecord {
    /// The name in their manifests.
    pub name: String,
    /// The digest of the one that is used; nothing when none is installed.
    pub active: Option<String>,
    /// Those that are stored, in the order in which they were installed.
    pub versions: Vec<InstalledVersion>,
    /// The only digest that may be loaded under this name.
    pub pin: Option<String>,
    /// Grants that the operator has given beyond the policy.
    pub allow: Vec<String>,
    /// Grants that the operator has withdrawn.
    pub deny: Vec<String>,
    /// Domain types that the operator has given to this driver although another takes them too.
    pub takes: Vec<String>,
    /// Grows with each change.
    pub generation: u64,
    /// When this generation was written, in milliseconds since 1970.
    pub changed_unix_ms: u64,
}

/// One installed build of a driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledVersion {
    /// Its digest: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// The version in its manifest.
    pub version: String,
    /// The contract it was built for.
    pub contract: String,
    /// Size of its component, in bytes.
    pub size: u64,
    /// The values of `domain/@type` that it takes.
    pub domain_types: Vec<String>,
    /// What it was installed from.
    pub source: String,
    /// When, in milliseconds since 1970.
    pub installed_unix_ms: u64,
}

/// Which grants the drivers of one name have used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverUsage {
    /// By the grant as a manifest writes it: when it was first used, in milliseconds since 1970.
    pub grants: BTreeMap<String, u64>,
}

impl DriverRecord {
    /// Nothing known yet.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let none = Vec::new;
        Self {
            name: name.to_owned(),
            active: None,
            versions: Vec::new(),
            pin: None,
            allow: none(),
            deny: none(),
            takes: none(),
            generation: 0,
            changed_unix_ms: 0,
        }
    }

    /// The build that is used.
    #[must_use]
    pub fn active_version(&self) -> Option<&InstalledVersion> {
        self.versions.iter().find(|version| Some(&version.digest) == self.active.as_ref())
    }
}

impl StateDir {
    /// Every record of drivers, sorted by name. One that is damaged beyond recovery is left out and found in
    /// [`StateDir::damage`].
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::TooNew`].
    pub fn drivers(&self) -> Result<Vec<DriverRecord>, StateError> {
        let mut drivers = Vec::new();
        for name in self.names_in(&self.drivers_dir())? {
            match self.driver(&name) {
                Err(error) if error.kind == Kind::Corrupt => {}
                found => drivers.extend(found?),
            }
        }
        Ok(drivers)
    }

    /// The record of one name, or nothing.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when there is one that cannot be read, [`Kind::Io`] or [`Kind::TooNew`].
    pub fn driver(&self, name: &str) -> Result<Option<DriverRecord>, StateError> {
        if !is_name(name) {
            return Ok(None);
        }
        let path = self.driver_dir(name).join("record");
        let Some(payload) = self.files.load(&path)? else { return Ok(None) };
        let read = serde_json::from_slice::<DriverRecord>(&payload);
        match read {
            Ok(record) if record.name == name => return Ok(Some(record)),
            _ => self.files.set_aside(&path, false)?,
        }
        let error = StateError::new(Kind::Corrupt, &path, "record is intact but is not about its driver")
            .hint("install the driver again, or restore the record from a backup");
        Err(match read {
            Err(source) => error.caused_by(source.into()),
            Ok(_) => error,
        })
    }

    /// Where an installed component is, whether it is there or not.
    ///
    /// # Errors
    /// [`Kind::InvalidName`] for what is no name or no digest: neither becomes a path by chance.
    pub fn driver_component(&self, name: &str, digest: &str) -> Result<PathBuf, StateError> {
        let directory = self.driver_dir(name);
        let digits = digest.strip_prefix(DIGEST_START).filter(|digits| is_hex(digits));
        match digits {
            Some(digits) if is_name(name) => Ok(directory.join(format!("{digits}{COMPONENT}"))),
            _ => Err(StateError::new(
                Kind::InvalidName,
                &self.drivers_dir(),
                format!("'{}' {} is no driver and digest", name.escape_debug(), digest.escape_debug()),
            )),
        }
    }

    /// What the drivers of one name have used; nothing when that is not known. It is written without waiting for the
    /// disk, so a damaged one is one that a power cut took.
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::TooNew`].
    pub fn driver_usage(&self, name: &str) -> Result<DriverUsage, StateError> {
        if !is_name(name) {
            return Ok(DriverUsage::default());
        }
        match self.files.load(&self.driver_dir(name).join("usage")) {
            Err(error) if error.kind == Kind::Corrupt => Ok(DriverUsage::default()),
            read => Ok(read?.and_then(|payload| serde_json::from_slice(&payload).ok()).unwrap_or_default()),
        }
    }

    pub(crate) fn drivers_dir(&self) -> PathBuf {
        self.root().join("drivers")
    }

    fn driver_dir(&self, name: &str) -> PathBuf {
        self.drivers_dir().join(name)
    }

    /// Removes what a stopped owner left: directories of removed drivers, and components that no record names.
    pub(crate) fn sweep_drivers(&self) -> Result<(), StateError> {
        let drivers = self.drivers_dir();
        for name in self.names_in(&drivers)? {
            if name.contains(REMOVED) {
                self.files.remove_tree(&drivers.join(name), REMOVED_DEPTH)?;
            } else if is_name(&name) {
                self.sweep_driver(&name)?;
            }
        }
        Ok(())
    }

    fn sweep_driver(&self, name: &str) -> Result<(), StateError> {
        let directory = self.driver_dir(name);
        self.sweep_temporaries(&directory)?;
        let named = match self.driver(name) {
            // What is damaged is left as it is, for whoever restores the record.
            Err(error) if error.kind == Kind::Corrupt => return Ok(()),
            record => self.named_files(name, record?)?,
        };
        let mut stay = 0;
        for file in self.names_in(&directory)? {
            let component = file.strip_suffix(SIGNATURES).unwrap_or(&file);
            if component.ends_with(COMPONENT) && !named.contains(component) {
                self.remove_swept(&directory.join(&file))?;
            } else {
                stay += 1;
            }
        }
        if stay > 0 {
            return Ok(());
        }
        let removed = self.files.disk().remove_directory(&directory);
        removed.map_err(|error| StateError::io(&directory, "remove the empty directory", error))
    }

    /// The files of components that the record names, or the generation before it.
    fn named_files(&self, name: &str, record: Option<DriverRecord>) -> Result<BTreeSet<String>, StateError> {
        let path = self.driver_dir(name).join("record");
        let previous = match self.files.load(&files::previous_of(&path)) {
            Err(error) if error.kind == Kind::Corrupt => None,
            previous => previous?.and_then(|payload| serde_json::from_slice::<DriverRecord>(&payload).ok()),
        };
        let digests = record.into_iter().chain(previous).flat_map(|record| record.versions);
        let file = |version: InstalledVersion| {
            Some(format!("{}{COMPONENT}", version.digest.strip_prefix(DIGEST_START)?))
        };
        Ok(digests.filter_map(file).collect())
    }

    fn remove_swept(&self, path: &Path) -> Result<(), StateError> {
        self.files
            .disk()
            .remove_file(path)
            .map_err(|error| StateError::io(path, "sweep the component", error))
    }
}

impl Owner {
    /// Stores a component and the signatures that came with it, before a record names it. Durable when this returns.
    ///
    /// # Errors
    /// [`Kind::InvalidName`], [`Kind::Full`], [`Kind::Io`] or [`Kind::ReadOnly`].
    pub fn put_driver_component(
        &self,
        name: &str,
        digest: &str,
        component: &[u8],
        signatures: Option<&[u8]>,
    ) -> Result<(), StateError> {
        let path = self.driver_component(name, digest)?;
        let beside = with_signatures(&path);
        self.files.ensure_directory(&self.driver_dir(name))?;
        match signatures {
            Some(signatures) => self.files.replace_plain(&beside, signatures)?,
            None => self.files.remove_all(&[beside])?,
        }
        self.files.replace_plain(&path, component)
    }

    /// Removes a component that no record names any more, with its signatures; done already is done.
    ///
    /// # Errors
    /// [`Kind::InvalidName`], [`Kind::Io`] or [`Kind::ReadOnly`].
    pub fn remove_driver_component(&self, name: &str, digest: &str) -> Result<(), StateError> {
        let path = self.driver_component(name, digest)?;
        self.files.remove_all(&[with_signatures(&path), path])
    }

    /// Stores a record, new or changed, as its next generation; durable when this returns.
    ///
    /// # Errors
    /// [`Kind::InvalidName`], [`Kind::TooLarge`], [`Kind::Full`], [`Kind::Io`] or [`Kind::ReadOnly`]: then the old one
    /// stands.
    pub fn put_driver(&self, record: &DriverRecord) -> Result<(), StateError> {
        check_name(&self.drivers_dir(), &record.name)?;
        let directory = self.driver_dir(&record.name);
        let (generation, changed_unix_ms) = (record.generation.saturating_add(1), clock::unix_ms());
        let next = DriverRecord { generation, changed_unix_ms, ..record.clone() };
        let path = directory.join("record");
        let payload = encoded(&path, &next)?;
        self.files.ensure_directory(&directory)?;
        self.files.replace(&path, &payload, Keep::Previous)
    }

    /// Forgets the drivers of one name, with their components and what they have used.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when nothing is known about it; [`Kind::Io`] or [`Kind::ReadOnly`].
    pub fn remove_driver(&self, name: &str) -> Result<(), StateError> {
        check_name(&self.drivers_dir(), name)?;
        let directory = self.driver_dir(name);
        let removed = self.drivers_dir().join(format!("{name}{REMOVED}{}", Uuid::new_v4()));
        // A rename takes everything in it at once. What it becomes is never read; the next owner sweeps it.
        self.files.rename(&directory, &removed)?;
        self.files.sync_parent(&directory)?;
        self.files.remove_tree(&removed, REMOVED_DEPTH).ok();
        Ok(())
    }

    /// Records what the drivers of one name have used. A power cut may take that.
    ///
    /// # Errors
    /// [`Kind::InvalidName`], [`Kind::Full`], [`Kind::Io`] or [`Kind::ReadOnly`].
    pub fn put_driver_usage(&self, name: &str, usage: &DriverUsage) -> Result<(), StateError> {
        check_name(&self.drivers_dir(), name)?;
        let directory = self.driver_dir(name);
        let path = directory.join("usage");
        self.files.ensure_directory(&directory)?;
        self.files.replace_volatile(&path, &encoded(&path, usage)?)
    }
}

fn with_signatures(component: &Path) -> PathBuf {
    let mut name = component.as_os_str().to_owned();
    name.push(SIGNATURES);
    name.into()
}

fn is_name(text: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.len() <= NAME_MAX_BYTES
        && text.bytes().all(rest)
}

fn is_hex(text: &str) -> bool {
    let lower_hex = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    text.len() == DIGEST_DIGITS && text.bytes().all(lower_hex)
}

fn check_name(directory: &Path, name: &str) -> Result<(), StateError> {
    if is_name(name) {
        return Ok(());
    }
    let detail = format!("'{}' is no name of a driver", name.escape_debug());
    Err(StateError::new(Kind::InvalidName, directory, detail)
        .hint("a name has 1 to 64 lower-case letters, digits and '-', and begins with a letter"))
}

fn encoded(path: &Path, record: &impl Serialize) -> Result<Vec<u8>, StateError> {
    serde_json::to_vec(record)
        .map_err(|error| StateError::io(path, "encode the record", io::Error::from(error)))
}

#[cfg(test)]
mod tests;
