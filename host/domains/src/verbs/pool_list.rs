//! `pool list`: the pools of this host.

use crate::error::Error;
use crate::host::Host;
use crate::pools::unreadable;
use crate::storage_summary::PoolSummary;

impl Host {
    /// Every pool, sorted by name. One whose document cannot be read is in the list, with the reason.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when the state directory cannot be read.
    pub async fn pool_list(&self) -> Result<Vec<PoolSummary>, Error> {
        let definitions = self.state().pools()?.into_iter();
        let one = |definition: hostler_state::PoolDefinition| match self.opened_pool(definition.clone()) {
            Ok(pool) => pool.summary(),
            Err(error) => unreadable(&definition, &error),
        };
        Ok(definitions.map(one).collect())
    }
}
