//! `hostler net autostart`: whether a network is started after a boot.

use clap::Args;

use super::{NetworkTarget, changed};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Start a network by itself after a boot of the machine
///
/// The first command after the boot that changes anything starts it.
#[derive(Debug, Args)]
pub(super) struct Autostart {
    #[command(flatten)]
    target: NetworkTarget,
    /// Do not start it by itself any more
    #[arg(long)]
    disable: bool,
}

impl Autostart {
    /// Sets it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let network = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.network_autostart(&self.target.reference(), !self.disable).await?)
        })?;
        let done = if network.autostart { "is started after a boot" } else { "is not started by itself" };
        changed(&network, done)
    }
}
