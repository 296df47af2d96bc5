//! `screenshot`: a picture of what a guest shows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_runtime::Driver;
use hostler_state::Definition;
use serde::Serialize;

use crate::context::Purpose;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::DomainRef;
use crate::written_out::{Words, WrittenOut};

/// A picture that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Screenshot {
    /// The domain.
    pub name: String,
    /// The file that it is in.
    pub path: PathBuf,
    /// What kind of picture it is: `image/png`.
    pub media_type: String,
    /// The size of the file, in bytes.
    pub bytes: u64,
}

impl Host {
    /// Writes a picture of a display, counted from 0, to a new file. The file is whole or not there.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the domain does not run; [`Kind::NotFound`] when it has no such display; [`Kind::Exists`] when
    /// there is such a file; [`Kind::Unsupported`] when its driver takes no pictures; what writing says.
    pub async fn screenshot(&self, wanted: &DomainRef, display: u32, to: &Path) -> Result<Screenshot, Error> {
        let definition = self.active(wanted).await?;
        let driver = self.with_screen(&definition)?;
        let place = self.named_place(to)?;
        let words = Words { unwritten: "screenshot.unwritten", claim: "took a picture" };
        let written = self.write_out(&definition, &place, &words, async |context| {
            driver.take_picture(context, display).await
        });
        let WrittenOut { path, bytes, answer: media_type } = written.await?;
        Ok(Screenshot { name: definition.name, path, media_type, bytes })
    }

    /// Presses keys together, by their numbers among Linux's input event codes, and lets them go after `hold_ms`.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the domain does not run; [`Kind::Unsupported`] for a key that it does not have.
    pub async fn press_keys(&self, wanted: &DomainRef, keys: &[u32], hold_ms: u32) -> Result<(), Error> {
        let definition = self.active(wanted).await?;
        let driver = self.with_screen(&definition)?;
        Ok(driver.press_keys(&self.context(&definition, Purpose::Operate)?, keys, hold_ms).await?)
    }

    fn with_screen(&self, definition: &Definition) -> Result<Arc<Driver>, Error> {
        let driver = self.drivers.by_name(&definition.driver)?;
        if driver.has_screen() {
            return Ok(driver);
        }
        let message =
            format!("the driver '{}' has neither pictures nor keys of its guests", definition.driver);
        Err(Error::new(Kind::Unsupported, "driver.no-screen", message).about("domain", &definition.name))
    }
}
