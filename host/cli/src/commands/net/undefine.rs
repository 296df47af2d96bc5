//! `hostler net undefine`: removes the definition of a network.

use clap::Args;
use hostler_domains::IfStarted;

use super::{NetworkTarget, changed};
use crate::failure;
use crate::output::Reply;
use crate::session::Session;

/// Remove the definition of a network, with what it has lent
#[derive(Debug, Args)]
pub(super) struct Undefine {
    #[command(flatten)]
    target: NetworkTarget,
}

impl Undefine {
    /// Does it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, failure::Stop> {
        let network = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.network_undefine(&self.target.reference(), IfStarted::Refused).await?)
        })?;
        changed(&network, "undefined")
    }
}
