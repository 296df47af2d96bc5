//! `vol upload`: fills a volume from a stream.

use std::io::Read;
use std::sync::Arc;

use hostler_domain::volume::VolumeType;
use hostler_storage::{Incoming, Transfer, Window, upload, upload_part};

use super::vol_create::require_writable;
use crate::drafts::{self, Progress};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::process;
use crate::reference::PoolRef;
use crate::storage_summary::VolumeMoved;
use crate::usage::Metered;
use crate::volumes::{self, require_nothing_above, standing_on};

impl Host {
    /// Replaces the content of a volume by what is read, at once when all of it is there; or, with a window, overwrites
    /// that part in its place. `expected` is how many bytes will come, where that is known.
    ///
    /// # Errors
    /// [`Kind::Conflict`] while a guest uses it or a volume stands on it; [`Kind::Denied`] when what comes is no image
    /// of the declared format; what reading or writing says.
    pub async fn vol_upload(
        &self,
        wanted: &PoolRef,
        name: &str,
        from: Box<dyn Read + Send>,
        (window, expected): (Option<Window>, Option<u64>),
        mut progress: Progress,
    ) -> Result<VolumeMoved, Error> {
        let pool = self.pool(wanted)?;
        let facts = self.volume(&pool, name)?;
        require_writable(&pool)?;
        self.require_idle_volume(&pool, &facts, "its content changes")?;
        require_nothing_above(name, &standing_on(&volumes::listing(&pool)?, name, &facts.path))?;
        if facts.kind == VolumeType::Dir || facts.kind == VolumeType::Ploop {
            let message = format!("the volume '{name}' is a directory, which takes no stream");
            return Err(Error::new(Kind::Invalid, "volume.kind", message).about("volume", name));
        }
        // What is recorded decides; what lies there now is about to go.
        let record = self.state().volume(pool.definition.uuid, name)?;
        let format = record.map_or(Ok(hostler_image::Format::Raw), |record| {
            super::vol_create::known_format(name, &record.format)
        })?;
        let (owner, named, path) = (Arc::clone(self.owner()?), name.to_owned(), facts.path.clone());
        let most = self.room_for(&path)?;
        let incoming = Incoming { expected, most };
        let begin = window.map_or(0, |window| window.offset);
        let mut from = Metered { from, left: most.map(|most| most.saturating_sub(begin)) };
        let (pool_name, volume) = (pool.definition.name.clone(), name.to_owned());
        let moved: Result<Transfer, Error> = process::blocking(move || match window {
            Some(window) => Ok(upload_part(&pool.root()?, &named, window, &mut from, &mut progress)?),
            None if facts.kind == VolumeType::Block => {
                Ok(upload_part(&pool.root()?, &named, Window::default(), &mut from, &mut progress)?)
            }
            None => drafts::replace(&owner, &pool, &named, |draft| {
                Ok(upload(draft, &named, format, &mut from, incoming, &mut progress)?)
            }),
        })
        .await?;
        if most.is_some() {
            // Also after a failure, for what was overwritten in its place stays.
            self.recount(&path, format)?;
        }
        let moved = moved?;
        Ok(VolumeMoved { pool: pool_name, volume, bytes: moved.bytes })
    }
}
