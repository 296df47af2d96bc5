//! `pool delete`: removes the directory of a pool, when it is empty.

use std::io;

use hostler_domain::pool::PoolType;

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::PoolRef;
use crate::storage_summary::PoolSummary;

impl Host {
    /// Removes the storage of a pool of type dir: its directory, which has to be empty. The definition stays.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it is started or not empty; [`Kind::Unsupported`] for other types.
    pub async fn pool_delete(&self, wanted: &PoolRef) -> Result<PoolSummary, Error> {
        self.owner()?;
        let pool = self.pool(wanted)?;
        pool.require_inactive("its storage is deleted only while it is not")?;
        let (name, target) = (&pool.definition.name, pool.target());
        if pool.document.kind != PoolType::Dir {
            let message = format!(
                "the storage of a pool of type '{}' is not deleted by this version",
                pool.document.kind
            );
            return Err(Error::new(Kind::Unsupported, "pool.delete-unsupported", message)
                .about("pool", name)
                .hint("unmount or remove it with the tools of the system"));
        }
        self.require_pool_within(&pool.document)?;
        hostler_storage::remove_directory(&target, &pool.reach).map_err(|error| {
            let (kind, code) = match error.kind() {
                io::ErrorKind::DirectoryNotEmpty => (Kind::Conflict, "pool.not-empty"),
                io::ErrorKind::NotFound => (Kind::NotFound, "storage.missing"),
                io::ErrorKind::PermissionDenied => (Kind::Denied, "storage.permission-denied"),
                _ => (Kind::Host, "storage.io"),
            };
            let message =
                format!("the directory '{}' of the pool '{name}' cannot be removed", target.display());
            let error = Error::new(kind, code, message).about("pool", name).caused_by(error);
            match kind {
                Kind::Conflict => {
                    error.hint("delete its volumes first: nothing is deleted that was not named")
                }
                _ => error,
            }
        })?;
        Ok(pool.summary())
    }
}
