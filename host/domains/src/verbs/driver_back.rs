//! `driver rollback` and `driver upgrade --to`: uses another build of those that are kept.

use hostler_grant::refusals;
use hostler_package::Package;
use hostler_state::{DriverRecord, InstalledVersion};

use super::driver_install::changed;
use crate::driver_summary::DriverChanged;
use crate::error::{Error, Kind};
use crate::host::Host;

/// Digits of a digest, after `sha256:`, from which on its beginning may stand for it.
const DIGITS_AT_LEAST: usize = 8;

impl Host {
    /// Uses the build that is named by version or digest, or the one installed before the one that is used. The operator
    /// says so, and that is all that going back takes; the policy still has to accept the build.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is not installed or there is no such build; [`Kind::Denied`] when it is not what was
    /// installed or the policy refuses it. Nothing is changed then.
    pub async fn driver_use(&self, name: &str, to: Option<&str>) -> Result<DriverChanged, Error> {
        self.require_operator()?;
        let owner = self.owner()?;
        let mut record = self.installed_record(name)?;
        let previous = record.active_version().map(|version| version.version.clone());
        let chosen = match to {
            Some(wanted) => named(&record, wanted)?,
            None => before_active(&record)?,
        };
        if record.active.as_ref() == Some(&chosen.digest) {
            return Ok(changed(&record, previous, false));
        }
        record.active = Some(chosen.digest.clone());
        self.check_usable(&record, &chosen)?;
        owner.put_driver(&record)?;
        Ok(changed(&record, previous, true))
    }

    /// The record of an installed driver.
    pub(super) fn installed_record(&self, name: &str) -> Result<DriverRecord, Error> {
        let record = self.state().driver(name)?.filter(|record| record.active.is_some());
        record.ok_or_else(|| {
            let message = format!("no driver is installed under the name '{}'", name.escape_debug());
            Error::new(Kind::NotFound, "driver.not-installed", message)
                .hint_command("see which there are", "hostler driver list")
                .hint_command("install it", "hostler driver install FILE")
        })
    }

    /// Refuses a build that could not be loaded, while the one before it still is used.
    fn check_usable(&self, record: &DriverRecord, chosen: &InstalledVersion) -> Result<(), Error> {
        let path = self.state().driver_component(&record.name, &chosen.digest)?;
        let package = Package::stored(&path, &chosen.digest)?;
        let manifest = package.judge().into_manifest()?;
        self.check_domains(&manifest)?;
        let policy = self.drivers.policy_with(Some(record));
        let signatures = if policy.signers.is_empty() { Default::default() } else { package.signatures()? };
        if let Some(refusal) = refusals(&manifest, &chosen.digest, &signatures, &policy).into_iter().next() {
            return Err(refusal.into());
        }
        self.drivers.runtime()?.load_package(&package, &policy, self.drivers.tenant())?;
        Ok(())
    }
}

/// The one build with this version, or whose digest begins so.
pub(super) fn named(record: &DriverRecord, wanted: &str) -> Result<InstalledVersion, Error> {
    let digits = wanted.strip_prefix("sha256:").unwrap_or(wanted);
    let long = digits.len() >= DIGITS_AT_LEAST;
    let begins = |version: &InstalledVersion| {
        long && version.digest.strip_prefix("sha256:").is_some_and(|digest| digest.starts_with(digits))
    };
    let matches = |version: &&InstalledVersion| version.version == wanted || begins(version);
    let found: Vec<_> = record.versions.iter().filter(matches).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(no_build(
            record,
            &format!("no build '{}' of driver '{}' is kept", wanted.escape_debug(), record.name),
        )),
        _ => Err(no_build(
            record,
            &format!("several builds of driver '{}' are called '{wanted}'", record.name),
        )),
    }
}

fn before_active(record: &DriverRecord) -> Result<InstalledVersion, Error> {
    let at = record.versions.iter().position(|version| Some(&version.digest) == record.active.as_ref());
    let before = at.and_then(|at| at.checked_sub(1)).and_then(|at| record.versions.get(at));
    before.cloned().ok_or_else(|| {
        no_build(
            record,
            &format!("no build of driver '{}' is kept from before the one that is used", record.name),
        )
    })
}

fn no_build(record: &DriverRecord, message: &str) -> Error {
    let kept: Vec<_> =
        record.versions.iter().map(|version| format!("{} ({})", version.version, version.digest)).collect();
    Error::new(Kind::NotFound, "driver.no-such-build", message)
        .hint(format!("builds that are kept: {}", kept.join(", ")))
}
