//! `hostler tenant create`: makes a tenant.

use clap::Args;
use hostler_domains::NewTenant;

use super::{Limit, Rights, changed, limit};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Make a tenant
///
/// Nothing is allowed that is not named: no driver, no place for files, no user beside the operator.
/// Limits that are not given have defaults, which 'tenant show' tells.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// Its name: up to 32 lower-case letters, digits and '-', beginning with a letter
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    rights: Rights,
    /// What drivers may do on its behalf, as in a policy; if not given, all that the policy allows
    #[arg(long = "grant", value_name = "GRANT")]
    grants: Vec<String>,
    /// Limit, such as domains=10, memory=8GiB or disk=unlimited; may be given several times
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = limit)]
    limits: Vec<Limit>,
    /// Take over what is there of a tenant of that name whose record was lost
    #[arg(long)]
    adopt: bool,
}

impl Create {
    /// Makes it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let new = NewTenant {
            name: self.name,
            rights: self.rights.into(),
            grants: self.grants,
            limits: self.limits,
            adopt: self.adopt,
        };
        let made = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.tenant_create(&new).await?)
        })?;
        changed(&made, "made", session)
    }
}
