//! `image chain`: the chain of one image, resolved as a start would.

use std::path::Path;

use hostler_runtime::{Detail, User, inspect_image};

use crate::chain;
use crate::error::Error;
use crate::host::Host;
use crate::image_summary::ImageChain;
use crate::images::Area;
use crate::process;
use crate::user;

impl Host {
    /// Resolves the chain of an image from its headers, under the same rules as a start.
    ///
    /// The format of the image itself is read from its header unless `format` says otherwise: whoever asks
    /// here decides nothing for a guest. Everything below follows the rules of a start. `as_user` is a user of whom
    /// it is told what keeps it from opening each file.
    ///
    /// # Errors
    /// A path or a format that cannot be one; a user that does not exist. What the rules refuse is in the answer.
    pub async fn image_chain(
        &self,
        path: &Path,
        format: Option<&str>,
        as_user: Option<&str>,
    ) -> Result<ImageChain, Error> {
        let area = self.area();
        let (path, format, user) = (path.to_owned(), format.map(str::to_owned), as_user.map(str::to_owned));
        process::blocking(move || {
            let user = user.as_deref().map(user::find).transpose()?;
            of_image(&path, format.as_deref(), user.as_ref(), &area)
        })
        .await?
    }
}

/// The chain of one image by itself. Blocks on small reads.
pub(super) fn of_image(
    path: &Path,
    format: Option<&str>,
    user: Option<&User>,
    area: &Area,
) -> Result<ImageChain, Error> {
    let found = inspect_image(&area.full_path(path)?, format, Detail::Files, &area.roots)?;
    let layers = found.layers.iter().map(|layer| chain::image_layer(layer, user));
    Ok(ImageChain {
        layers: layers.collect::<Result<_, _>>()?,
        notes: found.notes,
        refusal: found.refusal.map(Error::from),
    })
}
