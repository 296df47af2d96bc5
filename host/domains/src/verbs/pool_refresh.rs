//! `pool refresh`: what a pool holds now; records of volumes that have gone are forgotten.

use hostler_storage::PoolRoot;

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
        let (listing, root) = process::blocking(move || {
            let listing = volumes::listing(&pool)?;
            // A volume group may have no directory, and none of its volumes a record.
            Ok::<_, Error>((listing, pool.root().ok()))
        })
        .await??;
        let here = root.as_ref().map(PoolRoot::identity).transpose()?.map(|identity| identity.to_string());
        let mut forgotten = Vec::new();
        for record in self.state().volumes(uuid)? {
            // Another directory, as where nothing is mounted, says nothing about what was made in this one.
            let is_here = here.is_some() && record.directory == here;
            if is_here && root.as_ref().is_some_and(|root| root.lacks(&record.name)) {
                owner.remove_volume(uuid, &record.name)?;
                forgotten.push(record.name);
            }
        }
        forgotten.sort_unstable();
        Ok(PoolRefreshed { summary, volumes: listing.volumes.len(), skipped: skipped(&listing), forgotten })
    }
}
