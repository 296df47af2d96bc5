//! `vol show`: everything about one volume.

use crate::error::Error;
use crate::host::Host;
use crate::pools::Pool;
use crate::reference::PoolRef;
use crate::storage_summary::{VolumeDetails, VolumeSummary};
use crate::volumes::{self, standing_on};

impl Host {
    /// A volume as it is now, with the disks that lead to it and the volumes that stand on it.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`]; [`crate::Kind::Conflict`] when the pool is not started.
    pub async fn vol_show(&self, wanted: &PoolRef, name: &str) -> Result<VolumeDetails, Error> {
        let pool = self.pool(wanted)?;
        let summary = self.volume_summary(&pool, name)?;
        let used_by = self.uses(&pool, name, &summary.path)?;
        let stood_on_by = standing_on(&volumes::listing(&pool)?, name, &summary.path);
        Ok(VolumeDetails { summary, used_by, stood_on_by })
    }

    /// The line about one volume, measured now.
    pub(crate) fn volume_summary(&self, pool: &Pool, name: &str) -> Result<VolumeSummary, Error> {
        let facts = self.volume(pool, name)?;
        let record = self.recorded(pool, &facts)?;
        Ok(volumes::summary(pool, facts, record.as_ref()))
    }
}
