//! `driver keygen` and `driver sign`: for authors. They work on files alone, and need no state directory.

use std::path::{Path, PathBuf};

use hostler_package::key_file;
use serde::Serialize;

use crate::error::Error;

/// The answer to `driver keygen` and `driver sign`.
#[derive(Clone, Debug, Serialize)]
pub struct KeyUse {
    /// The public key, as a policy names it: `ed25519:…`.
    pub key: String,
    /// The file that was written: the private key, or the signatures.
    pub path: PathBuf,
}

/// Makes a key pair in a file that only its owner can read; the public key goes beside it, into `FILE.pub`.
///
/// # Errors
/// [`crate::Kind::Denied`] when the file is there already; [`crate::Kind::Host`].
pub fn generate_signing_key(file: &Path) -> Result<KeyUse, Error> {
    let key = key_file::generate(file)?;
    Ok(KeyUse { key: key.public().to_string(), path: file.to_owned() })
}

/// Signs a driver's component: adds the key's signature to the file beside it.
///
/// # Errors
/// [`crate::Kind::Denied`] when others may read the key; what is wrong with the component.
pub fn sign_driver(component: &Path, key: &Path) -> Result<KeyUse, Error> {
    let key = key_file::read(key)?;
    let path = key_file::sign(component, &key)?;
    Ok(KeyUse { key: key.public().to_string(), path })
}
