//! `hostler driver remove`: forgets an installed driver.

use clap::Args;

use super::{DriverTarget, changed};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Remove an installed driver with all its versions, its pin and what you gave it
///
/// Refused while domains need it, unless a driver directory has one of its name.
#[derive(Debug, Args)]
pub(super) struct Remove {
    #[command(flatten)]
    target: DriverTarget,
}

impl Remove {
    /// Removes it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let name = &self.target.name;
        let done = session.block_on(async { Ok(session.owner().await?.driver_remove(name).await?) })?;
        changed(&done, format!("driver '{}' removed", done.name))
    }
}
