//! `image check`: whether a start would take an image, whether its tables are sound, and who is kept from it.

use std::path::Path;

use hostler_runtime::screen_image;

use super::image_chain::of_image;
use crate::error::Error;
use crate::host::Host;
use crate::image_summary::ImageCheck;
use crate::process;
use crate::user;

impl Host {
    /// Resolves the chain of an image as a start would, then looks behind the header of each layer: whether
    /// tables point into one another or out of the image, as far as the read budget reaches.
    ///
    /// # Errors
    /// As [`Host::image_chain`]. What is wrong with the image is in the answer.
    pub async fn image_check(
        &self,
        path: &Path,
        format: Option<&str>,
        as_user: Option<&str>,
    ) -> Result<ImageCheck, Error> {
        let area = self.area();
        let (path, format, user) = (path.to_owned(), format.map(str::to_owned), as_user.map(str::to_owned));
        process::blocking(move || {
            let user = user.as_deref().map(user::find).transpose()?;
            let chain = of_image(&path, format.as_deref(), user.as_ref(), &area)?;
            let screened = |layer: &crate::image_summary::ImageLayer| {
                screen_image(&layer.path, &layer.format, &area.roots).err().map(Error::from)
            };
            let tables = chain.layers.iter().map(screened).collect();
            Ok(ImageCheck { chain, tables })
        })
        .await?
    }
}
