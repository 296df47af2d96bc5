//! `hostler pool undefine`: removes the definition of a pool.

use clap::Args;

use super::{PoolTarget, changed};
use crate::failure;
use crate::output::Reply;
use crate::session::Session;

/// Remove the definition of a pool
///
/// Nothing of its storage is touched. What hostler recorded about its volumes is forgotten.
#[derive(Debug, Args)]
pub(super) struct Undefine {
    #[command(flatten)]
    target: PoolTarget,
}

impl Undefine {
    /// Does it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, failure::Stop> {
        let pool = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.pool_undefine(&self.target.reference()).await?)
        })?;
        changed(&pool, "undefined")
    }
}
