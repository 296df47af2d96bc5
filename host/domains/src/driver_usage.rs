//! Which grants drivers have used: counted while they run, kept when something is new.

use hostler_runtime::Driver;
use hostler_state::{Owner, unix_ms};

use crate::error::Error;
use crate::host::{Held, Host};

impl Host {
    /// Writes down which grants were used for the first time. Only an owner does; what a reader's drivers use is not
    /// counted, and costs nobody anything.
    pub(crate) fn keep_usage(&self) {
        let Held::Owner(owner) = self.held() else { return };
        for driver in self.drivers.loaded() {
            if let Err(error) = keep(owner, &driver) {
                tracing::warn!(driver = driver.manifest().name, %error, "what the driver has used is not kept");
            }
        }
    }
}

fn keep(owner: &Owner, driver: &Driver) -> Result<(), Error> {
    let name = &driver.manifest().name;
    let used = driver.take_activity().grants_used;
    if used.is_empty() {
        return Ok(());
    }
    let mut usage = owner.driver_usage(name)?;
    let known = usage.grants.len();
    for grant in used {
        usage.grants.entry(grant).or_insert_with(unix_ms);
    }
    if usage.grants.len() > known {
        owner.put_driver_usage(name, &usage)?;
    }
    Ok(())
}
