//! `image create`: makes an image.

use std::path::PathBuf;

use hostler_storage::{BackingRequest, CreateRequest, Draft, Preallocation, create_volume};

use super::vol_create::known_format;
use crate::drafts::Progress;
use crate::error::Error;
use crate::host::Host;
use crate::image_summary::ImageWritten;
use crate::images::{Area, Place, declared_format};
use crate::pools::programs;
use crate::process;

/// What a new image is to be.
#[derive(Clone, Debug)]
pub struct NewImage {
    /// Where it goes; nothing may be there.
    pub path: PathBuf,
    /// Its format by its name in documents.
    pub format: String,
    /// Bytes that a guest sees; 0 for those of what it stands on.
    pub virtual_size: u64,
    /// How much is set aside at once.
    pub preallocation: Preallocation,
    /// Bytes of a cluster.
    pub cluster_size: Option<u64>,
    /// What it stands on, and the format of that.
    pub backing: Option<(PathBuf, Option<String>)>,
}

impl Host {
    /// Makes an image: whole and durable when this returns, or not there at all. What it is to stand on is resolved as a
    /// start would, and recorded by its plain name when it lies in the same directory.
    ///
    /// # Errors
    /// [`crate::Kind::Exists`]; [`crate::Kind::Invalid`] for what the format cannot be; what the rules for images say
    /// about what it is to stand on.
    pub async fn image_create(&self, new: &NewImage, mut progress: Progress) -> Result<ImageWritten, Error> {
        let area = self.area();
        let place = Place::of(&new.path, &area)?;
        place.require_free()?;
        let request = request(&place, new, &area)?;
        let charged = self.charge_new(&place.path, &request)?;
        let made = process::blocking(move || {
            let draft = Draft::nameless(&place.root)?;
            create_volume(&draft, &request, &programs(), &mut progress)?;
            draft.publish(&place.name)?;
            place.written(request.format)
        })
        .await?;
        self.close(charged, made.is_ok())?;
        made
    }
}

fn request(place: &Place, new: &NewImage, area: &Area) -> Result<CreateRequest, Error> {
    let format = known_format(&place.name, &new.format)?;
    let mut request = CreateRequest::new(&place.name, format, new.virtual_size)?;
    // Without a word about it nothing of a raw image is set aside.
    request.allocation = Some(0);
    (request.preallocation, request.cluster_size) = (new.preallocation, new.cluster_size);
    if let Some((path, said)) = &new.backing {
        let path = area.full_path(path)?;
        let format = declared_format(&path, said.as_deref(), "--backing-format", &area.roots)?;
        request.backing = Some(BackingRequest { path, format });
    }
    Ok(request)
}
