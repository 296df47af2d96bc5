//! `pool show`: everything about one pool.

use hostler_storage::{Listing, Space};

use crate::error::Error;
use crate::host::Host;
use crate::process;
use crate::reference::PoolRef;
use crate::storage_summary::{PoolDetails, PoolSpace, SkippedEntry};
use crate::volumes;

impl Host {
    /// Everything about a pool; one that is started is measured now. What cannot be measured is told in place.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`].
    pub async fn pool_show(&self, wanted: &PoolRef) -> Result<PoolDetails, Error> {
        let pool = self.pool(wanted)?;
        let (summary, generation) = (pool.summary(), pool.definition.generation);
        let created_unix_ms = pool.definition.created_unix_ms;
        let unmodelled = pool.document.unmodelled().iter().map(ToString::to_string).collect();
        let measured = match pool.active {
            true => Some(process::blocking(move || volumes::listing(&pool)).await?),
            false => None,
        };
        let (listing, problem) = match measured {
            Some(Ok(listing)) => (Some(listing), None),
            Some(Err(error)) => (None, Some(error.to_string())),
            None => (None, None),
        };
        Ok(PoolDetails {
            summary,
            space: listing.as_ref().map(|listing| space(listing.space)),
            volumes: listing.as_ref().map(|listing| listing.volumes.len()),
            skipped: listing.as_ref().map(skipped).unwrap_or_default(),
            problem,
            generation,
            created_unix_ms,
            unmodelled,
        })
    }
}

fn space(space: Space) -> PoolSpace {
    PoolSpace { capacity: space.capacity, allocation: space.allocation, available: space.available }
}

pub(crate) fn skipped(listing: &Listing) -> Vec<SkippedEntry> {
    let all = listing.skipped.iter();
    all.map(|entry| SkippedEntry { name: entry.name.clone(), reason: entry.reason.clone() }).collect()
}
