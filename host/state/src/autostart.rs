//! Which domains are started after a boot of the machine, and for which boot that was done.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Kind, StateError};
use crate::files::Keep;
use crate::layout::StateDir;
use crate::owner::Owner;

/// The record in a domain's directory: it is there, or the domain is not started by itself.
pub(crate) const WANTED: &str = "autostart";
/// The record of the directory.
const DONE: &str = "autostarted";

/// The boot for which it was done.
#[derive(Debug, Serialize, Deserialize)]
struct Done {
    boot: String,
}

impl StateDir {
    /// Whether the first owner after a boot starts this domain.
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::TooNew`].
    pub fn autostart(&self, domain: Uuid) -> Result<bool, StateError> {
        if let Some(known) = self.known_autostart(domain)? {
            return Ok(known);
        }
        match self.files.load(&self.domain_dir(domain).join(WANTED)) {
            // What is written there says nothing that its being there does not.
            Err(error) if error.kind == Kind::Corrupt => Ok(true),
            found => Ok(found?.is_some()),
        }
    }

    /// Whether what is to be started by itself was started for this boot.
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::TooNew`].
    pub fn is_autostarted(&self, boot: &str) -> Result<bool, StateError> {
        // It is written without waiting for the disk, so a damaged one is one that a power cut took.
        let payload = match self.files.load(&self.root().join(DONE)) {
            Err(error) if error.kind == Kind::Corrupt => None,
            found => found?,
        };
        let done = payload.and_then(|payload| serde_json::from_slice::<Done>(&payload).ok());
        Ok(done.is_some_and(|done| done.boot == boot))
    }
}

impl Owner {
    /// Sets whether the first owner after a boot starts this domain; durable when this returns.
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::Full`].
    pub fn set_autostart(&self, domain: Uuid, on: bool) -> Result<(), StateError> {
        let path = self.domain_dir(domain).join(WANTED);
        let written = match on {
            true => self.files.replace(&path, b"{}", Keep::OnlyCurrent),
            false => self.files.remove(&path),
        };
        self.index_again(domain);
        written
    }

    /// What is to be started by itself was started for this boot.
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::Full`].
    pub fn put_autostarted(&self, boot: &str) -> Result<(), StateError> {
        let path = self.root().join(DONE);
        let payload = serde_json::to_vec(&Done { boot: boot.to_owned() })
            .map_err(|error| StateError::io(&path, "encode the record", std::io::Error::from(error)))?;
        self.files.replace_volatile(&path, &payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_is_wanted_until_it_is_not_and_done_once_for_a_boot() {
        let root = tempfile::tempdir().unwrap();
        let owner = StateDir::open_owner(root.path(), Duration::ZERO).unwrap();
        let domain = Uuid::new_v4();
        std::fs::create_dir(owner.domain_dir(domain)).unwrap();
        assert!(!owner.autostart(domain).unwrap());
        owner.set_autostart(domain, true).unwrap();
        owner.set_autostart(domain, true).unwrap();
        assert!(owner.autostart(domain).unwrap());
        owner.set_autostart(domain, false).unwrap();
        owner.set_autostart(domain, false).unwrap();
        assert!(!owner.autostart(domain).unwrap());
        assert!(!owner.is_autostarted("a").unwrap());
        owner.put_autostarted("a").unwrap();
        assert!(owner.is_autostarted("a").unwrap() && !owner.is_autostarted("b").unwrap());
        std::fs::write(root.path().join(DONE), b"damaged").unwrap();
        assert!(!owner.is_autostarted("a").unwrap());
    }
}
