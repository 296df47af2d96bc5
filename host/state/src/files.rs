//! Crash-safe replacement, loading and removal of record files.
//!
//! The recipe: a temporary in the same directory, write, fdatasync, rename, fsync of the directory, and only
//! then the acknowledgement. Keeping the previous generation takes one more rename before: in the instant
//! between the two the record is found under `X.prev`, which is the old state.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock;
use crate::disk::Disk;
use crate::error::{Kind, StateError};
use crate::record;

/// Suffix of the previous generation of a record.
pub(crate) const PREVIOUS: &str = ".prev";
/// What every temporary has in its name; no record has it.
const TEMPORARY: &str = ".tmp-";
/// How many damaged records one handle remembers before it only counts on `corrupt/`.
const DAMAGE_MAX: usize = 1024;

/// Whether the generation that is replaced stays readable under `X.prev`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It does: the definition of a domain must survive damage to one file.
    Previous,
    /// It does not: an old step of an operation, or of a process, would only mislead.
    OnlyCurrent,
}

/// A record that was not what had been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The record's own path.
    pub path: PathBuf,
    /// Where the owner put the damaged file; nothing when a reader met it, who must not move it.
    pub set_aside: Option<PathBuf>,
    /// Whether the previous generation could be read in its place.
    pub recovered: bool,
}

/// File access of one handle on a state directory.
#[derive(Debug)]
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    /// Where damaged files go; nothing for readers and run directories, which leave them in place.
    corrupt: Option<PathBuf>,
    /// An fsync failed: what is on disk is no longer known, so nothing more is written.
    broken: AtomicBool,
    damage: Mutex<Vec<Damage>>,
    names: AtomicU64,
}

enum Slot {
    Absent,
    Valid(Vec<u8>),
    Damaged,
}

impl Files {
    pub(crate) fn new(disk: Arc<dyn Disk>, corrupt: Option<PathBuf>) -> Self {
        let (broken, damage, names) = (AtomicBool::new(false), Mutex::default(), AtomicU64::new(0));
        Self { disk, corrupt, broken, damage, names }
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// What this handle met so far.
    pub(crate) fn damage(&self) -> Vec<Damage> {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The newest valid generation of the record, or nothing when there is none at all.
    pub(crate) fn load(&self, path: &Path) -> Result<Option<Vec<u8>>, StateError> {
        let damaged = match self.slot(path)? {
            Slot::Valid(payload) => return Ok(Some(payload)),
            Slot::Absent => false,
            Slot::Damaged => true,
        };
        let previous = previous_of(path);
        let (payload, previous_damaged) = match self.slot(&previous)? {
            Slot::Valid(payload) => (Some(payload), false),
            Slot::Absent => (None, false),
            Slot::Damaged => (None, true),
        };
        if damaged {
            self.set_aside(path, payload.is_some())?;
        }
        if previous_damaged {
            self.set_aside(&previous, false)?;
        }
        if payload.is_none() && (damaged || previous_damaged) {
            return Err(self.corrupt_error(path));
        }
        Ok(payload)
    }

    fn slot(&self, path: &Path) -> Result<Slot, StateError> {
        let bytes = match self.disk.read(path, record::FILE_MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound => return Ok(Slot::Absent),
                io::ErrorKind::FileTooLarge => return Ok(Slot::Damaged),
                _ => return Err(StateError::io(path, "read the record", error)),
            },
        };
        match record::decode(bytes) {
            Ok(payload) => Ok(Slot::Valid(payload)),
            Err(Kind::TooNew) => {
                Err(StateError::new(Kind::TooNew, path, "record written by a newer hostler")
                    .hint("run the newer hostler, or restore this record from a backup"))
            }
            Err(_) => Ok(Slot::Damaged),
        }
    }

    fn corrupt_error(&self, path: &Path) -> StateError {
        let error =
            StateError::new(Kind::Corrupt, path, "record is damaged and has no valid previous generation");
        match &self.corrupt {
            Some(corrupt) => error.hint(format!(
                "the damaged file was set aside in '{}': restore the record from a backup, or make it anew",
                corrupt.display()
            )),
            None => error.hint("restore the record from a backup, or make it anew"),
        }
    }

    /// Reports a file that is no valid record and, for the owner, moves it to `corrupt/`.
    pub(crate) fn set_aside(&self, path: &Path, recovered: bool) -> Result<(), StateError> {
        let target = self.corrupt.as_ref().map(|corrupt| corrupt.join(self.corrupt_name(path)));
        if let Some(target) = &target {
            self.rename(path, target)?;
            self.sync_parent(target)?;
            self.sync_parent(path)?;
        }
        let mut damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        if damage.len() < DAMAGE_MAX && !damage.iter().any(|known| target.is_none() && known.path == path) {
            damage.push(Damage { path: path.to_owned(), set_aside: target, recovered });
        }
        Ok(())
    }

    /// `<directory>-<file>-<time>-<n>`: says where it came from and never meets an earlier one.
    fn corrupt_name(&self, path: &Path) -> String {
        let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let directory = text(path.parent().and_then(Path::file_name));
        let n = self.names.fetch_add(1, Ordering::Relaxed);
        format!("{directory}-{}-{}-{n}", text(path.file_name()), clock::unix_ns())
    }

    /// Replaces the record by `payload`; when this returns, the new content survives a power cut.
    pub(crate) fn replace(&self, path: &Path, payload: &[u8], keep: Keep) -> Result<(), StateError> {
        check_size(path, payload)?;
        self.replace_with(path, &record::encode(payload), || self.make_room(path, keep))
    }

    /// Replaces a record that tells of live processes: whole to every reader, and there after any of them is
    /// killed. A power cut may take it, for it takes the processes too; so nothing is synced.
    pub(crate) fn replace_volatile(&self, path: &Path, payload: &[u8]) -> Result<(), StateError> {
        check_size(path, payload)?;
        self.writable(path)?;
        let temporary = self.temporary_of(path);
        let failed = |error| StateError::io(&temporary, "write the record", error);
        let written =
            self.disk.create_new(&temporary).and_then(|mut draft| draft.write_all(&record::encode(payload)));
        let done = written.map_err(failed).and_then(|()| self.rename(&temporary, path));
        if done.is_err() {
            // Only tidiness: the next owner sweeps temporaries, and their names are never read.
            self.disk.remove_file(&temporary).ok();
        }
        done
    }

    /// Replaces a file that is no record (it must stay readable by every version) with the same recipe.
    pub(crate) fn replace_plain(&self, path: &Path, bytes: &[u8]) -> Result<(), StateError> {
        self.replace_with(path, bytes, || Ok(()))
    }

    fn replace_with(
        &self,
        path: &Path,
        bytes: &[u8],
        make_room: impl FnOnce() -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        self.writable(path)?;
        let temporary = self.temporary_of(path);
        let done = self
            .write_draft(&temporary, bytes)
            .and_then(|()| make_room())
            .and_then(|()| self.rename(&temporary, path))
            .and_then(|()| self.sync_parent(path));
        if done.is_err() {
            // Only tidiness: the next owner sweeps temporaries, and their names are never read.
            self.disk.remove_file(&temporary).ok();
        }
        done
    }

    fn write_draft(&self, temporary: &Path, bytes: &[u8]) -> Result<(), StateError> {
        let failed = |error| StateError::io(temporary, "write the record", error);
        let mut draft = self.disk.create_new(temporary).map_err(failed)?;
        draft.write_all(bytes).map_err(failed)?;
        draft.sync_data().map_err(|error| self.sync_failed(temporary, error))
    }

    /// Keeps the current generation where it is wanted. Damage must neither overwrite the previous
    /// generation nor be overwritten itself.
    fn make_room(&self, path: &Path, keep: Keep) -> Result<(), StateError> {
        match self.slot(path)? {
            Slot::Valid(_) if keep == Keep::Previous => self.rename(path, &previous_of(path)),
            Slot::Damaged => self.set_aside(path, true),
            Slot::Valid(_) | Slot::Absent => Ok(()),
        }
    }

    /// Removes every generation of the record; when this returns, it does not come back after a power cut.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), StateError> {
        self.writable(path)?;
        // The older generation goes first and durably: it must never be what a cut leaves behind.
        for file in [previous_of(path), path.to_owned()] {
            match self.disk.remove_file(&file) {
                Ok(()) => self.sync_parent(&file)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(StateError::io(&file, "remove the record", error)),
            }
        }
        Ok(())
    }

    /// Removes records of one directory that keep no older generation, in whatever order a power cut likes;
    /// durable when this returns. Those that are not there are fine.
    pub(crate) fn remove_all(&self, paths: &[PathBuf]) -> Result<(), StateError> {
        let mut last_removed = None;
        for path in paths {
            self.writable(path)?;
            match self.disk.remove_file(path) {
                Ok(()) => last_removed = Some(path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(StateError::io(path, "remove the record", error)),
            }
        }
        last_removed.map_or(Ok(()), |path| self.sync_parent(path))
    }

    /// Makes a directory and its entry durable; an existing one is fine. Returns whether it is new.
    pub(crate) fn ensure_directory(&self, path: &Path) -> Result<bool, StateError> {
        let is_new = self.make_directory(path)?;
        if is_new {
            self.sync_parent(path)?;
        }
        Ok(is_new)
    }

    /// The same without making its entry durable, which is the caller's to do.
    pub(crate) fn make_directory(&self, path: &Path) -> Result<bool, StateError> {
        self.writable(path)?;
        match self.disk.make_directory(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(StateError::io(path, "make the directory", error)),
        }
    }

    /// Whether there is no file of a record, of the current generation. What is in it is not read.
    pub(crate) fn is_absent(&self, path: &Path) -> Result<bool, StateError> {
        match self.disk.read(path, 0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) if error.kind() != io::ErrorKind::FileTooLarge => {
                Err(StateError::io(path, "look for the record", error))
            }
            _ => Ok(false),
        }
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), StateError> {
        self.writable(from)?;
        self.disk.rename(from, to).map_err(|error| StateError::io(from, "rename", error))
    }

    /// Removes a directory that is no longer part of the state, with the files and directories in it.
    pub(crate) fn remove_tree(&self, path: &Path, depth: usize) -> Result<(), StateError> {
        let failed = |error| StateError::io(path, "remove the directory", error);
        for name in self.disk.names(path).map_err(failed)? {
            let inside = path.join(&name);
            match self.disk.remove_file(&inside) {
                Err(error) if error.kind() == io::ErrorKind::IsADirectory && depth > 0 => {
                    self.remove_tree(&inside, depth - 1)?;
                }
                done => done.map_err(failed)?,
            }
        }
        self.disk.remove_directory(path).map_err(failed)
    }

    pub(crate) fn sync_parent(&self, path: &Path) -> Result<(), StateError> {
        let parent = path.parent().unwrap_or(path);
        self.disk.sync_directory(parent).map_err(|error| self.sync_failed(parent, error))
    }

    fn sync_failed(&self, path: &Path, error: io::Error) -> StateError {
        self.broken.store(true, Ordering::SeqCst);
        StateError::io(path, "make the change durable", error)
            .hint("check the disk, then open the state directory again; nothing is written until then")
    }

    fn writable(&self, path: &Path) -> Result<(), StateError> {
        if !self.broken.load(Ordering::SeqCst) {
            return Ok(());
        }
        Err(StateError::new(
            Kind::ReadOnly,
            path,
            "not written, because an earlier write could not be made durable",
        )
        .hint("check the disk, then start hostler again"))
    }

    fn temporary_of(&self, path: &Path) -> PathBuf {
        let n = self.names.fetch_add(1, Ordering::Relaxed);
        with_suffix(path, &format!("{TEMPORARY}{}-{}-{n}", std::process::id(), clock::unix_ns()))
    }
}

/// Whether a file name is that of a temporary that a stopped writer left behind.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.contains(TEMPORARY)
}

/// Where the previous generation of a record is.
pub(crate) fn previous_of(path: &Path) -> PathBuf {
    with_suffix(path, PREVIOUS)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn check_size(path: &Path, payload: &[u8]) -> Result<(), StateError> {
    if payload.len() as u64 <= record::PAYLOAD_MAX_BYTES {
        return Ok(());
    }
    let (found, limit) = (payload.len(), record::PAYLOAD_MAX_BYTES);
    Err(StateError::new(
        Kind::TooLarge,
        path,
        format!("document of {found} bytes exceeds the limit of {limit} bytes"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    fn files(root: &Path) -> Files {
        std::fs::create_dir_all(root.join("corrupt")).unwrap();
        Files::new(Arc::new(RealDisk), Some(root.join("corrupt")))
    }

    fn damage(path: &Path) {
        let mut bytes = std::fs::read(path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn replaced_record_keeps_its_previous_generation() {
        let root = tempfile::tempdir().unwrap();
        let (files, path) = (files(root.path()), root.path().join("r"));
        for payload in [b"one", b"two"] {
            files.replace(&path, payload, Keep::Previous).unwrap();
        }
        assert_eq!(files.load(&path).unwrap().unwrap(), b"two");
        assert_eq!(files.load(&previous_of(&path)).unwrap().unwrap(), b"one");
    }

    #[test]
    fn damaged_record_is_set_aside_and_the_previous_one_read() {
        let root = tempfile::tempdir().unwrap();
        let (files, path) = (files(root.path()), root.path().join("r"));
        for payload in [b"one", b"two"] {
            files.replace(&path, payload, Keep::Previous).unwrap();
        }
        damage(&path);
        assert_eq!(files.load(&path).unwrap().unwrap(), b"one");
        let met = files.damage();
        assert!(met.len() == 1 && met[0].recovered);
        assert!(met[0].set_aside.as_ref().unwrap().exists() && !path.exists());
    }

    #[test]
    fn damaged_record_without_previous_is_an_error_and_still_there() {
        let root = tempfile::tempdir().unwrap();
        let (files, path) = (files(root.path()), root.path().join("r"));
        files.replace(&path, b"one", Keep::Previous).unwrap();
        damage(&path);
        let error = files.load(&path).unwrap_err();
        assert_eq!(error.kind, Kind::Corrupt);
        assert_eq!(std::fs::read_dir(root.path().join("corrupt")).unwrap().count(), 1);
    }

    #[test]
    fn reader_reports_damage_and_moves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("r");
        files(root.path()).replace(&path, b"one", Keep::Previous).unwrap();
        damage(&path);
        let reader = Files::new(Arc::new(RealDisk), None);
        for _ in 0..2 {
            assert_eq!(reader.load(&path).unwrap_err().kind, Kind::Corrupt);
        }
        assert_eq!(reader.damage(), [Damage { path: path.clone(), set_aside: None, recovered: false }]);
        assert!(path.exists());
    }

    #[test]
    fn damage_never_replaces_the_previous_generation() {
        let root = tempfile::tempdir().unwrap();
        let (files, path) = (files(root.path()), root.path().join("r"));
        for payload in [b"one", b"two"] {
            files.replace(&path, payload, Keep::Previous).unwrap();
        }
        damage(&path);
        files.replace(&path, b"new", Keep::Previous).unwrap();
        assert_eq!(files.load(&previous_of(&path)).unwrap().unwrap(), b"one");
        assert_eq!(files.load(&path).unwrap().unwrap(), b"new");
    }

    #[test]
    fn removed_record_leaves_no_generation() {
        let root = tempfile::tempdir().unwrap();
        let (files, path) = (files(root.path()), root.path().join("r"));
        for payload in [b"one", b"two"] {
            files.replace(&path, payload, Keep::Previous).unwrap();
        }
        files.remove(&path).unwrap();
        assert_eq!(files.load(&path).unwrap(), None);
        files.remove(&path).unwrap();
    }

    #[test]
    fn payload_over_limit_is_refused_before_writing() {
        let root = tempfile::tempdir().unwrap();
        let (files, path) = (files(root.path()), root.path().join("r"));
        let payload = vec![0; usize::try_from(record::PAYLOAD_MAX_BYTES).unwrap() + 1];
        assert_eq!(files.replace(&path, &payload, Keep::Previous).unwrap_err().kind, Kind::TooLarge);
        assert!(!path.exists());
    }
}
