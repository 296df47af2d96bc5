//! `hostler image rebase`: changes what an image stands on.

use std::path::PathBuf;

use clap::Args;
use hostler_domains::RebaseOptions;

use super::written;
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Change what an image stands on
///
/// A guest reads the same as before: what the new base has otherwise is copied into the image. With --record-only no
/// data moves and only the name is written: for a base that was moved or renamed.
#[derive(Debug, Args)]
pub(super) struct Rebase {
    /// The image
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Image that it stands on from now on
    #[arg(long, value_name = "IMAGE", required_unless_present = "no_backing", conflicts_with = "no_backing")]
    backing: Option<PathBuf>,
    /// Format of that image; not needed for what looks like no image format
    #[arg(long, value_name = "FORMAT", requires = "backing")]
    backing_format: Option<String>,
    /// Let it stand on nothing: all data is copied into it
    #[arg(long, conflicts_with = "record_only")]
    no_backing: bool,
    /// Write the name only; a guest reads something else when the new base has other content
    #[arg(long)]
    record_only: bool,
    /// Format of the image
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

impl Rebase {
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let file = self.file;
        let onto = self.backing.map(|path| (path, self.backing_format));
        let options = RebaseOptions { format: self.format, onto, record_only: self.record_only };
        let progress = session.output().progress("rebasing the image");
        let rebased = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.image_rebase(&file, &options, progress.teller()).await?)
        });
        drop(progress);
        written(&rebased.map_err(|stop| stop.about("image", file.display()))?, "rebased")
    }
}
