//! Secrets that a document names: looked up by whoever keeps them, when a driver asks for one.

use std::fmt;

use hostler_domain::storage_source::SecretReference;
use hostler_storage::Passphrase;

/// Who keeps the secrets of a tenant.
pub trait Secrets: fmt::Debug + Send + Sync {
    /// The passphrase of a volume that a document names so.
    ///
    /// # Errors
    /// Why there is none.
    fn passphrase(&self, wanted: &SecretReference) -> Result<Passphrase, SecretRefused>;
}

/// Whose turn it is when there is no passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretRefusal {
    /// There is no such secret, or it has no value.
    Missing,
    /// It is not what a passphrase has to be.
    Unfit,
    /// The host cannot tell.
    Host,
}

/// Why there is no passphrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRefused {
    /// Whose turn it is.
    pub refusal: SecretRefusal,
    /// Its stable, dotted code.
    pub code: String,
    /// What was wanted and what was found.
    pub message: String,
    /// What to do next.
    pub hints: Vec<String>,
}

/// A host without secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSecrets;

impl Secrets for NoSecrets {
    fn passphrase(&self, _: &SecretReference) -> Result<Passphrase, SecretRefused> {
        let message = "nobody keeps secrets here".to_owned();
        let code = "secret.not-found".to_owned();
        Err(SecretRefused { refusal: SecretRefusal::Missing, code, message, hints: Vec::new() })
    }
}
