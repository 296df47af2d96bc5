//! `pool xml`: a pool's document.

use crate::error::Error;
use crate::host::Host;
use crate::reference::PoolRef;

impl Host {
    /// The document of a pool, as it was given, with the identifier.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`].
    pub async fn pool_xml(&self, wanted: &PoolRef) -> Result<String, Error> {
        Ok(self.pool(wanted)?.definition.xml)
    }
}
