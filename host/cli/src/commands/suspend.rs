//! `hostler suspend`: stops the processors of a domain.

use clap::Args;

use super::{Target, view};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Stop the processors of a running domain; its memory stays
///
/// 'hostler resume' lets them go on.
#[derive(Debug, Args)]
pub(crate) struct Suspend {
    #[command(flatten)]
    target: Target,
}

impl Suspend {
    /// Does it and says how the domain is now.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let summary = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.suspend(&self.target.reference()).await?)
        })?;
        view::changed(&summary)
    }
}
