//! `hostler reset`: resets a domain.

use clap::Args;

use super::{Target, view};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Reset a domain, like pressing the reset button
///
/// The guest is not asked and may lose what it has not written. The process of the hypervisor goes on.
#[derive(Debug, Args)]
pub(crate) struct Reset {
    #[command(flatten)]
    target: Target,
}

impl Reset {
    /// Does it and says how the domain is now.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let summary = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.reset(&self.target.reference()).await?)
        })?;
        view::changed(&summary)
    }
}
