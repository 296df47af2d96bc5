//! `hostler pool start`: makes the volumes of a pool usable.

use clap::Args;

use super::{PoolTarget, changed};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Start a pool: its volumes can be listed, made and used
///
/// The directory has to be there, the file system mounted, the volume group known to LVM.
#[derive(Debug, Args)]
pub(super) struct Start {
    #[command(flatten)]
    target: PoolTarget,
    /// Make the directory of the pool first
    #[arg(long)]
    build: bool,
}

impl Start {
    /// Starts it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let pool = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.pool_start(&self.target.reference(), self.build).await?)
        })?;
        changed(&pool, "started")
    }
}
