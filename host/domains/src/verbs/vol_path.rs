//! `vol path`: where a volume is on this host.

use std::path::PathBuf;

use crate::error::Error;
use crate::host::Host;
use crate::reference::PoolRef;

impl Host {
    /// The path of a volume of a started pool.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`]; [`crate::Kind::Conflict`] when the pool is not started.
    pub async fn vol_path(&self, wanted: &PoolRef, name: &str) -> Result<PathBuf, Error> {
        Ok(self.volume(&self.pool(wanted)?, name)?.path)
    }
}
