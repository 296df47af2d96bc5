//! What the verbs of pools and volumes answer, as plain data for whoever shows it.

use std::path::PathBuf;

use hostler_state::VolumeSecret;
use serde::Serialize;
use uuid::Uuid;

use crate::summary::Warning;

/// One line about a pool.
#[derive(Clone, Debug, Serialize)]
pub struct PoolSummary {
    /// Its name.
    pub name: String,
    /// Its identifier.
    pub uuid: Uuid,
    /// Its type: `dir`, `logical` …
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it is started.
    pub active: bool,
    /// Whether it is started after a boot of the machine.
    pub autostart: bool,
    /// Whether it stays defined when it is stopped.
    pub persistent: bool,
    /// The directory that its volumes are named beneath.
    pub target: Option<PathBuf>,
    /// Why its document cannot be read, if it cannot: it is listed all the same, and can be undefined.
    pub problem: Option<String>,
}

/// Everything about a pool.
#[derive(Clone, Debug, Serialize)]
pub struct PoolDetails {
    /// The line about it.
    #[serde(flatten)]
    pub summary: PoolSummary,
    /// Room in it; none for a pool that is not started.
    pub space: Option<PoolSpace>,
    /// How many volumes there are.
    pub volumes: Option<usize>,
    /// Entries that are no volumes, with the reason.
    pub skipped: Vec<SkippedEntry>,
    /// Why it cannot be measured, if it cannot.
    pub unmeasured: Option<String>,
    /// How many times the definition was changed.
    pub generation: u64,
    /// When it was first defined, in milliseconds since 1970.
    pub created_unix_ms: u64,
    /// Elements of the document that this version keeps and does not act on.
    pub unmodelled: Vec<String>,
}

/// Room in a pool, in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PoolSpace {
    /// All.
    pub capacity: u64,
    /// Taken.
    pub allocation: u64,
    /// Free.
    pub available: u64,
}

/// An entry of a pool that is no volume.
#[derive(Clone, Debug, Serialize)]
pub struct SkippedEntry {
    /// Its name, escaped.
    pub name: String,
    /// Why it is none.
    pub reason: String,
}

/// The answer to `pool define` and `pool create`.
#[derive(Clone, Debug, Serialize)]
pub struct PoolDefined {
    /// The pool.
    pub summary: PoolSummary,
    /// Whether it is new; otherwise it replaced an older definition.
    pub created: bool,
    /// What is kept and not acted on.
    pub warnings: Vec<Warning>,
}

/// The answer to `pool refresh`.
#[derive(Clone, Debug, Serialize)]
pub struct PoolRefreshed {
    /// The pool.
    pub summary: PoolSummary,
    /// How many volumes there are.
    pub volumes: usize,
    /// Entries that are no volumes, with the reason.
    pub skipped: Vec<SkippedEntry>,
    /// Records of volumes that have gone; they are forgotten now.
    pub forgotten: Vec<String>,
}

/// One volume.
#[derive(Clone, Debug, Serialize)]
pub struct VolumeSummary {
    /// The pool.
    pub pool: String,
    /// Its name in the pool.
    pub name: String,
    /// What it is: `file`, `block`, `dir`, `ploop`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its path.
    pub path: PathBuf,
    /// Its format as it was declared when it was made; a disk that names the volume gets this one. None for a volume
    /// that was not made here.
    pub format: Option<String>,
    /// The format that its content looks like, for the eye only.
    pub found_format: Option<String>,
    /// Bytes that a guest sees.
    pub capacity: u64,
    /// Bytes that it occupies.
    pub allocation: u64,
    /// Bytes up to its end.
    pub physical: u64,
    /// The image that its header names below it.
    pub backing: Option<String>,
    /// The format recorded for that.
    pub backing_format: Option<String>,
    /// Bytes of one cluster.
    pub cluster_size: Option<u64>,
    /// Level of the format.
    pub compat: Option<String>,
    /// How it is encrypted.
    pub encryption: Option<String>,
    /// The secret that it was encrypted with when it was made here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<VolumeSecret>,
    /// Why its header could not be read.
    pub problem: Option<String>,
}

/// The answer to `vol show`.
#[derive(Clone, Debug, Serialize)]
pub struct VolumeDetails {
    /// The volume.
    #[serde(flatten)]
    pub summary: VolumeSummary,
    /// Domains whose disks lead to it.
    pub used_by: Vec<VolumeUse>,
    /// Volumes of the pool that stand on it.
    pub stood_on_by: Vec<String>,
}

/// A disk that leads to a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VolumeUse {
    /// The domain.
    pub domain: String,
    /// The disk.
    pub disk: String,
    /// Whether the domain runs.
    pub running: bool,
    /// Whether its guest writes to it: it is the active layer of a disk that is not read-only.
    pub writes: bool,
}

/// The answer to `vol resize`.
#[derive(Clone, Debug, Serialize)]
pub struct VolumeResized {
    /// The volume, as it is now.
    pub summary: VolumeSummary,
    /// Bytes that a guest saw before.
    pub capacity_before: u64,
}

/// The answer to `vol upload` and `vol download`.
#[derive(Clone, Debug, Serialize)]
pub struct VolumeMoved {
    /// The pool.
    pub pool: String,
    /// The volume.
    pub volume: String,
    /// Bytes that were moved.
    pub bytes: u64,
}
