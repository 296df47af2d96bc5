//! `image rebase`: changes what an image stands on.

use std::path::{Path, PathBuf};

use hostler_storage::{BackingRequest, RebaseRequest, rebase_image};

use crate::drafts::Progress;
use crate::error::Error;
use crate::host::Host;
use crate::image_summary::ImageWritten;
use crate::images::{Place, declared_format};
use crate::pools::programs;
use crate::process;

/// How an image gets to stand on something else.
#[derive(Clone, Debug, Default)]
pub struct RebaseOptions {
    /// Format of the image.
    pub format: Option<String>,
    /// What it stands on from now on, and the format of that; nothing when not given.
    pub onto: Option<(PathBuf, Option<String>)>,
    /// Whether only the record is changed, and no data.
    pub record_only: bool,
}

impl Host {
    /// Changes what an image stands on, while no running guest uses it.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] while a guest uses it; [`crate::Kind::Denied`] when nobody says what format it has, and
    /// where others could change names while data is copied; what the rules for images refuse.
    pub async fn image_rebase(
        &self,
        path: &Path,
        options: &RebaseOptions,
        mut progress: Progress,
    ) -> Result<ImageWritten, Error> {
        // As the owner, so that no guest starts with it in between.
        self.owner()?;
        let area = self.area();
        let place = Place::of(path, &area)?;
        self.require_idle(&place.path, false, "what it stands on changes only while no guest uses it")?;
        let options = options.clone();
        process::blocking(move || {
            let format = declared_format(&place.path, options.format.as_deref(), "--format", &area.roots)?;
            let onto = match &options.onto {
                None => None,
                Some((path, said)) => {
                    let path = area.full_path(path)?;
                    let format = declared_format(&path, said.as_deref(), "--backing-format", &area.roots)?;
                    Some(BackingRequest { path, format })
                }
            };
            let request = RebaseRequest { format, onto, record_only: options.record_only };
            rebase_image(&place.root, &place.name, &request, &programs(), &mut progress)?;
            place.written(format)
        })
        .await?
    }
}
