//! What a daemon needs that serves the operator and all tenants of a state directory.

use std::time::Duration;

use hostler_state::{StateDir, TenantPhase, TenantRecord};

use crate::error::Error;
use crate::host::{Access, Host};
use crate::tenants::Caller;

/// A tenant as a daemon looks at it: whom it admits, and which state of its record that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedTenant {
    record: TenantRecord,
}

impl ServedTenant {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// Whether a caller may act for it.
    #[must_use]
    pub fn admits(&self, caller: &Caller) -> bool {
        self.record.admits(caller.uid, &caller.gids)
    }

    /// Whether it admits groups: else it does not matter in which somebody is.
    #[must_use]
    pub fn knows_groups(&self) -> bool {
        !self.record.gids.is_empty()
    }
}

impl Host {
    /// The tenants that there are; none on behalf of a tenant.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when their records cannot be read.
    pub fn served_tenants(&self) -> Result<Vec<ServedTenant>, Error> {
        if self.tenant().is_some() {
            return Ok(Vec::new());
        }
        let active = self.state().tenants()?.into_iter().filter(|record| record.phase == TenantPhase::Active);
        Ok(active.map(|record| ServedTenant { record }).collect())
    }

    /// The tenant on whose behalf this is; nothing when it is the operator's.
    #[must_use]
    pub fn own_tenant(&self) -> Option<ServedTenant> {
        self.tenant().map(|record| ServedTenant { record: record.clone() })
    }

    /// The state directory of a tenant, held beside the operator's own. Waits this long for a command that holds it.
    ///
    /// # Errors
    /// As [`Host::open`].
    pub async fn open_tenant(&self, tenant: &ServedTenant, wait: Duration) -> Result<Self, Error> {
        self.require_operator()?;
        self.of_tenant(&tenant.record, Access::Owner { wait }).await
    }

    /// Whether something of a tenant runs, or is to be started after a boot: then somebody has to look after it.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when its state cannot be read.
    pub fn tenant_is_at_work(&self, tenant: &ServedTenant) -> Result<bool, Error> {
        let directory = self.state().tenant_dir(tenant.name())?;
        if !directory.exists() {
            return Ok(false);
        }
        let state = StateDir::open_reader(&directory)?;
        for run in state.run_dirs()? {
            if run.is_held()? {
                return Ok(true);
            }
        }
        for definition in state.definitions()? {
            if state.autostart(definition.uuid)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
