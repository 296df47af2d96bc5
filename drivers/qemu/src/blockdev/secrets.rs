//! Which layers need a password or a key.

use hostler_sdk::domain::storage_source::{Location, StorageSource};

/// The ids of the secrets of one layer: for its server, and for its content.
pub(crate) struct SecretIds {
    /// For its server.
    pub(crate) server: Option<String>,
    /// For its content.
    pub(crate) key: Option<String>,
}

/// The secrets that the source of the nodes with this number needs.
pub(crate) fn secret_source(source: Option<&StorageSource>, number: u32) -> SecretIds {
    // A volume's pool knows how to reach it; what the disk says about that does not count.
    let own = source.filter(|source| !matches!(source.location, Location::Volume { .. }));
    let auth = own.and_then(|source| source.auth.as_ref());
    let encryption = source
        .and_then(|source| source.encryption.as_ref())
        .filter(|encryption| !encryption.secrets.is_empty());
    SecretIds {
        server: auth.map(|_| format!("libvirt-{number}-storage-auth-secret0")),
        key: encryption.map(|_| format!("libvirt-{number}-format-encryption-secret0")),
    }
}
