//! `pool undefine`: forgets a pool; its storage stays as it is.

use crate::error::Error;
use crate::host::Host;
use crate::pools::unreadable;
use crate::reference::PoolRef;
use crate::storage_summary::PoolSummary;

impl Host {
    /// Removes the definition of a pool, and what is recorded about its volumes. Nothing of its storage is touched. One
    /// whose document cannot be read can be removed too.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] when it is started.
    pub async fn pool_undefine(&self, wanted: &PoolRef) -> Result<PoolSummary, Error> {
        let definition = self.pool_definition(wanted)?;
        let summary = match self.opened_pool(definition.clone()) {
            Ok(pool) => {
                pool.require_inactive("it is undefined only while it is not")?;
                pool.summary()
            }
            Err(error) => unreadable(&definition, &error),
        };
        self.owner()?.remove_pool(definition.uuid)?;
        Ok(summary)
    }
}
