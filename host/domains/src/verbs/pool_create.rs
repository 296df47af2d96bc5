//! `pool create`: starts a pool that is there for as long as it is started.

use hostler_domain::pool::StoragePool;
use hostler_storage::{prepare_target, require_startable};

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::pools::programs;
use crate::storage_summary::PoolDefined;

impl Host {
    /// Stores and starts a pool; with `build`, its directory is made first. It is forgotten when it is stopped, unless
    /// it was defined before.
    ///
    /// # Errors
    /// As [`Host::pool_define`] and [`Host::pool_start`]; [`Kind::Conflict`] when it is started. Nothing of it is left then.
    pub async fn pool_create(&self, xml: &str, build: bool) -> Result<PoolDefined, Error> {
        // What cannot be started is not stored.
        let document = StoragePool::parse(xml)?;
        if let Some(older) = self.older_pool(&document)?.filter(|older| older.active) {
            let name = &older.definition.name;
            let message = format!("pool is already active as '{name}'");
            return Err(Error::new(Kind::Conflict, "pool.active", message).about("pool", name));
        }
        self.require_pool_within(&document)?;
        if build {
            prepare_target(&document, &self.reach())?;
        }
        require_startable(&document, &programs(), &self.reach())?;
        let mut defined = self.store_pool(xml, false)?;
        self.set_active(defined.summary.uuid, true)?;
        defined.summary.active = true;
        Ok(defined)
    }
}
