//! `hostler block pull`: the content of layers goes up.

use clap::Args;
use hostler_domains::{Ending, PullOptions};

use super::DiskTarget;
use super::work::{self, Waiting};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Copy the content of the layers below into the active layer, while the guest runs
///
/// Without --base the active layer stands alone afterwards. No other image is written to.
#[derive(Debug, Args)]
pub(super) struct Pull {
    #[command(flatten)]
    target: DiskTarget,
    /// Layer that stays below the active one: its number, counted from the active layer 0, or its path
    #[arg(long, value_name = "LAYER")]
    base: Option<String>,
    #[command(flatten)]
    waiting: Waiting,
}

impl Pull {
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let Self { target, base, waiting } = self;
        let options = PullOptions { base, bandwidth: waiting.bandwidth, relative: false };
        work::run(session, &target, &waiting, Ending::Pivot, async |host| {
            Ok(host.block_pull(&target.reference(), &target.target, options).await?)
        })
    }
}
