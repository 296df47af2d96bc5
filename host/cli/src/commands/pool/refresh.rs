//! `hostler pool refresh`: what a pool holds now.

use clap::Args;

use super::{PoolTarget, skipped};
use crate::commands::view;
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Look at every entry of a pool, and forget records of volumes that have gone
///
/// Every other command measures for itself, so nothing needs a refresh before it.
#[derive(Debug, Args)]
pub(super) struct Refresh {
    #[command(flatten)]
    target: PoolTarget,
}

impl Refresh {
    /// Looks, and says what there is.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let refreshed = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.pool_refresh(&self.target.reference()).await?)
        })?;
        let count = refreshed.volumes;
        let plural = if count == 1 { "volume" } else { "volumes" };
        let mut blocks = vec![Block::Line(format!("pool '{}' has {count} {plural}", refreshed.summary.name))];
        let gone = refreshed.forgotten.iter();
        blocks.extend(gone.map(|name| Block::Line(format!("volume '{name}' has gone and is forgotten"))));
        blocks.extend(skipped(&refreshed.skipped));
        Ok(Reply::confirmation(view::to_json(&refreshed)?, blocks))
    }
}
