//! `hostler save`: puts a running guest away.

use std::path::PathBuf;

use clap::Args;
use hostler_domains::SaveOptions;

use super::{Target, view};
use crate::failure::Stop;
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Put a running guest away into a file and end its domain
///
/// Without FILE the guest is kept with the domain, and 'hostler start' brings it back. With FILE,
/// 'hostler restore FILE' does. Its disks must stay as they are in between: a guest that is brought
/// back goes on where it was, and expects them so.
#[derive(Debug, Args)]
pub(crate) struct Save {
    #[command(flatten)]
    target: Target,
    /// File to make; by default the guest is kept for the next start of its domain
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Let the processors run when the guest is brought back, although they do not run now
    #[arg(long, conflicts_with = "paused")]
    running: bool,
    /// Leave the processors stopped when the guest is brought back, although they run now
    #[arg(long)]
    paused: bool,
}

impl Save {
    /// Puts it away and says where.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let running = (self.running || self.paused).then_some(self.running);
        let options = SaveOptions { to: self.file, running };
        let progress = session.output().progress(&format!("saving '{}'", self.target.reference()));
        let saved = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.save(&self.target.reference(), options).await?)
        });
        drop(progress);
        let saved = saved?;
        let size = quantity::size(saved.bytes);
        let line = format!("domain '{}' saved to {} ({size})", saved.summary.name, saved.path.display());
        Ok(Reply::confirmation(view::to_json(&saved)?, vec![Block::Line(line)]))
    }
}
