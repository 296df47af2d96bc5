//! The snapshots of a domain: one record with all of them, so that a change of several is one change.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Kind, StateError};
use crate::files::Keep;
use crate::layout::StateDir;
use crate::owner::Owner;

/// The name of the record in the domain's directory.
const RECORD: &str = "snapshots";
/// The layout of the record.
const VERSION: u32 = 1;

/// How the data of a disk was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotKind {
    /// Within the image itself, under the snapshot's name.
    Internal,
    /// In the image, which nobody writes to any more: what is written since goes to an overlay above it.
    External,
}

/// What the guest was doing when it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotState {
    /// There was no guest.
    Off,
    /// It ran, and its memory was kept.
    Running,
    /// It was stopped, and its memory was kept.
    Paused,
    /// It ran, and only its disks were kept: as after a power cut.
    DiskOnly,
}

/// A disk in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotDisk {
    /// Its target name.
    pub target: String,
    /// The image that holds the data of that time.
    pub image: PathBuf,
    /// The format of that image, by its name in documents.
    pub format: String,
    /// The overlay that was made above it; none for an internal one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<PathBuf>,
}

/// A copy of the variable store that was made beside the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotStore {
    /// The name of the file in the domain's directory.
    pub file: String,
    /// Its format, by its name in documents.
    pub format: String,
}

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The name that users give it; unique among those of its domain.
    pub name: String,
    /// The operation that made it, which no other snapshot has.
    pub operation: u64,
    /// The snapshot that the guest went on from when it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// What the user says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it was taken, in milliseconds since 1970.
    pub created_unix_ms: u64,
    /// How the data of its disks was kept.
    pub kind: SnapshotKind,
    /// What the guest was doing.
    pub state: SnapshotState,
    /// The domain's document at that time: of a guest that ran, the one that it ran with.
    pub xml: String,
    /// The definition at that time, where it was another document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_xml: Option<String>,
    /// Its disks, in the order of the document.
    pub disks: Vec<SnapshotDisk>,
    /// The file with the guest's memory, if it was kept in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<PathBuf>,
    /// The variable store of that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<SnapshotStore>,
    /// A deletion has begun to change its images: it can be deleted, and nothing else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub being_deleted: bool,
}

/// An overlay that a reverted domain no longer uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOverlay {
    /// The overlay.
    pub image: PathBuf,
    /// What it stands on.
    pub stands_on: PathBuf,
}

/// All snapshots of a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotTree {
    /// The layout of this record.
    version: u32,
    /// The snapshot that the guest goes on from: the parent of the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The snapshots, the oldest first.
    pub snapshots: Vec<Snapshot>,
    /// Images that were made for snapshots of this domain, and that it may remove.
    pub made: Vec<PathBuf>,
    /// Overlays that a revert left behind.
    pub left: Vec<LeftOverlay>,
}

impl SnapshotTree {
    /// The snapshot of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Snapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.name == name)
    }

    /// The snapshots that were taken from this one on.
    pub fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Snapshot> {
        self.snapshots.iter().filter(move |snapshot| snapshot.parent.as_deref() == Some(name))
    }

    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.snapshots.is_empty() && self.left.is_empty() && self.made.is_empty()
    }

    /// Takes a snapshot out; those that were taken from it follow its parent.
    pub fn remove(&mut self, name: &str) -> Option<Snapshot> {
        let at = self.snapshots.iter().position(|snapshot| snapshot.name == name)?;
        let removed = self.snapshots.remove(at);
        for child in &mut self.snapshots {
            if child.parent.as_deref() == Some(name) {
                child.parent.clone_from(&removed.parent);
            }
        }
        if self.current.as_deref() == Some(name) {
            self.current.clone_from(&removed.parent);
        }
        Some(removed)
    }
}

impl StateDir {
    /// The snapshots of a domain; none when it has no record of any.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when there is a record that cannot be read, [`Kind::TooNew`] when a later version wrote it, or
    /// [`Kind::Io`].
    pub fn snapshots(&self, domain: Uuid) -> Result<SnapshotTree, StateError> {
        let path = self.domain_dir(domain).join(RECORD);
        let Some(payload) = self.files.load(&path)? else {
            return Ok(SnapshotTree { version: VERSION, ..SnapshotTree::default() });
        };
        match serde_json::from_slice::<SnapshotTree>(&payload) {
            Ok(tree) if tree.version == VERSION => Ok(tree),
            Ok(tree) => {
                let message =
                    format!("record of snapshots has version {}, and {VERSION} is known", tree.version);
                Err(StateError::new(Kind::TooNew, &path, message)
                    .hint("use the version of hostler that wrote it, or a later one"))
            }
            Err(error) => {
                self.files.set_aside(&path, false)?;
                let message = "record is intact but does not tell of snapshots";
                Err(StateError::new(Kind::Corrupt, &path, message)
                    .hint("restore it from a backup; the images that it tells of are as they were")
                    .caused_by(error.into()))
            }
        }
    }
}

impl Owner {
    /// Replaces what is known of a domain's snapshots; durable when this returns.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when the domain has no definition; [`Kind::TooLarge`] for too many; [`Kind::Full`],
    /// [`Kind::Io`] or [`Kind::ReadOnly`]: then the old record stands.
    pub fn put_snapshots(&self, domain: Uuid, tree: &SnapshotTree) -> Result<(), StateError> {
        let path = self.domain_dir(domain).join(RECORD);
        if self.definition_by_uuid(domain)?.is_none() {
            return Err(StateError::new(Kind::NotFound, &path, "no such domain")
                .hint("list the domains to see which there are"));
        }
        if tree.is_empty() {
            return self.files.remove(&path);
        }
        let payload = serde_json::to_vec(&SnapshotTree { version: VERSION, ..tree.clone() })
            .map_err(|error| StateError::io(&path, "encode the record", error.into()))?;
        self.files.replace(&path, &payload, Keep::Previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Definition;
    use std::path::Path;
    use std::time::Duration;

    fn snapshot(name: &str, parent: Option<&str>) -> Snapshot {
        Snapshot {
            name: name.to_owned(),
            operation: 1,
            parent: parent.map(str::to_owned),
            description: None,
            created_unix_ms: 1,
            kind: SnapshotKind::External,
            state: SnapshotState::Off,
            xml: "<domain/>".to_owned(),
            stored_xml: None,
            disks: Vec::new(),
            memory: None,
            store: None,
            being_deleted: false,
        }
    }

    fn tree(snapshots: Vec<Snapshot>, current: &str) -> SnapshotTree {
        SnapshotTree { current: Some(current.to_owned()), snapshots, ..SnapshotTree::default() }
    }

    fn owner_with_domain(root: &Path) -> (Owner, Uuid) {
        let owner = StateDir::open_owner(root, Duration::ZERO).unwrap();
        let uuid = Uuid::new_v4();
        owner
            .put_definition(&Definition {
                uuid,
                name: "a".to_owned(),
                xml: "<domain/>".to_owned(),
                driver: "test".to_owned(),
                persistent: true,
                generation: 1,
                created_unix_ms: 1,
                changed_unix_ms: 1,
            })
            .unwrap();
        (owner, uuid)
    }

    #[test]
    fn children_of_a_removed_snapshot_follow_its_parent() {
        let mut tree =
            tree(vec![snapshot("a", None), snapshot("b", Some("a")), snapshot("c", Some("b"))], "b");
        tree.remove("b").unwrap();
        assert_eq!(tree.current.as_deref(), Some("a"));
        assert_eq!(tree.children("a").map(|child| child.name.as_str()).collect::<Vec<_>>(), ["c"]);
        assert!(tree.remove("b").is_none() && tree.get("b").is_none());
        tree.remove("a").unwrap();
        assert_eq!((tree.current.clone(), tree.snapshots[0].parent.clone()), (None, None));
    }

    #[test]
    fn snapshots_are_there_for_the_next_owner_and_go_with_their_domain() {
        let root = tempfile::tempdir().unwrap();
        let (owner, domain) = owner_with_domain(root.path());
        assert!(owner.snapshots(domain).unwrap().is_empty());
        let stored = tree(vec![snapshot("a", None)], "a");
        owner.put_snapshots(domain, &stored).unwrap();
        drop(owner);
        let owner = StateDir::open_owner(root.path(), Duration::ZERO).unwrap();
        let read = owner.snapshots(domain).unwrap();
        assert_eq!((read.snapshots, read.current), (stored.snapshots, stored.current));
        owner.remove_definition(domain).unwrap();
        assert!(owner.snapshots(domain).unwrap().is_empty());
        let gone = owner.put_snapshots(domain, &tree(vec![snapshot("a", None)], "a")).unwrap_err();
        assert_eq!(gone.kind, Kind::NotFound);
    }

    #[test]
    fn records_of_later_versions_and_of_something_else_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let (owner, domain) = owner_with_domain(root.path());
        let path = owner.domain_dir(domain).join(RECORD);
        let later = br#"{"version":2,"snapshots":[],"made":[],"left":[]}"#;
        std::fs::write(&path, crate::encode(later)).unwrap();
        assert_eq!(owner.snapshots(domain).unwrap_err().kind, Kind::TooNew);
        std::fs::write(&path, crate::encode(b"[]")).unwrap();
        assert_eq!(owner.snapshots(domain).unwrap_err().kind, Kind::Corrupt);
    }
}
