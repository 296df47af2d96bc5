//! `vol delete`: removes a volume that nobody uses.

use hostler_storage::delete_volume;

use crate::drafts::payload;
use crate::error::Error;
use crate::host::Host;
use crate::recovery::verb;
use crate::reference::PoolRef;
use crate::storage_summary::VolumeSummary;
use crate::volumes::{self, require_nothing_above, require_unlocked, require_unused, standing_on};

impl Host {
    /// Removes a volume and what is recorded about it, journalled.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`]; [`crate::Kind::Conflict`] while a domain names it, running or not, or a volume stands on
    /// it.
    pub async fn vol_delete(&self, wanted: &PoolRef, name: &str) -> Result<VolumeSummary, Error> {
        let owner = self.owner()?;
        let pool = self.pool(wanted)?;
        let summary = self.volume_summary(&pool, name)?;
        require_unused(name, &self.uses(&pool, name, &summary.path)?, "deleting it would take a disk away")?;
        require_unlocked(&summary.path, "deleting it would take a disk away")?;
        require_nothing_above(name, &standing_on(&volumes::listing(&pool)?, name, &summary.path))?;
        let root = pool.root()?;
        let uuid = pool.definition.uuid;
        let intent = owner.journal().begin(verb::VOL_DELETE, uuid, "begun", payload(&root, name)?)?;
        let deleted = delete_volume(&root, name);
        if deleted.is_ok() {
            owner.remove_volume(uuid, name)?;
            self.discharge(&summary.path)?;
        }
        // A file that is gone though removing it failed may be back after a power cut: the next owner looks again.
        if deleted.is_ok() || !root.lacks(name) {
            owner.journal().finish(&intent)?;
        }
        Ok(deleted.map(|()| summary)?)
    }
}
