//! `driver remove`: forgets an installed driver, with everything that is kept of it.

use hostler_state::{Definition, StateDir};

use crate::driver_summary::DriverChanged;
use crate::error::{Error, Kind};
use crate::host::Host;

impl Host {
    /// Removes an installed driver, its builds, its pin and what the operator gave it.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is not installed; [`Kind::Conflict`] when domains need it and no driver directory has
    /// one of its name.
    pub async fn driver_remove(&self, name: &str) -> Result<DriverChanged, Error> {
        self.require_operator()?;
        let owner = self.owner()?;
        let record = self.installed_record(name)?;
        let others = self.drivers.candidates()?;
        if !others.iter().any(|other| other.name == name && other.hidden) {
            self.require_no_domains(name)?;
        }
        owner.remove_driver(name)?;
        let previous = record.active_version().map(|version| version.version.clone());
        Ok(DriverChanged { name: record.name, version: None, digest: None, previous, changed: true })
    }

    fn require_no_domains(&self, driver: &str) -> Result<(), Error> {
        let needs = |definition: &Definition| definition.driver == driver;
        let own = self.definitions()?.into_iter().filter(needs).map(|definition| definition.name);
        let mut users: Vec<_> = own.collect();
        for tenant in self.state().tenant_dirs()? {
            let state = StateDir::open_reader(&self.state().tenant_dir(&tenant)?)?;
            let theirs = state.definitions()?.into_iter().filter(needs);
            users.extend(theirs.map(|definition| format!("{} of the tenant {tenant}", definition.name)));
        }
        if users.is_empty() {
            return Ok(());
        }
        let message = format!("the driver '{driver}' is needed by: {}", users.join(", "));
        Err(Error::new(Kind::Conflict, "driver.in-use", message)
            .about("driver", driver)
            .hint("undefine these domains first, or upgrade the driver instead"))
    }
}
