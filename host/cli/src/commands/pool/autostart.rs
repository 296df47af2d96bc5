//! `hostler pool autostart`: whether a pool is started after a boot.

use clap::Args;

use super::{PoolTarget, changed};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Start a pool by itself after a boot of the machine
///
/// The first command after the boot that changes anything starts it.
#[derive(Debug, Args)]
pub(super) struct Autostart {
    #[command(flatten)]
    target: PoolTarget,
    /// Do not start it by itself any more
    #[arg(long)]
    disable: bool,
}

impl Autostart {
    /// Sets it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let pool = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.pool_autostart(&self.target.reference(), !self.disable).await?)
        })?;
        let done = if pool.autostart { "is started after a boot" } else { "is not started by itself" };
        changed(&pool, done)
    }
}
