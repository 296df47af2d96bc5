//! `hostler tenant limits`: sets what a tenant may use.

use clap::Args;

use super::{Limit, changed, limit};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Set what a tenant may use, and show what it was before
///
/// Limits: domains (defined), running, vcpus and memory (of what runs), disk (virtual size of volumes and images
/// made through hostler), processes, driver-cpu (milliseconds in each second), driver-memory. They hold from
/// the tenant's next command on. A limit below what is used ends nothing; there is no more until there is less.
#[derive(Debug, Args)]
pub(super) struct Limits {
    /// Name of the tenant
    #[arg(value_name = "TENANT")]
    name: String,
    /// Limit, such as domains=10, memory=8GiB or disk=unlimited
    #[arg(value_name = "NAME=VALUE", value_parser = limit, required = true)]
    limits: Vec<Limit>,
}

impl Limits {
    /// Sets them.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let answer = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.tenant_limits(&self.name, &self.limits).await?)
        })?;
        changed(&answer, "has new limits", session)
    }
}
