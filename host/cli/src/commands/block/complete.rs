//! `hostler block complete`: the end of work that is ready.

use clap::Args;
use hostler_domains::Ending;

use super::{DiskTarget, work};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// End work on a disk that is ready
#[derive(Debug, Args)]
pub(super) struct Complete {
    #[command(flatten)]
    target: DiskTarget,
    /// Let the guest go on as before; by default it goes on with the new chain
    #[arg(long)]
    keep: bool,
    /// Remove the files that the guest does not need any more, unless something else uses them
    #[arg(long)]
    delete: bool,
}

impl Complete {
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let Self { target, keep, delete } = self;
        let ending = if keep { Ending::Keep } else { Ending::Pivot };
        session.block_on(async {
            let host = session.owner().await?;
            let ended = host.block_complete(&target.reference(), &target.target, ending).await?;
            work::reply(&host, &ended, delete)
        })
    }
}
