//! `hostler net stop`: takes a network away.

use clap::Args;

use super::{NetworkTarget, changed};
use crate::failure;
use crate::output::Reply;
use crate::session::Session;

/// Stop a network: what was made for it is taken away
#[derive(Debug, Args)]
pub(super) struct Stop {
    #[command(flatten)]
    target: NetworkTarget,
    /// Although guests are connected: they go on, and reach nobody any more
    #[arg(long)]
    force: bool,
}

impl Stop {
    /// Does it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, failure::Stop> {
        let network = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.network_stop(&self.target.reference(), self.force).await?)
        })?;
        changed(&network, "stopped")
    }
}
