//! `vol download`: writes a volume to a stream.

use std::io::Write;

use hostler_storage::{Window, download};

use crate::drafts::Progress;
use crate::error::Error;
use crate::host::Host;
use crate::process;
use crate::reference::PoolRef;
use crate::storage_summary::VolumeMoved;
use crate::volumes::require_unused;

impl Host {
    /// Writes the bytes of a volume, or of part of it, as they are: of an image with a format, the image. Needs no owner.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`]; [`crate::Kind::Invalid`] for a part behind its end; what reading or writing says.
    pub async fn vol_download(
        &self,
        wanted: &PoolRef,
        name: &str,
        mut to: Box<dyn Write + Send>,
        window: Window,
        mut progress: Progress,
    ) -> Result<VolumeMoved, Error> {
        let pool = self.pool(wanted)?;
        let facts = self.volume(&pool, name)?;
        let writing = self.uses(&pool, name, &facts.path)?;
        require_unused(
            name,
            writing.iter().filter(|one| one.running && one.writes),
            "a copy of what is being written to is no copy of anything",
        )?;
        let (pool_name, volume) = (pool.definition.name.clone(), name.to_owned());
        let named = name.to_owned();
        let moved = process::blocking(move || {
            Ok::<_, Error>(download(&pool.root()?, &named, window, &mut to, &mut progress)?)
        })
        .await??;
        Ok(VolumeMoved { pool: pool_name, volume, bytes: moved.bytes })
    }
}
