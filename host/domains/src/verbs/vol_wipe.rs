//! Overwriting what a volume has held, so that nobody reads it any more.

use hostler_domain::volume::VolumeType;
use hostler_image::Format;
use hostler_state::VolumeRecord;
use hostler_storage::{WipePattern, wipe_volume};

use super::vol_create::require_writable;
use crate::drafts::Progress;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::process;
use crate::reference::PoolRef;
use crate::storage_summary::VolumeMoved;
use crate::volumes::{self, require_nothing_above, standing_on};

impl Host {
    /// Overwrites everything that a volume holds, an image's own tables with it: it is a raw volume of the same length afterwards,
    /// and recorded as one before the first byte goes.
    ///
    /// # Errors
    /// [`Kind::Conflict`] while a guest uses it or a volume stands on it; what writing says: then a part of it is gone.
    pub async fn vol_wipe(
        &self,
        wanted: &PoolRef,
        name: &str,
        pattern: WipePattern,
        mut progress: Progress,
    ) -> Result<VolumeMoved, Error> {
        let owner = self.owner()?;
        let pool = self.pool(wanted)?;
        let facts = self.volume(&pool, name)?;
        require_writable(&pool)?;
        self.require_idle_volume(&pool, &facts, "it is wiped")?;
        require_nothing_above(name, &standing_on(&volumes::listing(&pool)?, name, &facts.path))?;
        if !matches!(facts.kind, VolumeType::File | VolumeType::Block) {
            let message = format!(
                "the volume '{name}' is of type '{}', and only files and devices are wiped",
                facts.kind
            );
            return Err(Error::new(Kind::Unsupported, "volume.kind", message).about("volume", name));
        }
        let uuid = pool.definition.uuid;
        if let Some(record) = self.state().volume(uuid, name)? {
            owner.put_volume(
                uuid,
                &VolumeRecord { format: Format::Raw.to_string(), secret: None, ..record },
            )?;
        }
        let (pool_name, named) = (pool.definition.name.clone(), name.to_owned());
        let bytes = process::blocking(move || {
            Ok::<_, Error>(wipe_volume(&pool.root()?, &named, pattern, &mut progress)?)
        })
        .await??;
        if self.tenant().is_some() {
            self.recount(&facts.path, Format::Raw)?;
        }
        Ok(VolumeMoved { pool: pool_name, volume: name.to_owned(), bytes })
    }
}
