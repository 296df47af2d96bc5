//! What is charged to a tenant for images that were made on its behalf.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Kind, StateError};
use crate::files::Keep;
use crate::layout::StateDir;
use crate::owner::Owner;

/// Where the records are.
pub(crate) const CHARGES: &str = "charges";
/// Digits of the digest that a record is called by, for paths may have any characters.
const DIGEST_DIGITS: usize = 32;

/// One image or volume, and what it counts for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Its path. It counts while there is something of that name.
    pub path: PathBuf,
    /// What a guest sees of it, in bytes.
    pub bytes: u64,
}

impl StateDir {
    /// Everything that is charged, in no order. A damaged record is left out and found in [`StateDir::damage`].
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::TooNew`].
    pub fn charges(&self) -> Result<Vec<Charge>, StateError> {
        let directory = self.root().join(CHARGES);
        let mut charges = Vec::new();
        for name in self.names_in(&directory)? {
            if name.len() != DIGEST_DIGITS {
                continue;
            }
            match self.charge_at(&directory.join(name)) {
                Err(error) if error.kind == Kind::Corrupt => {}
                found => charges.extend(found?),
            }
        }
        Ok(charges)
    }

    /// What is charged for one image, or nothing.
    ///
    /// # Errors
    /// [`Kind::Corrupt`], [`Kind::Io`] or [`Kind::TooNew`].
    pub fn charge(&self, image: &Path) -> Result<Option<Charge>, StateError> {
        Ok(self.charge_at(&self.charge_path(image))?.filter(|charge| charge.path == image))
    }

    fn charge_at(&self, path: &Path) -> Result<Option<Charge>, StateError> {
        let Some(payload) = self.files.load(path)? else { return Ok(None) };
        serde_json::from_slice(&payload).map(Some).or_else(|error| {
            self.files.set_aside(path, false)?;
            Err(StateError::new(Kind::Corrupt, path, "record is intact but is no charge")
                .hint("what was charged is no longer counted; make the image again, or leave it")
                .caused_by(error.into()))
        })
    }

    fn charge_path(&self, image: &Path) -> PathBuf {
        use std::os::unix::ffi::OsStrExt as _;
        let digest = blake3::hash(image.as_os_str().as_bytes()).to_hex();
        self.root().join(CHARGES).join(digest.get(..DIGEST_DIGITS).unwrap_or(&digest))
    }
}

impl Owner {
    /// Records what an image counts for; durable when this returns.
    ///
    /// # Errors
    /// [`Kind::Full`], [`Kind::Io`] or [`Kind::ReadOnly`]: then what was recorded before stands.
    pub fn put_charge(&self, charge: &Charge) -> Result<(), StateError> {
        let path = self.charge_path(&charge.path);
        let payload = serde_json::to_vec(charge)
            .map_err(|error| StateError::io(&path, "encode the record", io::Error::from(error)))?;
        self.files.ensure_directory(&self.root().join(CHARGES))?;
        self.files.replace(&path, &payload, Keep::OnlyCurrent)
    }

    /// Forgets what an image counts for; done already is done.
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::ReadOnly`].
    pub fn remove_charge(&self, image: &Path) -> Result<(), StateError> {
        self.files.remove_all(&[self.charge_path(image)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn charges_are_found_until_they_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let owner = StateDir::open_owner(root.path(), Duration::ZERO).unwrap();
        let charge = |path: &str, bytes| Charge { path: path.into(), bytes };
        owner.remove_charge(Path::new("/a")).unwrap();
        for one in [charge("/a", 1), charge("/b\u{fc} ,x", 2), charge("/a", 3)] {
            owner.put_charge(&one).unwrap();
        }
        let mut found = owner.charges().unwrap();
        found.sort_by_key(|charge| charge.bytes);
        assert_eq!(found, [charge("/b\u{fc} ,x", 2), charge("/a", 3)]);
        assert_eq!(owner.charge(Path::new("/a")).unwrap(), Some(charge("/a", 3)));
        owner.remove_charge(Path::new("/a")).unwrap();
        assert_eq!(owner.charge(Path::new("/a")).unwrap(), None);
        std::fs::write(owner.charge_path(Path::new("/a")), "torn").unwrap();
        assert_eq!(owner.charges().unwrap().len(), 1);
        assert_eq!(owner.set_aside().unwrap().len(), 1);
    }
}
