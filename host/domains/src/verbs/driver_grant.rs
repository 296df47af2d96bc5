//! `driver grant`: gives a driver what the policy file does not, or takes away what it does.

use hostler_grant::Grant;
use hostler_state::DriverRecord;

use super::driver_install::changed;
use crate::driver_summary::DriverChanged;
use crate::error::{Error, Kind};
use crate::host::Host;

impl Host {
    /// Gives grants to the drivers of a name, or denies them, beside what the policy file says. It takes effect at the
    /// next call of the driver.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such driver; [`Kind::Invalid`] for what is no grant.
    pub async fn driver_grant(
        &self,
        name: &str,
        grants: &[String],
        deny: bool,
    ) -> Result<DriverChanged, Error> {
        self.require_operator()?;
        let owner = self.owner()?;
        self.drivers.candidate(name)?;
        let mut record = self.state().driver(name)?.unwrap_or_else(|| DriverRecord::new(name));
        let before = record.clone();
        for written in grants {
            let grant = checked(written)?.to_string();
            let DriverRecord { allow, deny: denied, .. } = &mut record;
            let (to, from) = if deny { (denied, allow) } else { (allow, denied) };
            from.retain(|other| *other != grant);
            if !to.contains(&grant) {
                to.push(grant);
            }
        }
        let is_new = record != before;
        if is_new {
            owner.put_driver(&record)?;
        }
        let version = record.active_version().map(|version| version.version.clone());
        Ok(changed(&record, version, is_new))
    }
}

fn checked(written: &str) -> Result<Grant, Error> {
    let grant: Grant = written.parse().map_err(|error: hostler_grant::GrantError| {
        Error::new(Kind::Invalid, "driver.no-grant", error.to_string())
            .hint_command("see what a driver asks for", "hostler driver show NAME")
    })?;
    if grant.capability.is_basic() {
        let message = format!("every driver has '{grant}': it can be neither given nor denied");
        return Err(Error::new(Kind::Invalid, "driver.no-grant", message));
    }
    Ok(grant)
}
