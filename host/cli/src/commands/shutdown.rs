//! `hostler shutdown`: asks the guest to switch itself off.

use clap::Args;

use super::{Target, view};
use crate::definition::{Seconds, seconds};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Ask the guest of a domain to switch itself off
///
/// The command ends when the guest has been asked; with --wait, when the domain is off.
#[derive(Debug, Args)]
pub(crate) struct Shutdown {
    #[command(flatten)]
    target: Target,
    /// Wait until the domain is off, at most SECS seconds [default when given without a value: 120]
    #[arg(long, value_name = "SECS", value_parser = seconds, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "120")]
    wait: Option<Seconds>,
}

impl Shutdown {
    /// Asks, and waits if that was wanted.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let progress = self.wait.map(|_| {
            session
                .output()
                .progress(&format!("waiting for '{}' to switch itself off", self.target.reference()))
        });
        let summary = session.block_on(async {
            let asked = session.owner().await?.shutdown(&self.target.reference()).await?;
            let Some(wait) = self.wait else { return Ok(asked) };
            // The owner is gone by here: a guest that takes its time keeps nobody else from working. A transient
            // domain may be forgotten meanwhile, but it is off then.
            if !asked.state.is_active() {
                return Ok(asked);
            }
            Ok(session.reader().await?.wait_off(&self.target.reference(), wait.0).await?)
        });
        drop(progress);
        view::changed(&summary?)
    }
}
