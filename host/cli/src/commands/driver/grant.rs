//! `hostler driver grant`: gives a driver what the policy does not, or takes it away.

use clap::Args;

use super::{DriverTarget, changed};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Give grants to a driver beyond the policy, or deny them whatever the policy says
///
/// It takes effect at the next call of the driver. A tenant's rules stay as they are.
#[derive(Debug, Args)]
pub(super) struct Grant {
    #[command(flatten)]
    target: DriverTarget,
    /// What to give, as 'driver show' lists it, such as qmp or process:qemu-system-x86_64
    #[arg(value_name = "GRANT", required = true)]
    grants: Vec<String>,
    /// Deny them instead
    #[arg(long)]
    deny: bool,
}

impl Grant {
    /// Gives or denies them.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let (name, deny) = (&self.target.name, self.deny);
        let done = session
            .block_on(async { Ok(session.owner().await?.driver_grant(name, &self.grants, deny).await?) })?;
        let grants = self.grants.join(", ");
        let line = if deny {
            format!("driver '{}' is denied: {grants}", done.name)
        } else {
            format!("driver '{}' is given: {grants}", done.name)
        };
        changed(&done, line)
    }
}
