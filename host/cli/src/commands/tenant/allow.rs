//! `hostler tenant allow` and `hostler tenant deny`: what a tenant may use, and who may act for it.

use clap::Args;

use super::{Rights, changed};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Allow a tenant more: storage roots, drivers, users and groups that act for it
#[derive(Debug, Args)]
pub(super) struct Allow {
    /// Name of the tenant
    #[arg(value_name = "TENANT")]
    name: String,
    #[command(flatten)]
    rights: Rights,
}

/// Take back what a tenant was allowed; what runs goes on
#[derive(Debug, Args)]
pub(super) struct Deny {
    /// Name of the tenant
    #[arg(value_name = "TENANT")]
    name: String,
    #[command(flatten)]
    rights: Rights,
}

impl Allow {
    /// Allows it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let answer = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.tenant_allow(&self.name, &self.rights.into()).await?)
        })?;
        changed(&answer, "is allowed more", session)
    }
}

impl Deny {
    /// Takes it back.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let answer = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.tenant_deny(&self.name, &self.rights.into()).await?)
        })?;
        changed(&answer, "is allowed less", session)
    }
}
