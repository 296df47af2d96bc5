//! The event log: facts in order, appended by several processes, read by anybody from a cursor.
//!
//! A line is complete when it ends with a line feed; a torn last line was never acknowledged and the next
//! writer cuts it off. Events are not fsynced: they tell of the state, they are not the state.

mod append;
mod follow;
mod scan;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::disk;
use crate::error::{Kind, StateError};
use crate::lock::{self, Mode};

pub use follow::{Cancel, Follow, Followed};
pub use scan::{Batch, Gap};

/// Longest line of the log, in bytes.
pub const LINE_MAX_BYTES: usize = 64 << 10;
/// Size at which the log is rotated, in bytes: 8 MiB; one previous file is kept.
pub const ROTATE_AT_BYTES: u64 = 8 << 20;
/// How long a writer or reader waits for the others; each holds the lock for microseconds.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// A fact to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// The domain it is about.
    pub domain: Uuid,
    /// The domain's name at the time.
    pub name: String,
    /// What happened, a word: `started`.
    pub kind: String,
    /// More about it, open-ended.
    pub detail: BTreeMap<String, String>,
}

/// A fact in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Position in the log: 1, 2, 3, … without holes. The cursor of a reader who has seen it.
    pub seq: u64,
    /// When it was appended, in milliseconds since 1970.
    pub time_ms: u64,
    /// The domain it is about.
    pub domain: Uuid,
    /// The domain's name at the time.
    pub name: String,
    /// What happened, a word: `started`.
    pub kind: String,
    /// More about it, open-ended.
    #[serde(default)]
    pub detail: BTreeMap<String, String>,
}

/// The event log of a state directory. Cheap to make; holds nothing open.
#[derive(Clone, Debug)]
pub struct EventLog {
    root: PathBuf,
    rotate_at: u64,
}

impl EventLog {
    /// The log under a state directory's root, which must exist before the first append.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), rotate_at: ROTATE_AT_BYTES }
    }

    fn current(&self) -> PathBuf {
        self.root.join("events.log")
    }

    fn previous(&self) -> PathBuf {
        self.root.join("events.log.1")
    }

    fn lock_to_append(&self) -> Result<Guard, StateError> {
        let path = self.lock_path();
        let file = disk::open_shared_file(&path).map_err(|error| lock_failed(&path, error))?;
        self.lock(file, Mode::Exclusive)
    }

    /// Nothing when no event was ever appended: readers make no files.
    fn lock_to_read(&self) -> Result<Option<Guard>, StateError> {
        let path = self.lock_path();
        match File::open(&path) {
            Ok(file) => self.lock(file, Mode::Shared).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(lock_failed(&path, error)),
        }
    }

    fn lock(&self, file: File, mode: Mode) -> Result<Guard, StateError> {
        let path = self.lock_path();
        if lock::take_within(&file, mode, LOCK_WAIT).map_err(|error| lock_failed(&path, error))? {
            return Ok(Guard(file));
        }
        Err(StateError::new(Kind::Busy, &path, "the event log stays locked by another process")
            .hint("look for a stopped hostler process and continue or end it"))
    }

    fn lock_path(&self) -> PathBuf {
        self.root.join("events.lock")
    }
}

fn lock_failed(path: &Path, error: io::Error) -> StateError {
    StateError::io(path, "lock the event log", error)
}

/// The lock on the log; apart from the log itself, which rotation renames.
struct Guard(File);

impl Drop for Guard {
    fn drop(&mut self) {
        lock::release(&self.0);
    }
}

#[cfg(test)]
mod tests;
