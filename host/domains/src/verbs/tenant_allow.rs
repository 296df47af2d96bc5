//! `tenant allow` and `tenant deny`: what a tenant may use, and who may act for it.

use hostler_domain::Domain;
use hostler_state::{StateDir, TenantRecord, unix_ms};

use super::tenant_create::{TenantRights, unique};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::tenant_summary::TenantChanged;

impl Host {
    /// Allows more, from the tenant's next command on.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for the tenant or a root; [`Kind::Invalid`] for what cannot be a root.
    pub async fn tenant_allow(&self, name: &str, more: &TenantRights) -> Result<TenantChanged, Error> {
        let mut record = self.tenant_record(name)?;
        record.storage_roots.extend(self.storage_roots(&more.storage_roots)?);
        record.storage_roots = unique(&record.storage_roots);
        record.drivers.extend(more.drivers.iter().cloned());
        record.drivers = unique(&record.drivers);
        record.networks.extend(more.networks.iter().cloned());
        record.networks = unique(&record.networks);
        record.bridges.extend(more.bridges.iter().cloned());
        record.bridges = unique(&record.bridges);
        record.uids.extend(&more.uids);
        record.uids = unique(&record.uids);
        record.gids.extend(&more.gids);
        record.gids = unique(&record.gids);
        self.put_changed(record)
    }

    /// Takes back what was allowed, from the tenant's next command on. What runs goes on.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for the tenant, or for what it has not been allowed; [`Kind::Conflict`] for a driver that runs
    /// one of its domains.
    pub async fn tenant_deny(&self, name: &str, less: &TenantRights) -> Result<TenantChanged, Error> {
        let mut record = self.tenant_record(name)?;
        for driver in &less.drivers {
            self.require_idle_driver(&record, driver)?;
        }
        let missing = |what: &str, value: String| {
            let message = format!("the tenant '{name}' has not been allowed the {what} '{value}'");
            Error::new(Kind::NotFound, "tenant.not-allowed", message)
                .about("tenant", name)
                .hint_command("see what it has", format!("hostler tenant show {name}"))
        };
        take(&mut record.storage_roots, &less.storage_roots)
            .map_err(|root| missing("storage root", root.display().to_string()))?;
        take(&mut record.drivers, &less.drivers).map_err(|driver| missing("driver", driver))?;
        take(&mut record.networks, &less.networks).map_err(|network| missing("network", network))?;
        take(&mut record.bridges, &less.bridges).map_err(|bridge| missing("bridge", bridge))?;
        take(&mut record.uids, &less.uids).map_err(|uid| missing("user", uid.to_string()))?;
        take(&mut record.gids, &less.gids).map_err(|gid| missing("group", gid.to_string()))?;
        self.put_changed(record)
    }

    fn put_changed(&self, mut record: TenantRecord) -> Result<TenantChanged, Error> {
        record.generation += 1;
        record.changed_unix_ms = unix_ms();
        let warnings = self.tenant_warnings(&record)?;
        self.owner()?.put_tenant(&record)?;
        Ok(TenantChanged { tenant: self.tenant_summary(&record), limits: Vec::new(), warnings })
    }

    /// Refuses to take away a driver whose domains run: nobody could ask them to end any more.
    fn require_idle_driver(&self, record: &TenantRecord, driver: &str) -> Result<(), Error> {
        let state = StateDir::open_reader(&self.state().tenant_dir(&record.name)?)?;
        for definition in state.definitions()? {
            let concerned = driver == hostler_grant::EVERY_DRIVER || definition.driver == driver;
            if !concerned || !state.run_dir(definition.uuid).is_held()? {
                continue;
            }
            let shown = Domain::parse(&definition.xml)
                .map_or(definition.name, |domain| domain.name.as_str().to_owned());
            let message =
                format!("the driver '{driver}' runs the domain '{shown}' of the tenant '{}'", record.name);
            return Err(Error::new(Kind::Conflict, "tenant.driver-in-use", message)
                .about("tenant", &record.name)
                .about("driver", driver)
                .hint_command(
                    "end the domain first",
                    format!(
                        "hostler --tenant {} shutdown {}",
                        record.name,
                        hostler_image::shell_quote(&shown)
                    ),
                ));
        }
        Ok(())
    }
}

/// Takes values out of a list; the first that is not in it is the error, and nothing is taken then.
fn take<T: PartialEq + Clone>(from: &mut Vec<T>, values: &[T]) -> Result<(), T> {
    if let Some(missing) = values.iter().find(|value| !from.contains(value)) {
        return Err(missing.clone());
    }
    from.retain(|kept| !values.contains(kept));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_there_is_taken() {
        let mut list = vec![1, 2, 3];
        assert_eq!(take(&mut list, &[2, 4]), Err(4));
        assert_eq!(list, [1, 2, 3]);
        take(&mut list, &[1, 3]).unwrap();
        assert_eq!(list, [2]);
    }
}
