//! `image resize`: gives an image another size, in its place.

use std::path::Path;

use hostler_storage::{Resize, ResizeRequest, resize_volume};

use crate::error::Error;
use crate::host::Host;
use crate::image_summary::ImageResized;
use crate::images::{Place, declared_format};
use crate::pools::programs;
use crate::process;
use crate::volumes::require_unlocked;

/// How an image is resized.
#[derive(Clone, Debug)]
pub struct ImageResizeOptions {
    /// The size that is wanted.
    pub size: Resize,
    /// Whether it may become smaller.
    pub shrink: bool,
    /// Whether room for what is added is set aside at once.
    pub allocate: bool,
    /// Its format.
    pub format: Option<String>,
}

impl Host {
    /// Resizes an image that no running guest uses.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] while a guest uses it; [`crate::Kind::Invalid`] for a smaller size without leave;
    /// [`crate::Kind::Denied`] when nobody says what format it has.
    pub async fn image_resize(
        &self,
        path: &Path,
        options: &ImageResizeOptions,
    ) -> Result<ImageResized, Error> {
        // As the owner, so that no guest starts with it in between.
        self.owner()?;
        let place = Place::of(path, &self.area())?;
        self.require_idle(&place.path, false, "its size changes only while no guest uses it")?;
        require_unlocked(&place.path, "its size changes only while nobody has it open")?;
        if options.shrink {
            place.require_nothing_above()?;
        }
        let format = declared_format(&place.path, options.format.as_deref(), "--format", &self.roots())?;
        let charged = self.charge_resize(&place.path, format, options.size)?;
        let ImageResizeOptions { size, shrink, allocate, .. } = *options;
        let request = ResizeRequest { size, format, shrink, allocate };
        let resized = process::blocking(move || {
            let (virtual_size_before, _) = resize_volume(&place.root, &place.name, &request, &programs())?;
            Ok(ImageResized { image: place.written(format)?, virtual_size_before })
        })
        .await?;
        self.close(charged, resized.is_ok())?;
        resized
    }
}
