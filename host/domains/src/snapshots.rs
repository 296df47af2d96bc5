//! Snapshots of domains: what is to be kept, the change that keeps it, the plan that removes it.
//!
//! Every verb works out a [`Change`] first, which is all that is to be done and how things are afterwards. The journal has
//! it before its first effect; [`change`] carries it out, and finishes or undoes what a killed command has left.

pub(crate) mod change;
mod check;
mod disks;
mod documents;
mod live;
mod merge_live;
mod overlays;
mod plan;
mod recorded;
mod request;
mod store;
mod within;
mod written;

use hostler_state::{Definition, Snapshot, SnapshotTree};

use crate::error::{Error, Kind, command};
use crate::host::Host;

pub use plan::{ImageFate, PlannedImage};
pub use request::NewSnapshot;

pub(crate) use change::{Change, InternalChange, InternalWord, MergeNote, redefined};
pub(crate) use check::{require_independent, require_no_snapshots};
pub(crate) use disks::{ChosenDisk, chosen_disks, next_free};
pub(crate) use documents::{beside_images, on_overlay};
pub(crate) use live::LiveChange;
pub(crate) use merge_live::{LiveMerge, merged};
pub(crate) use overlays::Overlay;
pub(crate) use plan::{DeletePlan, Merge, Scene};
pub(crate) use recorded::{Recorded, recorded};
pub(crate) use request::{Requested, requested};
pub(crate) use store::memory_operation;
pub(crate) use written::document;

impl Host {
    /// The snapshots of a domain, and the one that is meant.
    ///
    /// # Errors
    /// [`Kind::NotFound`] with the nearest name.
    pub(crate) fn snapshot(
        &self,
        definition: &Definition,
        name: &str,
    ) -> Result<(SnapshotTree, Snapshot), Error> {
        let tree = self.state().snapshots(definition.uuid)?;
        if let Some(found) = tree.get(name).cloned() {
            return Ok((tree, found));
        }
        let message = format!("the domain '{}' has no snapshot '{name}'", definition.name);
        let error = Error::new(Kind::NotFound, "snapshot.not-found", message)
            .about("domain", &definition.name)
            .about("snapshot", name);
        Err(match hostler_domain::nearest(name, tree.snapshots.iter().map(|one| one.name.as_str())) {
            Some(near) => error.hint(format!("did you mean '{near}'?")),
            None => error.hint_command("see which there are", command("snapshot list", &definition.name)),
        })
    }
}
