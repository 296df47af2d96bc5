//! `tenant show`: everything about one tenant.

use hostler_state::TenantRecord;

use crate::error::{Error, Kind};
use crate::host::{Access, Host};
use crate::quota::{Quota, limit_of};
use crate::tenant_summary::{LimitSummary, TenantDetails};
use crate::tenants::{Caller, TenantChoice};
use crate::usage::InUse;

impl Host {
    /// Everything about a tenant, its limits beside what is used. On behalf of a tenant, about that one only.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Denied`] for another tenant on behalf of one.
    pub async fn tenant_show(&self, name: Option<&str>) -> Result<TenantDetails, Error> {
        let (record, used) = match (self.tenant(), name) {
            (Some(own), None) => (own.clone(), self.in_use().await),
            (Some(own), Some(name)) if own.name == name => (own.clone(), self.in_use().await),
            (None, Some(name)) => {
                let record = self.tenant_record(name)?;
                let used = self.used_by(&record).await;
                (record, used)
            }
            (None, None) => {
                return Err(Error::new(Kind::Invalid, "tenant.unnamed", "no tenant is named")
                    .hint_command("see which there are", "hostler tenant list"));
            }
            (Some(_), Some(name)) => {
                // The same answer whether there is such a tenant or not.
                self.require_operator()?;
                return Err(Error::new(
                    Kind::Denied,
                    "tenant.refused",
                    format!("'{name}' is another tenant"),
                ));
            }
        };
        let (used, problem) = match used {
            Ok(used) => (Some(used), None),
            Err(error) => (None, Some(format!("what it uses is not known: {error}"))),
        };
        Ok(TenantDetails {
            summary: self.tenant_summary(&record),
            state_dir: match self.tenant() {
                Some(_) => self.state().root().to_owned(),
                None => self.state().tenant_dir(&record.name)?,
            },
            limits: limits(&record, used.as_ref()),
            problem,
        })
    }

    /// What a tenant uses now, as the operator reads it.
    pub(crate) async fn used_by(&self, record: &TenantRecord) -> Result<InUse, Error> {
        Box::pin(self.of_tenant(record, Access::Reader).await?.in_use()).await
    }

    /// The state directory of a tenant, opened by the operator.
    pub(crate) async fn of_tenant(&self, record: &TenantRecord, access: Access) -> Result<Self, Error> {
        let mut config = self.config.clone();
        config.tenant = Some(TenantChoice { name: record.name.clone(), caller: Caller::current() });
        Box::pin(Self::open(config, access)).await
    }
}

fn limits(record: &TenantRecord, used: Option<&InUse>) -> Vec<LimitSummary> {
    let summary = |quota: Quota| LimitSummary {
        quota,
        unit: quota.unit(),
        limit: limit_of(record, quota),
        set: record.limits.contains_key(quota.key()),
        used: used.and_then(|used| used.of(quota)),
    };
    Quota::ALL.into_iter().map(summary).collect()
}
