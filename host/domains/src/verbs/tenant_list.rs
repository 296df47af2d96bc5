//! `tenant list`: the tenants of this host.

use hostler_state::{TenantPhase, TenantRecord};

use crate::error::Error;
use crate::host::Host;
use crate::tenant_summary::TenantSummary;

impl Host {
    /// Every tenant, by name.
    ///
    /// # Errors
    /// [`crate::Kind::Denied`] on behalf of a tenant; [`crate::Kind::Host`].
    pub async fn tenant_list(&self) -> Result<Vec<TenantSummary>, Error> {
        self.require_operator()?;
        let tenants = self.state().tenants()?;
        let active = tenants.iter().filter(|record| record.phase == TenantPhase::Active);
        Ok(active.map(|record| self.tenant_summary(record)).collect())
    }

    /// The line about one tenant.
    pub(crate) fn tenant_summary(&self, record: &TenantRecord) -> TenantSummary {
        TenantSummary {
            name: record.name.clone(),
            uids: record.uids.clone(),
            gids: record.gids.clone(),
            storage_roots: record.storage_roots.clone(),
            networks: record.networks.clone(),
            bridges: record.bridges.clone(),
            drivers: record.drivers.clone(),
            grants: record.grants.clone(),
            created_unix_ms: record.created_unix_ms,
        }
    }
}
