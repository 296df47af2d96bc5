//! `driver show`: everything about the drivers of one name, with what they were granted and what they have used.

use hostler_grant::grants;

use crate::driver_plan::standings;
use crate::driver_summary::{DriverDetails, GrantUse, InstalledBuild};
use crate::error::Error;
use crate::host::Host;

impl Host {
    /// Everything about the driver of one name.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`], or what keeps it from being loaded.
    pub async fn driver_show(&self, name: &str) -> Result<DriverDetails, Error> {
        let candidate = self.drivers.candidate(name)?;
        let driver = self.drivers.load(&candidate)?;
        let record = candidate.record.as_ref();
        let policy = self.drivers.policy_with(record);
        let (manifest, tenant) = (driver.manifest(), self.drivers.tenant());
        let decided = grants(manifest, &policy, tenant);
        let usage = self.state().driver_usage(name)?;
        let uses = standings(manifest, &decided.denied, record, &tenant.name).into_iter().map(|standing| {
            let first_used_unix_ms = usage.grants.get(&standing.grant).copied();
            GrantUse { standing, first_used_unix_ms }
        });
        let builds =
            record.map(|record| record.versions.iter()).into_iter().flatten().map(|version| InstalledBuild {
                version: version.version.clone(),
                digest: version.digest.clone(),
                size: version.size,
                source: version.source.clone(),
                installed_unix_ms: version.installed_unix_ms,
                active: record.is_some_and(|record| record.active.as_ref() == Some(&version.digest)),
            });
        Ok(DriverDetails {
            summary: super::drivers::summary(&candidate, &driver).await?,
            grants: uses.collect(),
            pin: record.and_then(|record| record.pin.clone()),
            takes: record.map(|record| record.takes.clone()).unwrap_or_default(),
            versions: builds.collect(),
        })
    }
}
