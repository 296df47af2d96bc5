//! What the verbs of snapshots answer, as plain data for whoever shows it.

use std::path::PathBuf;

use hostler_state::{Snapshot, SnapshotKind, SnapshotState, SnapshotTree};
use serde::Serialize;

use crate::block_jobs::BlockJobSummary;
use crate::snapshots::PlannedImage;
use crate::summary::Warning;

/// One line about a snapshot.
#[derive(Clone, Debug, Serialize)]
pub struct SnapshotSummary {
    /// Its name.
    pub name: String,
    /// The snapshot that it was taken from.
    pub parent: Option<String>,
    /// What is said about it.
    pub description: Option<String>,
    /// When it was taken, in milliseconds since 1970.
    pub created_unix_ms: u64,
    /// How the data of its disks is kept.
    pub kind: SnapshotKind,
    /// What the guest was doing.
    pub state: SnapshotState,
    /// Whether the domain goes on from it.
    pub current: bool,
    /// Whether its images were changed by a deletion that did not finish: all that is left is to delete it.
    pub being_deleted: bool,
}

/// A disk in a snapshot.
#[derive(Clone, Debug, Serialize)]
pub struct SnapshotDiskSummary {
    /// Its target name.
    pub target: String,
    /// The image with the data of that time.
    pub image: PathBuf,
    /// The format of that image.
    pub format: String,
    /// The overlay that was made above it.
    pub overlay: Option<PathBuf>,
}

/// Everything about a snapshot.
#[derive(Clone, Debug, Serialize)]
pub struct SnapshotDetails {
    /// The domain.
    pub domain: String,
    /// The line about it.
    #[serde(flatten)]
    pub summary: SnapshotSummary,
    /// Its disks.
    pub disks: Vec<SnapshotDiskSummary>,
    /// The file with the guest's memory.
    pub memory: Option<PathBuf>,
    /// Whether the variable store of that time is kept with it.
    pub variable_store: bool,
    /// The snapshots that were taken from it.
    pub children: Vec<String>,
    /// Images that reverts left behind on it.
    pub left_behind: Vec<PathBuf>,
}

/// A snapshot that was taken.
#[derive(Clone, Debug, Serialize)]
pub struct SnapshotTaken {
    /// Everything about it.
    #[serde(flatten)]
    pub details: SnapshotDetails,
    /// What is worth a word.
    pub warnings: Vec<Warning>,
}

/// A domain that was taken back.
#[derive(Clone, Debug, Serialize)]
pub struct Reverted {
    /// The domain.
    pub domain: String,
    /// The snapshot.
    pub snapshot: String,
    /// Whether a guest runs, or is paused, now: `off`, `running`, `paused`.
    pub state: &'static str,
    /// The overlays that it goes on with.
    pub overlays: Vec<PathBuf>,
    /// Images with what was written since, which it no longer uses and which stay until their snapshot is deleted.
    pub left_behind: Vec<PathBuf>,
    /// What is worth a word.
    pub warnings: Vec<Warning>,
}

/// The deletion of snapshots, planned or carried out.
#[derive(Clone, Debug, Serialize)]
pub struct SnapshotsDeleted {
    /// The domain.
    pub domain: String,
    /// The snapshots, in the order of their deletion.
    pub snapshots: Vec<String>,
    /// What becomes, or became, of each image.
    pub images: Vec<PlannedImage>,
    /// Whether it was done.
    pub done: bool,
    /// What the hypervisor of a guest that runs is at: the deletion goes on when it is asked for again once this is over.
    #[serde(skip)]
    pub works: Option<BlockJobSummary>,
}

/// The line about one snapshot.
pub(crate) fn summary(tree: &SnapshotTree, snapshot: &Snapshot) -> SnapshotSummary {
    SnapshotSummary {
        name: snapshot.name.clone(),
        parent: snapshot.parent.clone(),
        description: snapshot.description.clone(),
        created_unix_ms: snapshot.created_unix_ms,
        kind: snapshot.kind,
        state: snapshot.state,
        current: tree.current.as_deref() == Some(snapshot.name.as_str()),
        being_deleted: snapshot.being_deleted,
    }
}

/// Everything about one snapshot.
pub(crate) fn details(domain: &str, tree: &SnapshotTree, snapshot: &Snapshot) -> SnapshotDetails {
    let is_own = |image: &PathBuf| snapshot.disks.iter().any(|disk| disk.image == *image);
    let left = tree.left.iter().filter(|left| is_own(&left.stands_on));
    SnapshotDetails {
        domain: domain.to_owned(),
        summary: summary(tree, snapshot),
        disks: snapshot
            .disks
            .iter()
            .map(|disk| SnapshotDiskSummary {
                target: disk.target.clone(),
                image: disk.image.clone(),
                format: disk.format.clone(),
                overlay: disk.overlay.clone(),
            })
            .collect(),
        memory: snapshot.memory.clone(),
        variable_store: snapshot.store.is_some(),
        children: tree.children(&snapshot.name).map(|child| child.name.clone()).collect(),
        left_behind: left.map(|left| left.image.clone()).collect(),
    }
}
