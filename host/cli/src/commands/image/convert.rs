//! `hostler image convert`: copies an image with everything below it.

use std::path::PathBuf;

use clap::Args;
use hostler_domains::ConvertOptions;

use super::written;
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Copy an image with everything below it, in another format if wanted
///
/// The copy stands on nothing. It is whole when the command ends, or not there at all; nothing is ever replaced.
#[derive(Debug, Args)]
pub(super) struct Convert {
    /// The image that is copied
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// The copy
    #[arg(value_name = "TARGET")]
    target: PathBuf,
    /// Format of the source; not needed for what looks like no image format
    #[arg(long, value_name = "FORMAT")]
    source_format: Option<String>,
    /// Format of the copy; that of the source if not given
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Compress the copy; for qcow2 and vmdk
    #[arg(long)]
    compress: bool,
}

impl Convert {
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let Self { source, target, source_format, format, compress } = self;
        let options = ConvertOptions { source_format, format, compressed: compress };
        let progress = session.output().progress("copying the image");
        let copied = session.block_on(async {
            let host = session.image_maker().await?;
            Ok(host.image_convert((&source, &target), &options, progress.teller()).await?)
        });
        drop(progress);
        written(&copied.map_err(|stop| stop.about("image", source.display()))?, "made")
    }
}
