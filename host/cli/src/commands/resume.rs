//! `hostler resume`: lets a suspended domain go on.

use clap::Args;

use super::{Target, view};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Let the processors of a suspended domain go on
///
/// Also begins a domain that was started with --paused.
#[derive(Debug, Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    target: Target,
}

impl Resume {
    /// Does it and says how the domain is now.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let summary = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.resume(&self.target.reference()).await?)
        })?;
        view::changed(&summary)
    }
}
