//! What a pool holds, measured now.

mod directory;
mod logical;

use hostler_domain::pool::{PoolType, StoragePool};

use crate::error::{ErrorKind, StorageError};
use crate::facts::VolumeFacts;
use crate::probe::probe;
use crate::programs::Programs;
use crate::reach::Reach;
use crate::root;
use crate::support;

pub use logical::{VolumeGroupFound, parse_logical_volumes, parse_volume_group, volume_groups};

/// What a pool holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Its volumes, by name.
    pub volumes: Vec<VolumeFacts>,
    /// Entries that are no volumes, with the reason.
    pub skipped: Vec<Skipped>,
    /// Room in it.
    pub space: Space,
}

/// An entry of the pool that is not listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its name, escaped.
    pub name: String,
    /// Why not.
    pub reason: String,
}

/// Room in a pool, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Of the whole file system or volume group.
    pub capacity: u64,
    /// Taken.
    pub allocation: u64,
    /// Free for whoever asks.
    pub available: u64,
}

/// Lists a pool. One volume that cannot be read never fails it.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a type that this version cannot use, or without its programs; what keeps the
/// pool itself from being read.
pub fn refresh(pool: &StoragePool, programs: &Programs, reach: &Reach) -> Result<Listing, StorageError> {
    support::require_supported(pool, reach)?;
    if pool.kind == PoolType::Logical {
        return logical::refresh(pool, programs);
    }
    directory::refresh(&support::open_pool(pool, reach)?)
}

/// One volume of a pool by its name, measured as a refresh would.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is none of that name; otherwise as [`refresh`].
pub fn find(pool: &StoragePool, name: &str, reach: &Reach) -> Result<VolumeFacts, StorageError> {
    support::require_supported(pool, reach)?;
    let name = root::checked(name)?;
    let name = name.as_str();
    let root = match support::open_pool(pool, reach) {
        // A group of which nothing is active has no directory.
        Err(error) if pool.kind == PoolType::Logical && error.kind == ErrorKind::NotFound => {
            return Err(absent(pool, name));
        }
        opened => opened?,
    };
    match probe(&root, name) {
        Ok(Some(facts)) => Ok(facts),
        Ok(None) => Err(absent(pool, name).hint("there is an entry of that name, and it is no volume")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(absent(pool, name)),
        Err(error) => {
            Err(StorageError::io("open the volume", root.path_of(name).display(), error)
                .about("volume", name))
        }
    }
}

fn absent(pool: &StoragePool, name: &str) -> StorageError {
    let message = format!("the pool '{}' has no volume '{name}'", pool.name);
    StorageError::new(ErrorKind::NotFound, "volume.not-found", message)
        .about("pool", pool.name.as_str())
        .about("volume", name)
}
