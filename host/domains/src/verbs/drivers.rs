//! `driver list`: the drivers of this host.

use crate::drivers;
use crate::error::Error;
use crate::host::Host;
use crate::summary::DriverSummary;

impl Host {
    /// Every driver with what it may do, and the errors of those that cannot be loaded.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when a driver directory cannot be read.
    pub async fn drivers(&self) -> Result<(Vec<DriverSummary>, Vec<Error>), Error> {
        let (mut summaries, mut failures) = (Vec::new(), Vec::new());
        for loaded in self.drivers.all()? {
            let summary = match loaded {
                Ok(driver) => drivers::summary(&driver).await,
                Err(error) => Err(error),
            };
            match summary {
                Ok(summary) => summaries.push(summary),
                Err(error) => failures.push(error),
            }
        }
        Ok((summaries, failures))
    }
}
