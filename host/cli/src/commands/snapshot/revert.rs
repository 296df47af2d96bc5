//! `hostler snapshot revert`: takes a domain back.

use clap::Args;
use hostler_domains::RevertOptions;

use super::SnapshotTarget;
use crate::commands::view;
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Take a domain back to a snapshot
///
/// A guest that runs is ended, and what it has not written is lost. One that the snapshot has kept goes on
/// from there, or is paused if it was. What was written to the disks since an
/// internal snapshot is lost too; since an external one, it stays in images that the answer names, until the
/// snapshot is deleted that they stand on.
#[derive(Debug, Args)]
pub(super) struct Revert {
    #[command(flatten)]
    target: SnapshotTarget,
    /// Make the UEFI variable store anew from its template, whatever the snapshot has kept
    #[arg(long)]
    reset_nvram: bool,
    /// Let a guest run afterwards
    #[arg(long, conflicts_with = "paused")]
    running: bool,
    /// Have a guest afterwards whose processors are stopped
    #[arg(long)]
    paused: bool,
    /// Take the definition back as well if it was changed since, beyond its images
    #[arg(long)]
    force: bool,
}

impl Revert {
    /// Takes it back.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let options = RevertOptions {
            reset_nvram: self.reset_nvram,
            running: self.running,
            paused: self.paused,
            force: self.force,
        };
        let progress = session.output().progress("reverting");
        let reverted = session.block_on(async {
            let host = session.owner().await?;
            Ok(Box::pin(host.snapshot_revert(&self.target.domain(), &self.target.snapshot, options)).await?)
        });
        drop(progress);
        let reverted = reverted?;
        reverted.warnings.iter().for_each(|warning| session.output().warning(&warning.message));
        let first = format!(
            "domain '{}' reverted to snapshot '{}', and {}",
            reverted.domain, reverted.snapshot, reverted.state
        );
        let left = reverted
            .left_behind
            .iter()
            .map(|image| format!("what was written since stays in {}", image.display()));
        let lines = std::iter::once(first).chain(left).map(Block::Line).collect();
        Ok(Reply::confirmation(view::to_json(&reverted)?, lines))
    }
}
