//! `driver list`: the drivers of this host.

use hostler_grant::grants;
use hostler_runtime::{CacheOutcome, Driver};

use crate::driver_summary::{DriverOrigin, DriverSummary};
use crate::drivers::Candidate;
use crate::error::Error;
use crate::host::Host;

impl Host {
    /// Every driver with what it may do, and the errors of those that cannot be loaded. One that another of its name
    /// hides is there too, and nothing of it is run.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when a driver directory cannot be read.
    pub async fn drivers(&self) -> Result<(Vec<DriverSummary>, Vec<Error>), Error> {
        let (mut summaries, mut failures) = (Vec::new(), Vec::new());
        for candidate in self.drivers.candidates()? {
            let summary = if candidate.hidden {
                self.hidden_summary(&candidate)
            } else {
                match self.drivers.load(&candidate) {
                    Ok(driver) => summary(&candidate, &driver).await,
                    Err(error) => Err(error),
                }
            };
            match summary {
                Ok(summary) => summaries.push(summary),
                Err(error) => failures.push(error.about("path", candidate.path.display().to_string())),
            }
        }
        Ok((summaries, failures))
    }

    fn hidden_summary(&self, candidate: &Candidate) -> Result<DriverSummary, Error> {
        let package = candidate.package()?;
        let judged = package.judge();
        let abilities = judged.abilities.clone();
        let manifest = judged.into_manifest()?;
        // What the operator said by command is about the one that hides it.
        let decided = grants(&manifest, &self.drivers.policy_with(None), self.drivers.tenant());
        Ok(DriverSummary {
            name: manifest.name,
            version: manifest.version,
            contract: manifest.contract,
            digest: package.digest,
            path: candidate.path.clone(),
            origin: DriverOrigin::Directory,
            hidden: true,
            pinned: false,
            signer: None,
            size: package.bytes.len() as u64,
            title: String::new(),
            domain_types: manifest.domain_types,
            granted: decided.granted.iter().map(ToString::to_string).collect(),
            denied: decided
                .denied
                .iter()
                .map(|denied| format!("{}: {}", denied.grant, denied.reason))
                .collect(),
            abilities,
            cached: false,
        })
    }

    /// Describes a driver that a verb has used.
    pub(crate) async fn driver_summary(&self, driver: &Driver) -> Result<DriverSummary, Error> {
        summary(&self.drivers.candidate(&driver.manifest().name)?, driver).await
    }
}

/// Describes a loaded driver for a list.
///
/// # Errors
/// When the driver cannot describe itself.
pub(super) async fn summary(candidate: &Candidate, driver: &Driver) -> Result<DriverSummary, Error> {
    let description = driver.describe().await?;
    let manifest = driver.manifest();
    let granted = driver.granted();
    let installed = candidate.digest.is_some();
    Ok(DriverSummary {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        contract: manifest.contract.clone(),
        digest: driver.digest().to_owned(),
        path: driver.path().to_owned(),
        origin: if installed { DriverOrigin::Installed } else { DriverOrigin::Directory },
        hidden: false,
        pinned: candidate.record.as_ref().is_some_and(|record| record.pin.is_some()),
        signer: granted.signer.clone(),
        size: driver.size_bytes(),
        title: description.title,
        domain_types: manifest.domain_types.clone(),
        granted: granted.granted.iter().map(ToString::to_string).collect(),
        denied: granted.denied.iter().map(|denied| format!("{}: {}", denied.grant, denied.reason)).collect(),
        abilities: driver.abilities().into_iter().map(str::to_owned).collect(),
        cached: driver.compiled() == CacheOutcome::Cached,
    })
}
