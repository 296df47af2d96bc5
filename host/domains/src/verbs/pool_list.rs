//! `pool list`: the pools of this host.

use crate::error::Error;
use crate::host::Host;
use crate::pools::Pool;
use crate::storage_summary::PoolSummary;

impl Host {
    /// Every pool, sorted by name.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when the state directory cannot be read.
    pub async fn pool_list(&self) -> Result<Vec<PoolSummary>, Error> {
        Ok(self.pools()?.iter().map(Pool::summary).collect())
    }
}
