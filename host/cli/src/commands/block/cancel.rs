//! `hostler block cancel`: gives work on a disk up.

use clap::Args;

use super::{DiskTarget, work};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Give work on a disk up; its chain is as it was before
#[derive(Debug, Args)]
pub(super) struct Cancel {
    #[command(flatten)]
    target: DiskTarget,
}

impl Cancel {
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        session.block_on(async {
            let host = session.owner().await?;
            let ended = host.block_cancel(&self.target.reference(), &self.target.target).await?;
            work::reply(&host, &ended, false)
        })
    }
}
