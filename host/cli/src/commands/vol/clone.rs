//! `hostler vol clone`: copies a volume.

use clap::Args;
use hostler_domains::CloneOptions;

use super::{VolumeTarget, changed};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Copy a volume, with everything below it, to a new one that stands on nothing
#[derive(Debug, Args)]
pub(super) struct Clone {
    #[command(flatten)]
    target: VolumeTarget,
    /// Name of the copy
    #[arg(value_name = "NEW")]
    new: String,
    /// Format of the copy; that of the source if not given
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Format of the source, where it was not made here
    #[arg(long, value_name = "FORMAT")]
    source_format: Option<String>,
}

impl Clone {
    /// Copies it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let progress = session.output().progress(&format!("copying '{}'", self.target.volume));
        let options = CloneOptions { format: self.format, source_format: self.source_format };
        let copied = session.block_on(async {
            let host = session.owner().await?;
            let names = (self.target.volume.as_str(), self.new.as_str());
            Ok(host.vol_clone(&self.target.pool(), names, &options, progress.teller()).await?)
        });
        drop(progress);
        changed(&copied?, &format!("made from '{}'", self.target.volume))
    }
}
