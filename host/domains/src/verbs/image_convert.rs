//! `image convert`: copies an image with everything below it, in another format if wanted.

use std::path::Path;

use hostler_domain::permissions::Permissions;
use hostler_storage::{Copied, Draft, copy_image};

use super::vol_create::known_format;
use crate::drafts::Progress;
use crate::error::Error;
use crate::host::Host;
use crate::image_summary::ImageWritten;
use crate::images::{Place, declared_format};
use crate::pools::programs;
use crate::process;

/// How an image is copied.
#[derive(Clone, Debug, Default)]
pub struct ConvertOptions {
    /// Format of the source.
    pub source_format: Option<String>,
    /// Format of the copy; that of the source when not given.
    pub format: Option<String>,
    /// Whether the clusters of the copy are compressed.
    pub compressed: bool,
}

impl Host {
    /// Copies what a guest would read of an image: whole and durable when this returns, or not there at all. The copy
    /// stands on nothing.
    ///
    /// # Errors
    /// [`crate::Kind::Exists`]; [`crate::Kind::Conflict`] while a guest writes to the source; [`crate::Kind::Denied`]
    /// when nobody says what format the source has; what the rules for images refuse about it.
    pub async fn image_convert(
        &self,
        (source, target): (&Path, &Path),
        options: &ConvertOptions,
        mut progress: Progress,
    ) -> Result<ImageWritten, Error> {
        let area = self.area();
        let source = area.full_path(source)?;
        self.require_idle(&source, true, "a copy of what is being written to is no copy of anything")?;
        let place = Place::of(target, &area)?;
        place.require_free()?;
        let from =
            declared_format(&source, options.source_format.as_deref(), "--source-format", &area.roots)?;
        let charged = self.charge_copy(&place.path, (&source, from))?;
        let options = options.clone();
        let copied = process::blocking(move || {
            let to = options.format.as_deref().map(|name| known_format(&place.name, name)).transpose()?;
            let format = to.unwrap_or(from);
            let draft = Draft::nameless(&place.root)?;
            let copy = Copied { format, compat: None, compressed: options.compressed };
            copy_image(&draft, (&source, from), &copy, &programs(), &mut progress)?;
            draft.give(&Permissions::default())?;
            draft.finish()?;
            draft.publish(&place.name)?;
            place.written(format)
        })
        .await?;
        self.close(charged, copied.is_ok())?;
        copied
    }
}
