//! `vol resize`: gives a volume another size, in its place.

use hostler_storage::{Resize, ResizeRequest, resize_volume};

use super::vol_create::require_writable;
use crate::error::Error;
use crate::host::Host;
use crate::pools::programs;
use crate::process;
use crate::reference::PoolRef;
use crate::storage_summary::VolumeResized;
use crate::volumes::{self, require_nothing_above, standing_on};

/// How a volume is resized.
#[derive(Clone, Debug)]
pub struct ResizeOptions {
    /// The size that is wanted.
    pub size: Resize,
    /// Whether it may become smaller.
    pub shrink: bool,
    /// Whether room for what is added is set aside at once.
    pub allocate: bool,
    /// Its format, where it is not recorded.
    pub format: Option<String>,
}

impl Host {
    /// Resizes a volume that no running guest uses.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] while a guest uses it; [`crate::Kind::Invalid`] for a smaller size without leave; [`crate::Kind::Denied`]
    /// when nobody says what format it has.
    pub async fn vol_resize(
        &self,
        wanted: &PoolRef,
        name: &str,
        options: &ResizeOptions,
    ) -> Result<VolumeResized, Error> {
        self.owner()?;
        let pool = self.pool(wanted)?;
        let facts = self.volume(&pool, name)?;
        require_writable(&pool)?;
        let format = self.declared_format(&pool, &facts, options.format.as_deref(), "--format")?;
        self.require_unencrypted(&pool, &facts, format, "resize it")?;
        self.require_idle_volume(&pool, &facts, "its size changes")?;
        if options.shrink {
            // What stands on it would read zeros, or nothing, behind the new end.
            require_nothing_above(name, &standing_on(&volumes::listing(&pool)?, name, &facts.path))?;
        }
        let request =
            ResizeRequest { size: options.size, format, shrink: options.shrink, allocate: options.allocate };
        let charged = self.charge_resize(&facts.path, format, options.size)?;
        let (asked, named) = (pool.clone(), name.to_owned());
        let resized = process::blocking(move || {
            Ok::<_, Error>(resize_volume(&asked.root()?, &named, &request, &programs())?)
        })
        .await?;
        self.close(charged, resized.is_ok())?;
        let (before, _) = resized?;
        Ok(VolumeResized { summary: self.volume_summary(&pool, name)?, capacity_before: before })
    }
}
