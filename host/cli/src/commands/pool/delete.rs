//! `hostler pool delete`: removes the storage of a pool.

use clap::Args;

use super::{PoolTarget, changed};
use crate::failure;
use crate::output::Reply;
use crate::session::Session;

/// Remove the directory of a pool, which has to be empty
///
/// Only pools of type dir; the definition stays.
#[derive(Debug, Args)]
pub(super) struct Delete {
    #[command(flatten)]
    target: PoolTarget,
}

impl Delete {
    /// Does it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, failure::Stop> {
        let pool = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.pool_delete(&self.target.reference()).await?)
        })?;
        changed(&pool, "deleted")
    }
}
