//! `hostler destroy`: switches a domain off without asking its guest.

use clap::Args;

use super::{Target, view};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Switch a domain off at once, like pulling the plug
///
/// The guest is not asked and may lose what it has not written. The definition stays.
#[derive(Debug, Args)]
pub(crate) struct Destroy {
    #[command(flatten)]
    target: Target,
}

impl Destroy {
    /// Does it and says how the domain is now.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let summary = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.destroy(&self.target.reference()).await?)
        })?;
        view::changed(&summary)
    }
}
