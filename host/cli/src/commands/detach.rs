//! `hostler detach`: one device less.

use clap::Args;

use super::attach::{Where, places};
use super::{Target, view};
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Take a device away from a domain: a disk, a network interface, a channel …
///
/// It is taken out of the guest that runs, and out of the stored definition, where they have it; --live and
/// --config choose one of both. The guest must let go of it: one that has not answered after 5 seconds was
/// asked all the same, and the device is gone as soon as it does. Images are never touched.
#[derive(Debug, Args)]
pub(crate) struct Detach {
    #[command(flatten)]
    target: Target,
    /// The device: the target of a disk (vdb) or a channel, the MAC address of an interface, a place (0000:05:00.0, usb:0:1)
    /// or an alias (rng0, ua-…)
    #[arg(value_name = "DEVICE")]
    device: String,
    #[command(flatten)]
    scope: Where,
}

impl Detach {
    /// Takes it away and says from where, or that its guest has it still.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let changed = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.detach(&self.target.reference(), &self.device, self.scope.scope()).await?)
        })?;
        let name = &changed.summary.name;
        let line = if changed.leaving {
            session.output().warning(
                "the guest was asked to let go of it, and has it still; what is behind it, an image, is in use until then",
            );
            format!("{} is leaving '{name}'{}", changed.device, places(&changed))
        } else {
            format!("{} detached from '{name}'{}", changed.device, places(&changed))
        };
        Ok(Reply::confirmation(view::to_json(&changed)?, vec![Block::Line(line)]))
    }
}
