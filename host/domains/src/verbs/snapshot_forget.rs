//! A snapshot that is only forgotten: what it keeps stays where it is.

use std::path::PathBuf;

use crate::error::Error;
use crate::host::Host;
use crate::reference::DomainRef;
use crate::snapshots::Scene;

impl Host {
    /// Forgets a snapshot, and leaves its images, and a file with memory, as they are: whoever asks for it keeps them. Those
    /// that were taken from it follow its parent.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`]; [`crate::Kind::Conflict`] while a change of the domain's snapshots is unfinished.
    pub fn snapshot_forget(&self, wanted: &DomainRef, name: &str) -> Result<(), Error> {
        let owner = self.owner()?;
        let definition = self.find(wanted)?;
        self.require_no_unfinished_change(&definition)?;
        let (tree, snapshot) = self.snapshot(&definition, name)?;
        let Scene { below, mut tree, .. } = self.scene(&definition, tree)?;
        tree.remove(name);
        // From here on nothing of it is removed by what happens to another snapshot.
        let is_its_own = |image: &PathBuf| snapshot.disks.iter().any(|disk| disk.image == *image);
        tree.made.retain(|image| !is_its_own(image) && !below.get(image).is_some_and(is_its_own));
        tree.left.retain(|left| !is_its_own(&left.stands_on));
        owner.put_snapshots(definition.uuid, &tree)?;
        self.tell(&definition, "snapshot-forgotten");
        Ok(())
    }
}
