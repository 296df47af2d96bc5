//! `hostler pool stop`: closes a pool.

use clap::Args;

use super::{PoolTarget, changed};
use crate::failure;
use crate::output::Reply;
use crate::session::Session;

/// Stop a pool: its volumes can no longer be listed, made or given to a guest
///
/// Nothing of its storage changes, and guests that run with its volumes go on.
#[derive(Debug, Args)]
pub(super) struct Stop {
    #[command(flatten)]
    target: PoolTarget,
}

impl Stop {
    /// Does it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, failure::Stop> {
        let pool = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.pool_stop(&self.target.reference()).await?)
        })?;
        changed(&pool, "stopped")
    }
}
