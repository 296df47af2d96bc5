//! `vol list`: the volumes of one pool.

use std::collections::BTreeMap;

use crate::declared::is_about;
use crate::error::Error;
use crate::host::Host;
use crate::process;
use crate::reference::PoolRef;
use crate::storage_summary::VolumeSummary;
use crate::volumes;

impl Host {
    /// The volumes of a started pool by name, measured now.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] when it is not started; what keeps the pool from being read.
    pub async fn vol_list(&self, wanted: &PoolRef) -> Result<Vec<VolumeSummary>, Error> {
        let pool = self.pool(wanted)?;
        let records = self.state().volumes(pool.definition.uuid)?;
        let records: BTreeMap<_, _> = records.iter().map(|record| (record.name.as_str(), record)).collect();
        let asked = pool.clone();
        let listing = process::blocking(move || volumes::listing(&asked)).await??;
        let all = listing.volumes.into_iter().map(|facts| {
            let record = records.get(facts.name.as_str()).copied().filter(|record| is_about(record, &facts));
            volumes::summary(&pool, facts, record)
        });
        Ok(all.collect())
    }
}
