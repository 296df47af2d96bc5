//! Tenants: what the operator recorded about each, and the state directory that each has to itself.
//!
//! The records lie in the operator's state directory. What a tenant does lies in another one, complete and with a lock
//! of its own, so that nothing of one tenant is named, listed or waited for in another's.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::error::{Kind, StateError};
use crate::files::{self, Keep};
use crate::layout::StateDir;
use crate::owner::{Owner, REMOVED, REMOVED_DEPTH};

/// Longest name of a tenant, in bytes. It is part of every path of the tenant, and paths of sockets are short.
pub const TENANT_NAME_MAX_BYTES: usize = 32;
/// Where the operator's records are.
pub(crate) const RECORDS: &str = "tenant-records";
/// Where the state directories of tenants are.
pub(crate) const TENANTS: &str = "tenants";

/// How far a tenant has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TenantPhase {
    /// It is there.
    #[default]
    Active,
    /// Its state is being removed: nobody acts for it any more, and the next owner finishes that.
    Removing,
}

/// What the operator recorded about one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRecord {
    /// Its name, see [`check_tenant_name`].
    pub name: String,
    /// How far it has come.
    #[serde(default)]
    pub phase: TenantPhase,
    /// Users who may act for it.
    #[serde(default)]
    pub uids: Vec<u32>,
    /// Groups whose members may act for it.
    #[serde(default)]
    pub gids: Vec<u32>,
    /// Directories beneath which everything lies that its documents and images name.
    #[serde(default)]
    pub storage_roots: Vec<PathBuf>,
    /// Drivers that it may use, by name; `*` is every one. None in the list: none at all.
    #[serde(default)]
    pub drivers: Vec<String>,
    /// Networks of the operator that its domains may be connected to, by name; `*` is every one.
    #[serde(default)]
    pub networks: Vec<String>,
    /// Bridges of the host that they may be connected to, by name.
    #[serde(default)]
    pub bridges: Vec<String>,
    /// What drivers may do on its behalf, as in a policy; everything that the policy allows when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<String>>,
    /// Limits that were set, by their names; nothing as a value is no limit. What is not in it has its default.
    #[serde(default)]
    pub limits: BTreeMap<String, Option<u64>>,
    /// Grows with each change.
    pub generation: u64,
    /// When it was made, in milliseconds since 1970.
    pub created_unix_ms: u64,
    /// When this generation was written, in milliseconds since 1970.
    pub changed_unix_ms: u64,
}

impl TenantRecord {
    /// Whether a user with these groups may act for it.
    #[must_use]
    pub fn admits(&self, uid: u32, gids: &[u32]) -> bool {
        self.uids.contains(&uid) || gids.iter().any(|gid| self.gids.contains(gid))
    }
}

/// Refuses what is no name of a tenant: 1 to 32 lower-case letters, digits and `-`, beginning with a letter. So it is
/// one component of a path and nothing else, on every file system.
///
/// # Errors
/// [`Kind::InvalidName`].
pub fn check_tenant_name(name: &str) -> Result<(), StateError> {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let first = name.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    if first && name.len() <= TENANT_NAME_MAX_BYTES && name.bytes().all(rest) {
        return Ok(());
    }
    let shown: String = name.chars().take(64).flat_map(char::escape_debug).collect();
    let why = format!("'{shown}' is no name for a tenant");
    Err(StateError::new(Kind::InvalidName, Path::new(TENANTS), why).hint(format!(
        "a name has 1 to {TENANT_NAME_MAX_BYTES} lower-case letters, digits and '-', and begins with a letter"
    )))
}

impl StateDir {
    /// Every tenant, sorted by name. A record that is damaged beyond recovery is left out and found in
    /// [`StateDir::damage`].
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::TooNew`].
    pub fn tenants(&self) -> Result<Vec<TenantRecord>, StateError> {
        let mut tenants = Vec::new();
        for name in self.names_in(&self.root().join(RECORDS))? {
            // A record whose newer generation was cut off is found by its older one alone.
            let name = name.strip_suffix(files::PREVIOUS).unwrap_or(&name);
            if check_tenant_name(name).is_err()
                || tenants.iter().any(|known: &TenantRecord| known.name == name)
            {
                continue;
            }
            match self.tenant(name) {
                Err(error) if error.kind == Kind::Corrupt => {}
                found => tenants.extend(found?),
            }
        }
        tenants.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(tenants)
    }

    /// One tenant, or nothing.
    ///
    /// # Errors
    /// [`Kind::InvalidName`]; [`Kind::Corrupt`] when there is one that cannot be read, [`Kind::Io`] or
    /// [`Kind::TooNew`].
    pub fn tenant(&self, name: &str) -> Result<Option<TenantRecord>, StateError> {
        check_tenant_name(name)?;
        let path = self.tenant_record_path(name);
        let Some(payload) = self.files.load(&path)? else { return Ok(None) };
        let read = serde_json::from_slice::<TenantRecord>(&payload);
        match read {
            Ok(record) if record.name == name => return Ok(Some(record)),
            _ => self.files.set_aside(&path, false)?,
        }
        let error =
            StateError::new(Kind::Corrupt, &path, "record is intact but is not about its tenant")
                .hint("make the tenant again with --adopt, which keeps what it has; or restore the record from a backup");
        Err(match read {
            Err(source) => error.caused_by(source.into()),
            Ok(_) => error,
        })
    }

    /// The state directory of a tenant, whether it exists or not: the tenant's first owner makes it.
    ///
    /// # Errors
    /// [`Kind::InvalidName`].
    pub fn tenant_dir(&self, name: &str) -> Result<PathBuf, StateError> {
        check_tenant_name(name)?;
        Ok(self.root().join(TENANTS).join(name))
    }

    /// Names under which there is a state directory of a tenant, recorded or not.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn tenant_dirs(&self) -> Result<Vec<String>, StateError> {
        let mut names = self.names_in(&self.root().join(TENANTS))?;
        names.retain(|name| check_tenant_name(name).is_ok());
        Ok(names)
    }

    fn tenant_record_path(&self, name: &str) -> PathBuf {
        self.root().join(RECORDS).join(name)
    }

    /// Removes what a stopped owner left of tenants that were removed.
    pub(crate) fn sweep_tenants(&self) -> Result<(), StateError> {
        let (records, tenants) = (self.root().join(RECORDS), self.root().join(TENANTS));
        self.sweep_temporaries(&records)?;
        for name in self.names_in(&tenants)? {
            if name.starts_with(REMOVED) {
                self.files.remove_tree(&tenants.join(name), REMOVED_DEPTH)?;
            }
        }
        for record in self.tenants()? {
            if record.phase == TenantPhase::Removing {
                self.finish_removal(&record.name)?;
            }
        }
        Ok(())
    }

    /// Takes the state of a tenant away at once, then its record. Done already is done.
    fn finish_removal(&self, name: &str) -> Result<(), StateError> {
        let directory = self.tenant_dir(name)?;
        let tenants = self.root().join(TENANTS);
        let removed = tenants.join(format!("{REMOVED}{name}-{}", clock::unix_ns()));
        match self.files.rename(&directory, &removed) {
            Ok(()) => self.files.sync_parent(&directory)?,
            Err(error) if error.kind == Kind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.files.remove(&self.tenant_record_path(name))?;
        // Nothing reads it any more; should this fail, the next owner sweeps it.
        if removed.exists() {
            self.files.remove_tree(&removed, REMOVED_DEPTH).ok();
        }
        Ok(())
    }
}

impl Owner {
    /// Stores a tenant, new or changed; durable when this returns.
    ///
    /// # Errors
    /// [`Kind::InvalidName`], [`Kind::TooLarge`], [`Kind::Full`], [`Kind::Io`] or [`Kind::ReadOnly`]: then the old
    /// record stands.
    pub fn put_tenant(&self, record: &TenantRecord) -> Result<(), StateError> {
        check_tenant_name(&record.name)?;
        let path = self.tenant_record_path(&record.name);
        let payload = serde_json::to_vec(record)
            .map_err(|error| StateError::io(&path, "encode the record", io::Error::from(error)))?;
        for name in [RECORDS, TENANTS] {
            self.files.ensure_directory(&self.root().join(name))?;
        }
        self.files.replace(&path, &payload, Keep::Previous)
    }

    /// Removes a tenant with the whole of its state directory. `held` is that directory, held: nobody is at work in it.
    /// Whatever lies elsewhere, as images do, stays.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Io`] or [`Kind::ReadOnly`]: then it is there as before, or the next owner finishes.
    pub fn remove_tenant(&self, name: &str, held: Owner) -> Result<(), StateError> {
        let Some(mut record) = self.tenant(name)? else {
            let path = self.tenant_record_path(name);
            return Err(StateError::new(Kind::NotFound, &path, "no such tenant").hint("list the tenants"));
        };
        record.phase = TenantPhase::Removing;
        record.generation += 1;
        self.put_tenant(&record)?;
        let done = self.finish_removal(name);
        // Who waits for its lock finds that the file is no longer the one of the directory.
        drop(held);
        done
    }
}

/// Whether a directory is the operator's own matter: nobody else reads or writes in it. For `doctor`.
///
/// # Errors
/// [`Kind::Io`] when it cannot be looked at.
pub fn is_private(directory: &Path) -> Result<bool, StateError> {
    use std::os::unix::fs::PermissionsExt as _;
    const OTHERS: u32 = 0o077;
    match fs::symlink_metadata(directory) {
        Ok(metadata) => Ok(metadata.is_dir() && metadata.permissions().mode() & OTHERS == 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(StateError::io(directory, "look at the directory", error)),
    }
}

#[cfg(test)]
mod tests;
