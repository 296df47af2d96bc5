//! Secrets: what they are for, and apart from that what they are.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::{Kind, StateError};
use crate::files::Keep;
use crate::layout::StateDir;
use crate::owner::Owner;
use crate::pool::encoded;

/// Where secrets are.
pub(crate) const DIRECTORY: &str = "secrets";
/// Largest value, in bytes: what clients can send.
pub const SECRET_MAX_BYTES: usize = 65_536;

/// What is known about a secret, its value excepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretDefinition {
    /// Identifies the secret for ever.
    pub uuid: Uuid,
    /// The secret XML.
    pub xml: String,
    /// Grows with each change.
    pub generation: u64,
    /// When the secret was defined first, in milliseconds since 1970.
    pub created_unix_ms: u64,
    /// When this generation was written, in milliseconds since 1970.
    pub changed_unix_ms: u64,
}

impl StateDir {
    /// Every secret, by identifier. A record that is damaged beyond recovery is left out and found in
    /// [`StateDir::damage`].
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::TooNew`].
    pub fn secrets(&self) -> Result<Vec<SecretDefinition>, StateError> {
        let mut secrets = Vec::new();
        for uuid in self.uuids_in(DIRECTORY)? {
            match self.secret_by_uuid(uuid) {
                Err(error) if error.kind == Kind::Corrupt => {}
                found => secrets.extend(found?),
            }
        }
        secrets.sort_by_key(|secret| secret.uuid);
        Ok(secrets)
    }

    /// One secret, or nothing.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when there is one that cannot be read, [`Kind::Io`] or [`Kind::TooNew`].
    pub fn secret_by_uuid(&self, uuid: Uuid) -> Result<Option<SecretDefinition>, StateError> {
        let path = self.secret_dir(uuid).join("definition");
        self.read_record(&path, |secret: &SecretDefinition| secret.uuid == uuid)
    }

    /// The value of a secret; nothing when it has none.
    ///
    /// # Errors
    /// [`Kind::Corrupt`], [`Kind::Io`] or [`Kind::TooNew`].
    pub fn secret_value(&self, uuid: Uuid) -> Result<Option<Zeroizing<Vec<u8>>>, StateError> {
        Ok(self.files.load(&self.secret_value_path(uuid))?.map(Zeroizing::new))
    }

    /// Whether a secret has a value.
    #[must_use]
    pub fn has_secret_value(&self, uuid: Uuid) -> bool {
        self.secret_value_path(uuid).is_file()
    }

    pub(crate) fn secret_dir(&self, uuid: Uuid) -> PathBuf {
        self.root().join(DIRECTORY).join(uuid.to_string())
    }

    fn secret_value_path(&self, uuid: Uuid) -> PathBuf {
        self.secret_dir(uuid).join("value")
    }
}

impl Owner {
    /// Stores a secret, new or changed; durable when this returns.
    ///
    /// # Errors
    /// [`Kind::TooLarge`], [`Kind::Full`], [`Kind::Io`] or [`Kind::ReadOnly`]: then the old definition stands.
    pub fn put_secret(&self, secret: &SecretDefinition) -> Result<(), StateError> {
        let directory = self.secret_dir(secret.uuid);
        let path = directory.join("definition");
        let payload = encoded(&path, secret)?;
        self.files.ensure_directory(&directory)?;
        self.files.replace(&path, &payload, Keep::Previous)
    }

    /// Gives a secret its value, in a file of its own that only the owner may read (0600); durable when this returns. The one
    /// that it had is not kept.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such secret; as [`Owner::put_secret`].
    pub fn put_secret_value(&self, uuid: Uuid, value: &[u8]) -> Result<(), StateError> {
        if self.secret_by_uuid(uuid)?.is_none() {
            return Err(no_such_secret(&self.secret_dir(uuid)));
        }
        self.files.replace(&self.secret_value_path(uuid), value, Keep::OnlyCurrent)
    }

    /// Removes a secret with its value.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such secret; [`Kind::Io`] or [`Kind::ReadOnly`].
    pub fn remove_secret(&self, uuid: Uuid) -> Result<(), StateError> {
        let directory = self.secret_dir(uuid);
        self.remove_at_once(&directory, uuid).map_err(|error| match error.kind {
            Kind::NotFound => no_such_secret(&directory),
            _ => error,
        })
    }
}

fn no_such_secret(directory: &std::path::Path) -> StateError {
    StateError::new(Kind::NotFound, directory, "no such secret")
        .hint("list the secrets to see which there are")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    fn secret() -> SecretDefinition {
        SecretDefinition {
            uuid: Uuid::new_v4(),
            xml: "<secret/>".to_owned(),
            generation: 1,
            created_unix_ms: 1,
            changed_unix_ms: 2,
        }
    }

    #[test]
    fn secrets_and_their_values_are_found_until_they_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let state = StateDir::open_owner(root.path(), Duration::ZERO).unwrap();
        let one = secret();
        assert_eq!(state.put_secret_value(one.uuid, b"x").unwrap_err().kind, Kind::NotFound);
        state.put_secret(&one).unwrap();
        let reader = StateDir::open_reader(root.path()).unwrap();
        assert_eq!(reader.secrets().unwrap(), std::slice::from_ref(&one));
        assert!(reader.secret_value(one.uuid).unwrap().is_none() && !reader.has_secret_value(one.uuid));
        for value in [b"first\0value".as_slice(), b"", b"second"] {
            state.put_secret_value(one.uuid, value).unwrap();
            assert_eq!(reader.secret_value(one.uuid).unwrap().unwrap().as_slice(), value);
        }
        // No other file has it, and nobody else may read that one.
        let mode = std::fs::metadata(state.secret_value_path(one.uuid)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let names = state.names_in(&state.secret_dir(one.uuid)).unwrap();
        assert_eq!(names.len(), 2, "{names:?}");
        state.remove_secret(one.uuid).unwrap();
        assert_eq!(state.remove_secret(one.uuid).unwrap_err().kind, Kind::NotFound);
        assert!(reader.secrets().unwrap().is_empty() && !reader.has_secret_value(one.uuid));
    }
}
