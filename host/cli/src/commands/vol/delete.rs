//! `hostler vol delete`: removes a volume.

use clap::Args;

use super::{VolumeTarget, changed};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Remove a volume that nobody uses
///
/// A volume that a domain names, running or not, or that another volume stands on, is not removed.
#[derive(Debug, Args)]
pub(super) struct Delete {
    #[command(flatten)]
    target: VolumeTarget,
}

impl Delete {
    /// Removes it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let deleted = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.vol_delete(&self.target.pool(), &self.target.volume).await?)
        })?;
        changed(&deleted, "deleted")
    }
}
