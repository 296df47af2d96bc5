//! `pool refresh`: what a pool holds now; records of volumes that have gone are forgotten.

use std::collections::BTreeSet;

use super::pool_show::skipped;
use crate::error::Error;
use crate::host::Host;
use crate::process;
use crate::reference::PoolRef;
use crate::storage_summary::PoolRefreshed;
use crate::volumes;

impl Host {
    /// Looks at every entry of a pool. Every other verb measures for itself, so this is for whoever wants to know, and
    /// for the records of volumes that somebody has removed by other means.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] when it is not started; what keeps the pool from being read.
    pub async fn pool_refresh(&self, wanted: &PoolRef) -> Result<PoolRefreshed, Error> {
        let pool = self.pool(wanted)?;
        let (owner, summary, uuid) = (self.owner()?, pool.summary(), pool.definition.uuid);
        let listing = process::blocking(move || volumes::listing(&pool)).await??;
        let there: BTreeSet<&str> = listing.volumes.iter().map(|facts| facts.name.as_str()).collect();
        let mut forgotten = Vec::new();
        for record in self.state().volumes(uuid)? {
            if !there.contains(record.name.as_str()) {
                owner.remove_volume(uuid, &record.name)?;
                forgotten.push(record.name);
            }
        }
        forgotten.sort_unstable();
        Ok(PoolRefreshed { summary, volumes: listing.volumes.len(), skipped: skipped(&listing), forgotten })
    }
}
