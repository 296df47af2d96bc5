//! `hostler secret undefine`: removes a secret.

use clap::Args;

use super::{SecretTarget, changed};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Remove a secret with its value
#[derive(Debug, Args)]
pub(super) struct Undefine {
    #[command(flatten)]
    target: SecretTarget,
}

impl Undefine {
    /// Does it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let secret = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.secret_undefine(&self.target.reference()).await?)
        })?;
        changed(&secret, "undefined")
    }
}
