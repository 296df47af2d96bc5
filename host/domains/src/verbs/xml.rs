//! `xml`: a domain's document.

use crate::error::Error;
use crate::host::Host;
use crate::reference::DomainRef;

/// Which document of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one it was started with, if it runs; otherwise the stored one.
    Current,
    /// The stored one: what its next start takes.
    Stored,
}

impl Host {
    /// A domain's document, as its driver completed it.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`].
    pub async fn xml(&self, wanted: &DomainRef, which: Which) -> Result<String, Error> {
        let definition = self.find(wanted)?;
        match which {
            Which::Stored => Ok(definition.xml),
            Which::Current => self.current_xml(&definition),
        }
    }
}
