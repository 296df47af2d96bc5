//! `tenant limits`: sets what a tenant may use.

use hostler_state::unix_ms;

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::quota::{Quota, limit_of, recorded};
use crate::tenant_summary::{LimitChange, TenantChanged};

impl Host {
    /// Sets limits; nothing as a value is no limit. They hold from the tenant's next command on. A limit below what is
    /// used ends nothing that is there: it is told, and there is no more until there is less.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Invalid`] for a limit that cannot be one.
    pub async fn tenant_limits(
        &self,
        name: &str,
        changes: &[(Quota, Option<u64>)],
    ) -> Result<TenantChanged, Error> {
        let mut record = self.tenant_record(name)?;
        if changes.is_empty() {
            return Err(Error::new(Kind::Invalid, "tenant.no-limits", "no limit is given")
                .hint("limits are written as NAME=VALUE, such as domains=10 or disk=unlimited"));
        }
        let before = record.clone();
        record.limits.extend(recorded(changes)?);
        record.generation += 1;
        record.changed_unix_ms = unix_ms();
        self.owner()?.put_tenant(&record)?;
        let mut warnings = Vec::new();
        let used = match self.used_by(&record).await {
            Ok(used) => Some(used),
            Err(error) => {
                warnings.push(format!("what it uses is not known: {error}"));
                None
            }
        };
        let mut limits = Vec::new();
        for (quota, after) in changes {
            let used = used.and_then(|used| used.of(*quota));
            if let (Some(used), Some(limit)) = (used, after)
                && used > *limit
            {
                warnings.push(format!(
                    "it uses more than that already ({}): nothing is ended, and nothing more begins until it is less",
                    quota.amount(used)
                ));
            }
            limits.push(LimitChange {
                quota: *quota,
                unit: quota.unit(),
                before: limit_of(&before, *quota),
                after: *after,
                used,
            });
        }
        Ok(TenantChanged { tenant: self.tenant_summary(&record), limits, warnings })
    }
}
