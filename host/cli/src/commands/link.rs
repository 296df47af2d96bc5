//! `hostler link`: whether the cable of a network interface is plugged in.

use clap::{Args, ValueEnum};

use super::attach::{Where, places};
use super::{Target, view};
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Plug the cable of a network interface in, or pull it out
///
/// The interface of the guest that runs is changed, and the stored definition; --live and --config choose one of both.
#[derive(Debug, Args)]
pub(crate) struct Link {
    #[command(flatten)]
    target: Target,
    /// The interface, by its MAC address or its alias
    #[arg(value_name = "INTERFACE")]
    interface: String,
    /// What its link is to be
    #[arg(value_name = "STATE")]
    state: State,
    #[command(flatten)]
    scope: Where,
}

/// What a link is.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    /// The cable is plugged in
    Up,
    /// The cable is pulled out
    Down,
}

impl Link {
    /// Sets it and says where.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let up = matches!(self.state, State::Up);
        let changed = session.block_on(async {
            let host = session.owner().await?;
            let reference = self.target.reference();
            Ok(host.set_link(&reference, &self.interface, up, self.scope.scope()).await?)
        })?;
        let state = if up { "up" } else { "down" };
        let line = format!(
            "link of {} of '{}' is {state}{}",
            self.interface,
            changed.summary.name,
            places(&changed)
        );
        Ok(Reply::confirmation(view::to_json(&changed)?, vec![Block::Line(line)]))
    }
}
