//! `driver verify`: digests drivers anew, and holds them against what was installed and what the policy says.

use std::path::Path;

use hostler_grant::grant;
use hostler_package::Package;
use hostler_state::DriverRecord;

use crate::driver_plan::problem_of;
use crate::driver_summary::{DriverOrigin, Verified};
use crate::error::Error;
use crate::host::Host;

impl Host {
    /// Verifies every build that is kept and every driver in a directory, or those of one name.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`] when there is no driver of that name; [`crate::Kind::Host`] when a directory cannot be
    /// read. What is wrong with a driver is part of the answer.
    pub async fn driver_verify(&self, name: Option<&str>) -> Result<Vec<Verified>, Error> {
        self.require_operator()?;
        if let Some(name) = name {
            self.drivers.candidate(name)?;
        }
        let wanted = |found: &str| name.is_none_or(|name| name == found);
        let mut verified = Vec::new();
        for record in self.state().drivers()?.iter().filter(|record| wanted(&record.name)) {
            for version in &record.versions {
                let path = self.state().driver_component(&record.name, &version.digest)?;
                let package = Package::stored(&path, &version.digest).map_err(Error::from);
                let mut row = self.verified(&record.name, &path, package, Some(record));
                row.version = Some(version.version.clone());
                row.digest = Some(version.digest.clone());
                row.active = record.active.as_ref() == Some(&version.digest);
                row.origin = DriverOrigin::Installed;
                // A pin is about what may be loaded; the others are kept for when it is lifted.
                let pinned_out = record.pin.as_ref().is_some_and(|pin| *pin != version.digest);
                if !row.active && pinned_out {
                    row.problem = row.problem.filter(|problem| problem.code != "grant.digest-mismatch");
                }
                verified.push(row);
            }
        }
        for found in
            self.drivers.candidates()?.iter().filter(|found| found.digest.is_none() && wanted(&found.name))
        {
            // A pin and what the operator gave are about the installed driver when that hides this one.
            let record = found.record.as_ref().filter(|_| !found.hidden);
            let mut row = self.verified(&found.name, &found.path, found.package(), record);
            row.active = !found.hidden;
            verified.push(row);
        }
        Ok(verified)
    }

    fn verified(
        &self,
        name: &str,
        path: &Path,
        package: Result<Package, Error>,
        record: Option<&DriverRecord>,
    ) -> Verified {
        let mut row = Verified {
            name: name.to_owned(),
            version: None,
            digest: package.as_ref().ok().map(|package| package.digest.clone()),
            origin: DriverOrigin::Directory,
            path: path.to_owned(),
            active: false,
            signer: None,
            problem: None,
        };
        match package.and_then(|package| self.accepted_by(&package, record)) {
            Ok((version, signer)) => (row.version, row.signer) = (Some(version), signer),
            Err(error) => row.problem = Some(problem_of(&error)),
        }
        row
    }

    /// The version of a driver that the policy accepts, and who signed it.
    fn accepted_by(
        &self,
        package: &Package,
        record: Option<&DriverRecord>,
    ) -> Result<(String, Option<String>), Error> {
        let manifest = package.judge().into_manifest()?;
        let policy = self.drivers.policy_with(record);
        let signatures = if policy.signers.is_empty() { Default::default() } else { package.signatures()? };
        let granted = grant(&manifest, &package.digest, &signatures, &policy, self.drivers.tenant())?;
        Ok((manifest.version, granted.signer))
    }
}
