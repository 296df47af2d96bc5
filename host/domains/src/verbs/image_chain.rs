//! `image chain`: the chain of one image, resolved as a start would.

use std::path::Path;

use hostler_runtime::Roots;

use crate::chain;
use crate::error::Error;
use crate::host::Host;
use crate::process;
use crate::summary::DiskChain;

impl Host {
    /// Resolves the chain of an image from its headers, under the same rules as a start.
    ///
    /// The format of the image itself is read from its header unless `format` says otherwise: whoever asks
    /// here decides nothing for a guest. Everything below follows the rules of a start.
    ///
    /// # Errors
    /// The layer, the reference, the rule and the remedy.
    pub async fn image_chain(&self, path: &Path, format: Option<&str>) -> Result<DiskChain, Error> {
        let roots = Roots::of_operator(self.config.image_roots.clone());
        let (path, format) = (path.to_owned(), format.map(str::to_owned));
        process::blocking(move || chain::of_image(&path, format.as_deref(), &roots)).await?
    }
}
