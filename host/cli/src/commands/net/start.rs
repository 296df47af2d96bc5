//! `hostler net start`: makes a network.

use clap::Args;

use super::{NetworkTarget, changed};
use crate::failure;
use crate::output::Reply;
use crate::session::Session;

/// Start a network: its bridge, its rules and its server
///
/// All of it is there then, or nothing of it.
#[derive(Debug, Args)]
pub(super) struct Start {
    #[command(flatten)]
    target: NetworkTarget,
}

impl Start {
    /// Does it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, failure::Stop> {
        let network = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.network_start(&self.target.reference()).await?)
        })?;
        changed(&network, "started")
    }
}
