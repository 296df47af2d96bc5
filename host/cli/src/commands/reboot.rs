//! `hostler reboot`: asks the guest to begin again.

use clap::Args;

use super::agent::Mode;
use super::{Target, view};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Ask the guest of a domain to reboot
///
/// The power button is pressed, and the machine is reset when the guest has switched itself off. The command ends when
/// the guest has been asked; one that does not listen is reset with 'hostler reset'. A domain whose document says that
/// a reboot is its end (on_reboot) is off afterwards.
#[derive(Debug, Args)]
pub(crate) struct Reboot {
    #[command(flatten)]
    target: Target,
    /// Ask the guest as HOW says
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    mode: Mode,
}

impl Reboot {
    /// Asks it.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let summary = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.reboot(&self.target.reference(), self.mode.into()).await?)
        })?;
        view::changed(&summary)
    }
}
