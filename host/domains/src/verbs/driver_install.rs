//! `driver install` and `driver upgrade`: stores a driver under its digest and lets it be used.

use hostler_package::Package;
use hostler_state::{DriverRecord, InstalledVersion, unix_ms};

use crate::driver_plan::DriverPlan;
use crate::driver_summary::{DriverChanged, DriverOrigin};
use crate::error::{Error, Kind};
use crate::host::Host;

/// How many builds of a driver are kept, the one that is used among them: enough to go back a few steps.
const BUILDS_KEPT: usize = 8;

impl Host {
    /// Installs what a plan has read: those very bytes. `consented` says that the operator has seen the plan and gives
    /// what it asks for; it is durable when this returns, and takes effect at the next call of a driver.
    ///
    /// # Errors
    /// [`Kind::Denied`] when something is against it, or consent is missing; [`Kind::Conflict`] when it would do more
    /// by now than the plan said. Nothing is changed then.
    pub async fn driver_install(&self, plan: &DriverPlan, consented: bool) -> Result<DriverChanged, Error> {
        self.require_operator()?;
        let owner = self.owner()?;
        let now = self.plan(plan.package.clone(), plan.options.clone())?;
        now.accepted()?;
        let Some(name) = &now.name else { return Err(no_name()) };
        if now.consent.iter().any(|sentence| !plan.consent.contains(sentence)) {
            let message = format!("what installing '{name}' would do has changed since it was shown");
            return Err(Error::new(Kind::Conflict, "driver.plan-changed", message)
                .hint("look at it again: run the command once more"));
        }
        if !consented && !now.consent.is_empty() {
            return Err(needs_consent(&now));
        }
        let mut record = self.state().driver(name)?.unwrap_or_else(|| DriverRecord::new(name));
        let previous = record.active_version().map(|version| version.version.clone());
        if now.installed && now.consent.is_empty() && self.is_stored(name, &now)? {
            return Ok(changed(&record, previous, false));
        }
        let signatures = now.package.signatures.as_deref();
        owner.put_driver_component(name, &now.digest, &now.package.bytes, signatures)?;
        record.allow.extend(now.asks_for.iter().cloned());
        let dropped = enter(&mut record, &now);
        self.take_types(&mut record, &now)?;
        owner.put_driver(&record)?;
        for digest in dropped {
            owner.remove_driver_component(name, &digest)?;
        }
        Ok(changed(&record, previous, true))
    }

    /// Whether the plan's driver is kept just as it came: not changed since, and with these signatures.
    fn is_stored(&self, name: &str, plan: &DriverPlan) -> Result<bool, Error> {
        let path = self.state().driver_component(name, &plan.digest)?;
        let stored = Package::stored(&path, &plan.digest);
        Ok(stored.is_ok_and(|stored| stored.signatures == plan.package.signatures))
    }

    /// Writes down which types the operator has given to this driver, and takes them from the one that had them so.
    fn take_types(&self, record: &mut DriverRecord, plan: &DriverPlan) -> Result<(), Error> {
        if !plan.options.take_types {
            return Ok(());
        }
        for mut other in self.state().drivers()?.into_iter().filter(|other| other.name != record.name) {
            let before = other.takes.len();
            other.takes.retain(|kind| !plan.domain_types.contains(kind));
            if other.takes.len() < before {
                self.owner()?.put_driver(&other)?;
            }
        }
        record.takes.clone_from(&plan.domain_types);
        Ok(())
    }
}

/// Makes the plan's driver the one that is used; gives the digests that are kept no longer.
fn enter(record: &mut DriverRecord, plan: &DriverPlan) -> Vec<String> {
    record.versions.retain(|version| version.digest != plan.digest);
    record.versions.push(InstalledVersion {
        digest: plan.digest.clone(),
        version: plan.version.clone().unwrap_or_default(),
        contract: plan.contract.clone().unwrap_or_default(),
        size: plan.size,
        domain_types: plan.domain_types.clone(),
        source: plan.path.display().to_string(),
        installed_unix_ms: unix_ms(),
    });
    record.active = Some(plan.digest.clone());
    let excess = record.versions.len().saturating_sub(BUILDS_KEPT);
    record.versions.drain(..excess).map(|version| version.digest).collect()
}

/// The answer of a verb that changed a record.
pub(super) fn changed(record: &DriverRecord, previous: Option<String>, changed: bool) -> DriverChanged {
    let active = record.active_version();
    DriverChanged {
        name: record.name.clone(),
        version: active.map(|version| version.version.clone()),
        digest: active.map(|version| version.digest.clone()),
        previous,
        changed,
    }
}

fn needs_consent(plan: &DriverPlan) -> Error {
    let name = plan.name.as_deref().unwrap_or_default();
    let error = Error::new(
        Kind::Denied,
        "driver.consent",
        format!("installing the driver '{name}' needs your consent: {}", plan.consent.join("; ")),
    );
    let error = match &plan.replaces {
        Some(replaced) if replaced.origin == DriverOrigin::Installed => {
            error.hint(format!("version {} stays in use until then", replaced.version))
        }
        _ => error,
    };
    error.hint("look at everything with --dry-run; give it with --yes").about("driver", name)
}

fn no_name() -> Error {
    Error::new(Kind::Denied, "driver.no-manifest", "the driver has no manifest that can be read")
}
