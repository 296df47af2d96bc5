//! `snapshot list`, `show` and `xml`: what is recorded of a domain's snapshots.

use crate::error::Error;
use crate::host::Host;
use crate::reference::DomainRef;
use crate::snapshot_summary::{SnapshotDetails, SnapshotSummary, details, summary};
use crate::snapshots::document;

impl Host {
    /// The snapshots of a domain, the oldest first.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`]; [`crate::Kind::Host`] when the record cannot be read.
    pub async fn snapshot_list(&self, wanted: &DomainRef) -> Result<Vec<SnapshotSummary>, Error> {
        let definition = self.find(wanted)?;
        let tree = self.state().snapshots(definition.uuid)?;
        Ok(tree.snapshots.iter().map(|snapshot| summary(&tree, snapshot)).collect())
    }

    /// Everything about one snapshot.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`].
    pub async fn snapshot_show(&self, wanted: &DomainRef, name: &str) -> Result<SnapshotDetails, Error> {
        let definition = self.find(wanted)?;
        let (tree, snapshot) = self.snapshot(&definition, name)?;
        Ok(details(&definition.name, &tree, &snapshot))
    }

    /// A snapshot as libvirt's document.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`].
    pub async fn snapshot_xml(&self, wanted: &DomainRef, name: &str) -> Result<String, Error> {
        let definition = self.find(wanted)?;
        Ok(document(&self.snapshot(&definition, name)?.1))
    }
}
