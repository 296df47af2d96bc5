//! How a shim gets into a group to start its programs there, and out again.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The place of a guest in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seat {
    /// The group.
    pub(crate) group: PathBuf,
    /// Where the shim is, and belongs.
    pub(crate) home: PathBuf,
    /// The file that takes processes.
    pub(crate) file: String,
}

impl Seat {
    /// Moves this process, which has one thread, into the group: all that it starts is in it too.
    pub(crate) fn enter(&self) -> io::Result<()> {
        move_to(&self.group.join(&self.file))
    }

    /// Moves this process back.
    pub(crate) fn leave(&self) -> io::Result<()> {
        move_to(&self.home.join(&self.file))
    }
}

/// Zero is whoever writes it. One thread alone is moved without a stop of the whole system, in version 1.
fn move_to(file: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).open(file)?.write_all(b"0")
}

/// Removes a group, which must be empty, and those of threads in it. One that is gone is no error.
pub(crate) fn remove(group: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(group) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            gone(std::fs::remove_dir(entry.path()))?;
        }
    }
    gone(std::fs::remove_dir(group))
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
