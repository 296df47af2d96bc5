//! `hostler driver rollback`: goes back to the version before.

use clap::Args;

use super::DriverTarget;
use super::upgrade::use_kept;
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Use the version of a driver that was installed before the one in use; its domains run on
#[derive(Debug, Args)]
pub(super) struct Rollback {
    #[command(flatten)]
    target: DriverTarget,
    /// Go to this version or digest instead
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
}

impl Rollback {
    /// Goes back.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        use_kept(session, &self.target.name, self.to.as_deref())
    }
}
