//! `pool undefine`: forgets a pool; its storage stays as it is.

use crate::error::Error;
use crate::host::Host;
use crate::reference::PoolRef;
use crate::storage_summary::PoolSummary;

impl Host {
    /// Removes the definition of a pool, and what is recorded about its volumes. Nothing of its storage is touched.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] when it is started.
    pub async fn pool_undefine(&self, wanted: &PoolRef) -> Result<PoolSummary, Error> {
        let pool = self.pool(wanted)?;
        pool.require_inactive("it is undefined only while it is not")?;
        self.owner()?.remove_pool(pool.definition.uuid)?;
        Ok(pool.summary())
    }
}
