//! `hostler driver pin`: lets one build be loaded under a name.

use clap::Args;

use super::{DriverTarget, changed};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Pin a driver to one digest: no other is loaded or installed under its name
///
/// Without a digest the driver that is in use is pinned. A name that no driver has yet can be pinned too.
#[derive(Debug, Args)]
pub(super) struct Pin {
    #[command(flatten)]
    target: DriverTarget,
    /// The digest; for an installed driver its beginning or a version is enough
    #[arg(value_name = "DIGEST")]
    digest: Option<String>,
    /// Take the pin away
    #[arg(long, conflicts_with = "digest")]
    none: bool,
}

impl Pin {
    /// Pins it, or takes the pin away.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let (name, digest) = (&self.target.name, self.digest.as_deref());
        let done = session
            .block_on(async { Ok(session.owner().await?.driver_pin(name, digest, self.none).await?) })?;
        let line = match &done.digest {
            Some(digest) => format!("driver '{}' is pinned to {digest}", done.name),
            None => format!("driver '{}' is not pinned", done.name),
        };
        changed(&done, line)
    }
}
