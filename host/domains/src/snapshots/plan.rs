//! What becomes of images when snapshots are deleted. Pure: it works on what was found out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hostler_state::{Snapshot, SnapshotKind, SnapshotTree};
use serde::Serialize;

use crate::error::{Error, Kind};

/// What becomes of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "fate")]
pub enum ImageFate {
    /// It stays as it is.
    Kept {
        /// Why.
        why: String,
    },
    /// It gets what the overlay above it holds, and that overlay goes.
    Merged {
        /// The overlay.
        overlay: PathBuf,
    },
    /// It is removed.
    Removed {
        /// Why nobody needs it.
        why: String,
    },
    /// What it keeps under the snapshot's name goes.
    Forgets,
}

/// An image in the plan of a deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedImage {
    /// The snapshot that is deleted.
    pub snapshot: String,
    /// The image.
    pub image: PathBuf,
    /// What becomes of it.
    #[serde(flatten)]
    pub fate: ImageFate,
}

/// An overlay that is written into what it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Merge {
    pub(crate) overlay: PathBuf,
    pub(crate) into: PathBuf,
    pub(crate) format: String,
}

/// What a deletion does.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeletePlan {
    pub(crate) images: Vec<PlannedImage>,
    /// In this order.
    pub(crate) merges: Vec<Merge>,
    /// After everything else.
    pub(crate) removes: Vec<PathBuf>,
}

/// What is known about the images of a domain and its snapshots.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    /// What each image stands on.
    pub(crate) below: BTreeMap<PathBuf, PathBuf>,
    /// The images that the domain has now, the active ones.
    pub(crate) active: BTreeSet<PathBuf>,
    /// What is recorded.
    pub(crate) tree: SnapshotTree,
}

impl Scene {
    /// Plans the deletion of a snapshot, and becomes the scene after it.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is none of that name; [`Kind::Conflict`] when an image that would go keeps another
    /// snapshot within itself.
    pub(crate) fn delete(&mut self, name: &str, plan: &mut DeletePlan) -> Result<(), Error> {
        let Some(snapshot) = self.tree.remove(name) else {
            return Err(Error::new(
                Kind::NotFound,
                "snapshot.not-found",
                format!("there is no snapshot '{name}'"),
            ));
        };
        for disk in &snapshot.disks {
            match snapshot.kind {
                SnapshotKind::Internal => plan.tell(&snapshot, &disk.image, ImageFate::Forgets),
                SnapshotKind::External => self.let_go(&snapshot, &disk.image, &disk.format, plan)?,
            }
        }
        Ok(())
    }

    /// Plans the deletion of a snapshot for one of its disks, and becomes the scene after it. The snapshot is still there.
    ///
    /// # Errors
    /// As [`Self::delete`].
    pub(crate) fn delete_disk(
        &mut self,
        name: &str,
        target: &str,
        plan: &mut DeletePlan,
    ) -> Result<(), Error> {
        let mut before = self.tree.clone();
        let snapshot = self.tree.remove(name);
        let disk = snapshot.as_ref().and_then(|one| one.disks.iter().find(|disk| disk.target == target));
        if let (Some(snapshot), Some(disk)) = (&snapshot, disk) {
            self.let_go(snapshot, &disk.image, &disk.format, plan)?;
        }
        for snapshot in &mut before.snapshots {
            if let Some(after) = self.tree.get(&snapshot.name) {
                snapshot.disks.clone_from(&after.disks);
            }
        }
        before.made.clone_from(&self.tree.made);
        before.left.clone_from(&self.tree.left);
        self.tree = before;
        Ok(())
    }

    fn let_go(
        &mut self,
        snapshot: &Snapshot,
        image: &Path,
        format: &str,
        plan: &mut DeletePlan,
    ) -> Result<(), Error> {
        // What an image keeps within itself stays there whatever is written to it.
        let is_frozen = self.holders(image).any(|holder| holder.kind == SnapshotKind::External);
        if self.active.contains(image) || is_frozen {
            plan.tell(snapshot, image, kept("it is in use beside this snapshot"));
            return Ok(());
        }
        let above: Vec<PathBuf> =
            self.below.iter().filter(|(_, below)| *below == image).map(|(above, _)| above.clone()).collect();
        let (left, needed): (Vec<_>, Vec<_>) = above.into_iter().partition(|above| self.is_left(above));
        match needed.as_slice() {
            [] => {
                self.remove_left(snapshot, &left, plan)?;
                self.remove(snapshot, image, "nothing stands on it any more", plan)
            }
            [overlay] if !self.tree.made.contains(overlay) => {
                plan.tell(snapshot, image, kept("what stands on it was not made for a snapshot"));
                Ok(())
            }
            [overlay] => {
                self.require_empty(overlay)?;
                self.remove_left(snapshot, &left, plan)?;
                self.merge(snapshot, overlay, (image, format), plan);
                Ok(())
            }
            _ => {
                plan.tell(snapshot, image, kept("several images stand on it"));
                Ok(())
            }
        }
    }

    /// The overlay's content is in the image from then on, which takes its place everywhere.
    fn merge(
        &mut self,
        snapshot: &Snapshot,
        overlay: &Path,
        (image, format): (&Path, &str),
        plan: &mut DeletePlan,
    ) {
        plan.tell(snapshot, image, ImageFate::Merged { overlay: overlay.to_owned() });
        let merge = Merge { overlay: overlay.to_owned(), into: image.to_owned(), format: format.to_owned() };
        plan.merges.push(merge);
        plan.removes.push(overlay.to_owned());
        self.forget(overlay);
        if self.active.remove(overlay) {
            self.active.insert(image.to_owned());
        }
        self.below.values_mut().filter(|below| *below == overlay).for_each(|below| image.clone_into(below));
        for disk in self.tree.snapshots.iter_mut().flat_map(|snapshot| &mut snapshot.disks) {
            if disk.image == overlay {
                image.clone_into(&mut disk.image);
                format.clone_into(&mut disk.format);
            }
            if disk.overlay.as_deref() == Some(overlay) {
                disk.overlay = Some(image.to_owned());
            }
        }
        for left in self.tree.left.iter_mut().filter(|left| left.stands_on == overlay) {
            image.clone_into(&mut left.stands_on);
        }
    }

    fn remove_left(
        &mut self,
        snapshot: &Snapshot,
        left: &[PathBuf],
        plan: &mut DeletePlan,
    ) -> Result<(), Error> {
        left.iter().try_for_each(|overlay| self.remove(snapshot, overlay, "a revert left it behind", plan))
    }

    fn remove(
        &mut self,
        snapshot: &Snapshot,
        image: &Path,
        why: &str,
        plan: &mut DeletePlan,
    ) -> Result<(), Error> {
        if !self.tree.made.iter().any(|made| made == image) {
            plan.tell(snapshot, image, kept("it was there before there were snapshots"));
            return Ok(());
        }
        self.require_empty(image)?;
        plan.tell(snapshot, image, ImageFate::Removed { why: why.to_owned() });
        plan.removes.push(image.to_owned());
        self.forget(image);
        Ok(())
    }

    fn forget(&mut self, image: &Path) {
        self.below.remove(image);
        self.tree.made.retain(|made| made != image);
        self.tree.left.retain(|left| left.image != image);
    }

    /// Refuses to take an image away that keeps snapshots within itself.
    fn require_empty(&self, image: &Path) -> Result<(), Error> {
        let within = self.holders(image).find(|holder| holder.kind == SnapshotKind::Internal);
        let Some(within) = within else { return Ok(()) };
        let message = format!(
            "the image '{}' keeps the snapshot '{}' within itself, and would go",
            image.display(),
            within.name
        );
        Err(Error::new(Kind::Conflict, "snapshot.holds-another", message)
            .about("snapshot", &within.name)
            .hint(format!("delete '{}' first", within.name)))
    }

    fn is_left(&self, image: &Path) -> bool {
        let is_recorded = self.tree.left.iter().any(|left| left.image == image);
        is_recorded && !self.active.contains(image) && self.holders(image).next().is_none()
    }

    /// Snapshots with this image.
    fn holders<'a>(&'a self, image: &'a Path) -> impl Iterator<Item = &'a Snapshot> {
        let has = move |snapshot: &&Snapshot| snapshot.disks.iter().any(|disk| disk.image == image);
        self.tree.snapshots.iter().filter(has)
    }
}

impl DeletePlan {
    fn tell(&mut self, snapshot: &Snapshot, image: &Path, fate: ImageFate) {
        self.images.push(PlannedImage { snapshot: snapshot.name.clone(), image: image.to_owned(), fate });
    }
}

fn kept(why: &str) -> ImageFate {
    ImageFate::Kept { why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_state::{LeftOverlay, SnapshotDisk, SnapshotState};

    /// A snapshot that froze `image`.
    fn external(name: &str, parent: Option<&str>, image: &str) -> Snapshot {
        Snapshot {
            name: name.to_owned(),
            operation: 1,
            parent: parent.map(str::to_owned),
            description: None,
            created_unix_ms: 0,
            kind: SnapshotKind::External,
            state: SnapshotState::Off,
            xml: String::new(),
            stored_xml: None,
            disks: vec![SnapshotDisk {
                target: "vda".to_owned(),
                image: image.into(),
                format: "qcow2".to_owned(),
                overlay: None,
            }],
            memory: None,
            store: None,
            being_deleted: false,
        }
    }

    fn scene(stands: &[(&str, &str)], active: &str, snapshots: Vec<Snapshot>) -> Scene {
        let mut tree = SnapshotTree::default();
        tree.snapshots = snapshots;
        tree.made = stands.iter().map(|(above, _)| above.into()).collect();
        let below = stands.iter().map(|(above, below)| (above.into(), below.into())).collect();
        Scene { below, active: [PathBuf::from(active)].into(), tree }
    }

    /// base ← o1 ← o2, two snapshots in a row.
    fn row() -> Scene {
        let snapshots = vec![external("a", None, "base"), external("b", Some("a"), "o1")];
        scene(&[("o1", "base"), ("o2", "o1")], "o2", snapshots)
    }

    fn planned(scene: &mut Scene, names: &[&str]) -> DeletePlan {
        let mut plan = DeletePlan::default();
        names.iter().for_each(|name| scene.delete(name, &mut plan).unwrap());
        plan
    }

    fn merges(plan: &DeletePlan) -> Vec<(String, String)> {
        let shown = |path: &Path| path.display().to_string();
        plan.merges.iter().map(|merge| (shown(&merge.overlay), shown(&merge.into))).collect()
    }

    fn pair(overlay: &str, into: &str) -> (String, String) {
        (overlay.to_owned(), into.to_owned())
    }

    #[test]
    fn either_order_of_deletion_ends_in_the_base_alone() {
        let mut forwards = row();
        let plan = planned(&mut forwards, &["a", "b"]);
        assert_eq!(merges(&plan), [pair("o1", "base"), pair("o2", "base")]);
        let mut backwards = row();
        let plan = planned(&mut backwards, &["b", "a"]);
        assert_eq!(merges(&plan), [pair("o2", "o1"), pair("o1", "base")]);
        for scene in [forwards, backwards] {
            assert!(scene.below.is_empty() && scene.tree.made.is_empty(), "{scene:?}");
            assert_eq!(scene.active, [PathBuf::from("base")].into());
        }
    }

    #[test]
    fn snapshot_above_a_merged_one_follows_to_the_image_below() {
        let mut scene = row();
        planned(&mut scene, &["a"]);
        let b = scene.tree.get("b").unwrap();
        assert_eq!((b.disks[0].image.as_path(), b.parent.as_deref()), (Path::new("base"), None));
        assert_eq!(scene.below[Path::new("o2")], Path::new("base"));
    }

    #[test]
    fn one_disk_after_another_comes_to_the_same() {
        let mut scene = row();
        let mut plan = DeletePlan::default();
        scene.delete_disk("a", "vda", &mut plan).unwrap();
        assert_eq!((merges(&plan), scene.tree.snapshots.len()), (vec![pair("o1", "base")], 2));
        assert_eq!(scene.tree.get("b").unwrap().parent.as_deref(), Some("a"));
        let mut again = DeletePlan::default();
        scene.delete_disk("a", "vda", &mut again).unwrap();
        assert!(again.merges.is_empty() && again.removes.is_empty(), "{again:?}");
        let rest = planned(&mut scene, &["a"]);
        assert!(rest.merges.is_empty() && rest.removes.is_empty(), "{rest:?}");
        let mut whole = row();
        planned(&mut whole, &["a"]);
        assert_eq!(scene.tree, whole.tree);
    }

    /// base ← o1 ← o2 (left), base ← o3 active: reverted to `a` after `b` was taken.
    fn branched() -> Scene {
        let snapshots = vec![external("a", None, "base"), external("b", Some("a"), "o1")];
        let mut scene = scene(&[("o1", "base"), ("o2", "o1"), ("o3", "base")], "o3", snapshots);
        scene.tree.left = vec![LeftOverlay { image: "o2".into(), stands_on: "o1".into() }];
        scene
    }

    #[test]
    fn branch_that_was_left_goes_with_its_snapshot_and_then_the_base_gets_the_rest() {
        let mut scene = branched();
        let plan = planned(&mut scene, &["b"]);
        assert!(plan.merges.is_empty());
        assert_eq!(plan.removes, [PathBuf::from("o2"), PathBuf::from("o1")]);
        let plan = planned(&mut scene, &["a"]);
        assert_eq!(merges(&plan), [pair("o3", "base")]);
    }

    #[test]
    fn image_with_several_above_stays() {
        let mut scene = branched();
        let plan = planned(&mut scene, &["a"]);
        assert!(plan.merges.is_empty() && plan.removes.is_empty());
        assert!(matches!(&plan.images[0].fate, ImageFate::Kept { why } if why.contains("several")));
        assert_eq!(scene.tree.get("b").unwrap().parent, None);
        let plan = planned(&mut scene, &["b"]);
        assert_eq!(plan.removes, [PathBuf::from("o2"), PathBuf::from("o1")], "the branch goes");
    }

    #[test]
    fn what_was_there_before_is_never_removed() {
        let mut scene = scene(&[], "elsewhere", vec![external("a", None, "base")]);
        let plan = planned(&mut scene, &["a"]);
        assert!(plan.removes.is_empty());
        assert!(matches!(&plan.images[0].fate, ImageFate::Kept { why } if why.contains("before")));
    }

    #[test]
    fn overlay_that_keeps_a_snapshot_within_itself_stays_until_that_is_deleted() {
        let mut scene = scene(&[("o1", "base")], "o1", vec![external("a", None, "base")]);
        scene
            .tree
            .snapshots
            .push(Snapshot { kind: SnapshotKind::Internal, ..external("w", Some("a"), "o1") });
        let refused = scene.clone().delete("a", &mut DeletePlan::default()).unwrap_err();
        assert_eq!(refused.code(), "snapshot.holds-another");
        let plan = planned(&mut scene, &["w", "a"]);
        assert_eq!(plan.images[0].fate, ImageFate::Forgets);
        assert_eq!(merges(&plan), [pair("o1", "base")]);
    }
}
