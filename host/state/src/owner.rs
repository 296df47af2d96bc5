//! The owner of a state directory: the one process that may change it.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::charge::CHARGES;
use crate::clock;
use crate::disk::{self, Disk, RealDisk};
use crate::error::{Kind, StateError};
use crate::files;
use crate::journal::Journal;
use crate::layout::{self, DIRECTORIES, StateDir};
use crate::lock::{self, Mode};

/// Longest description of the owner kept in the lock file, in bytes.
const HOLDER_MAX_BYTES: usize = 300;
/// How long is waited for a lock before is looked whether a daemon has it.
const LOOK: Duration = Duration::from_millis(250);
/// How the directory of a removed domain is called until its files are gone.
pub(crate) const REMOVED: &str = "removed-";
/// How many levels of directories a removed tree may have; ours have one.
pub(crate) const REMOVED_DEPTH: usize = 4;

/// A state directory, held exclusively. Dereferences to [`StateDir`] for reading.
#[derive(Debug)]
pub struct Owner {
    state: StateDir,
    pub(crate) next_intent: std::sync::atomic::AtomicU64,
    // Last: the lock goes when everything else is gone.
    lock: OwnerLock,
}

impl Deref for Owner {
    type Target = StateDir;

    fn deref(&self) -> &StateDir {
        &self.state
    }
}

impl StateDir {
    /// Becomes the owner: makes the tree where it is absent (mode 0700), takes the lock, sweeps what a
    /// stopped owner left half-written. Waits up to `wait` for another owner to finish.
    ///
    /// # Errors
    /// [`Kind::Busy`] naming the process that holds the lock; [`Kind::Insecure`], [`Kind::TooNew`],
    /// [`Kind::Corrupt`], [`Kind::Io`] or [`Kind::Full`].
    pub fn open_owner(root: &Path, wait: Duration) -> Result<Owner, StateError> {
        Self::open_owner_on(Arc::new(RealDisk), root, wait)
    }

    /// The same on a given [`Disk`]: for tests that fail or stop at a chosen call.
    ///
    /// # Errors
    /// As [`StateDir::open_owner`].
    pub fn open_owner_on(disk: Arc<dyn Disk>, root: &Path, wait: Duration) -> Result<Owner, StateError> {
        layout::ensure_root(root)?;
        layout::check_ownership(root)?;
        let lock = OwnerLock::take(&root.join("owner.lock"), wait)?;
        let state = Self::for_owner(root, disk);
        if state.format()?.is_none() {
            state.begin_tree()?;
        }
        for name in DIRECTORIES {
            state.files.ensure_directory(&root.join(name))?;
        }
        state.sweep()?;
        let next = state.last_intent_id()?.saturating_add(1).max(clock::unix_ms());
        Ok(Owner { state, next_intent: next.into(), lock })
    }

    /// The format file comes before anything that it describes.
    fn begin_tree(&self) -> Result<(), StateError> {
        if self.files.disk().names(&self.domains_dir()).is_ok() {
            return Err(StateError::new(
                Kind::Corrupt,
                &self.format_path(),
                "the format file is missing beside domains",
            )
            .hint("restore it from a backup; it holds the version of the layout and a line feed"));
        }
        self.files.replace_plain(&self.format_path(), Self::format_text().as_bytes())
    }

    /// Removes the temporaries and removed domains that a stopped owner left. Nothing here was acknowledged.
    fn sweep(&self) -> Result<(), StateError> {
        self.sweep_temporaries(self.root())?;
        self.sweep_temporaries(&self.root().join("journal"))?;
        self.sweep_temporaries(&self.root().join(crate::migration::DIRECTORY))?;
        self.sweep_temporaries(&self.root().join(CHARGES))?;
        self.sweep_tenants()?;
        let [networks, secrets] =
            [crate::network::DIRECTORY, crate::secret::DIRECTORY].map(|name| self.root().join(name));
        let pools = self.root().join("pools");
        for parent in [self.domains_dir(), pools, networks, secrets, self.root().join("run")] {
            for name in self.names_in(&parent)? {
                if name.starts_with(REMOVED) {
                    self.files.remove_tree(&parent.join(name), REMOVED_DEPTH)?;
                }
            }
        }
        self.sweep_domains()?;
        for uuid in self.uuids_in("pools")? {
            self.sweep_records(&self.pool_dir(uuid))?;
        }
        for uuid in self.uuids_in(crate::network::DIRECTORY)? {
            self.sweep_records(&self.network_dir(uuid))?;
        }
        for uuid in self.uuids_in(crate::secret::DIRECTORY)? {
            self.sweep_records(&self.secret_dir(uuid))?;
        }
        self.sweep_drivers()?;
        for run in self.run_dirs()? {
            // A live shim may be writing right now; what a dead one left is nobody's.
            if !run.is_held()? {
                self.sweep_temporaries(run.path())?;
            }
        }
        Ok(())
    }

    fn sweep_records(&self, directory: &Path) -> Result<(), StateError> {
        if !self.sweep_names(directory)?.is_empty() {
            return Ok(());
        }
        self.sweep_empty(directory)
    }

    /// Sweeps what lies in the directory of a domain. The names that stay.
    pub(crate) fn sweep_domain(&self, domain: Uuid) -> Result<Vec<String>, StateError> {
        let directory = self.domain_dir(domain);
        let stay = self.sweep_names(&directory)?;
        if stay.is_empty() {
            self.sweep_empty(&directory)?;
        }
        Ok(stay)
    }

    fn sweep_empty(&self, directory: &Path) -> Result<(), StateError> {
        // A define stopped before its record was there; it left an empty directory, or lost the race to one.
        match self.files.disk().remove_directory(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StateError::io(directory, "remove the empty directory", error))
            }
            _ => Ok(()),
        }
    }

    /// Removes temporaries from a directory.
    pub(crate) fn sweep_temporaries(&self, directory: &Path) -> Result<(), StateError> {
        self.sweep_names(directory).map(drop)
    }

    /// Removes temporaries from a directory. The names that stay.
    fn sweep_names(&self, directory: &Path) -> Result<Vec<String>, StateError> {
        let mut stay = Vec::new();
        for name in self.names_in(directory)? {
            if files::is_temporary(&name) {
                let path = directory.join(name);
                self.files
                    .disk()
                    .remove_file(&path)
                    .map_err(|e| StateError::io(&path, "sweep the temporary", e))?;
            } else {
                stay.push(name);
            }
        }
        Ok(stay)
    }
}

impl Owner {
    /// Says how others reach this process, which stays: commands are told so, and do not wait for its end.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn announce(&self, address: &str) -> Result<(), StateError> {
        let path = self.root().join("owner.lock");
        self.lock.describe(Some(address)).map_err(|error| StateError::io(&path, "write", error))
    }

    /// Takes that back, for one that is about to end: whoever comes now waits for it.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn withdraw(&self) -> Result<(), StateError> {
        let path = self.root().join("owner.lock");
        self.lock.describe(None).map_err(|error| StateError::io(&path, "write", error))
    }

    /// The journal of operations.
    #[must_use]
    pub fn journal(&self) -> Journal<'_> {
        Journal::of(self)
    }

    /// Removes the directory of one domain or pool, under `domains`, `pools` or `run`: a rename takes everything in it at
    /// once. What it becomes is never read; should removing that fail, the next owner sweeps it.
    pub(crate) fn remove_at_once(&self, directory: &Path, uuid: Uuid) -> Result<(), StateError> {
        let removed = removed_path(directory.parent().unwrap_or(directory), uuid);
        self.files.rename(directory, &removed)?;
        self.files.sync_parent(directory)?;
        self.files.remove_tree(&removed, REMOVED_DEPTH).ok();
        Ok(())
    }
}

/// The exclusive lock on `owner.lock`, whose content says who holds it.
#[derive(Debug)]
struct OwnerLock(File);

impl OwnerLock {
    fn take(path: &Path, wait: Duration) -> Result<Self, StateError> {
        let failed = |error| StateError::io(path, "lock the state directory", error);
        let begun = Instant::now();
        loop {
            let mut file = disk::open_shared_file(path).map_err(failed)?;
            if !lock::take_within(&file, Mode::Exclusive, Duration::ZERO).map_err(failed)? {
                // A daemon will not have finished soon.
                let stays = Holder::read(&mut file).address.is_some();
                let left = wait.saturating_sub(begun.elapsed());
                if stays || left.is_zero() {
                    return Err(busy(path, &mut file));
                }
                // One that has only begun says so in a moment.
                if !lock::take_within(&file, Mode::Exclusive, left.min(LOOK)).map_err(failed)? {
                    continue;
                }
            }
            // The directory may have been removed, and made again, while we waited.
            if !is_still_at(&file, path).map_err(failed)? {
                continue;
            }
            let lock = Self(file);
            lock.describe(None).map_err(failed)?;
            return Ok(lock);
        }
    }

    /// Tells others who we are. Not durable on purpose: it is only read while the lock is held.
    fn describe(&self, address: Option<&str>) -> io::Result<()> {
        let words: Vec<_> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        let mut text = format!("{} {}", std::process::id(), words.join(" ").escape_debug());
        if let Some((end, _)) = text.char_indices().find(|(at, _)| *at >= HOLDER_MAX_BYTES) {
            text.truncate(end);
        }
        if let Some(address) = address {
            text.push('\n');
            text.extend(address.chars().filter(|letter| !letter.is_control()));
        }
        // In one go, for whoever reads it now.
        self.0.write_all_at(text.as_bytes(), 0)?;
        self.0.set_len(text.len() as u64)
    }
}

impl Drop for OwnerLock {
    fn drop(&mut self) {
        lock::release(&self.0);
    }
}

/// Whether a path still leads to the file that was opened by it.
fn is_still_at(file: &File, path: &Path) -> io::Result<bool> {
    let opened = file.metadata()?;
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        there => there.map(|there| (there.dev(), there.ino()) == (opened.dev(), opened.ino())),
    }
}

/// Who holds the lock, as the holder has written.
#[derive(Default)]
struct Holder {
    process: Option<(String, String)>,
    address: Option<String>,
}

impl Holder {
    fn read(file: &mut File) -> Self {
        let mut bytes = vec![0; HOLDER_MAX_BYTES * 4];
        let Ok(length) = file.read_at(&mut bytes, 0) else { return Self::default() };
        let text = String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).into_owned();
        let mut lines = text.lines();
        let process = lines.next().and_then(|line| line.split_once(' '));
        Self {
            process: process.map(|(pid, command)| (pid.to_owned(), command.to_owned())),
            address: lines.next().map(str::to_owned),
        }
    }
}

fn busy(path: &Path, file: &mut File) -> StateError {
    let Holder { process, address } = Holder::read(file);
    if let (Some((pid, _)), Some(address)) = (&process, address) {
        let text = format!("the daemon (process {pid}) owns the state directory");
        let mut error = StateError::new(Kind::Busy, path, text)
            .hint(format!("let it do this: virsh -c '{address}' …"))
            .hint(format!("or end it first: kill {pid}; guests go on"));
        error.daemon = Some(address);
        return error;
    }
    let holder = match process {
        Some((pid, command)) => format!("process {pid} ('{command}')"),
        None => "another process".to_owned(),
    };
    StateError::new(Kind::Busy, path, format!("the state directory is in use by {holder}"))
        .hint("wait until it has finished, or give it more time to finish")
}

/// The path a removed directory is renamed to, distinct every time.
fn removed_path(parent: &Path, uuid: Uuid) -> PathBuf {
    parent.join(format!("{REMOVED}{uuid}-{}", clock::unix_ns()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn open(root: &Path) -> Result<Owner, StateError> {
        StateDir::open_owner(root, Duration::ZERO)
    }

    #[test]
    fn tree_is_made_private() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("deep/state");
        let owner = open(&root).unwrap();
        for name in DIRECTORIES {
            let mode = std::fs::metadata(root.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{name}");
        }
        assert_eq!(std::fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(owner.format().unwrap(), Some(1));
    }

    #[test]
    fn second_owner_is_refused_and_told_who_holds_it() {
        let root = tempfile::tempdir().unwrap();
        let first = open(root.path()).unwrap();
        let error = open(root.path()).unwrap_err();
        assert_eq!(error.kind, Kind::Busy);
        assert!(error.to_string().contains(&format!("process {} ('", std::process::id())), "{error}");
        StateDir::open_reader(root.path()).unwrap();
        drop(first);
        open(root.path()).unwrap();
    }

    #[test]
    fn daemon_is_not_waited_for_and_tells_how_it_is_reached() {
        let root = tempfile::tempdir().unwrap();
        let daemon = open(root.path()).unwrap();
        daemon.announce("hostler:///system?socket=/x").unwrap();
        let error = StateDir::open_owner(root.path(), Duration::from_secs(3_600)).unwrap_err();
        assert_eq!(error.kind, Kind::Busy);
        let owner = format!("the daemon (process {}) owns", std::process::id());
        assert!(error.to_string().contains(&owner), "{error}");
        assert!(error.hints.iter().any(|hint| hint.contains("virsh -c 'hostler:///system?socket=/x'")));
        drop(daemon);
        open(root.path()).unwrap();
    }

    #[test]
    fn waiting_owner_gets_the_lock_when_the_first_ends() {
        let root = tempfile::tempdir().unwrap();
        let first = open(root.path()).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| StateDir::open_owner(root.path(), Duration::from_secs(30)).map(drop));
            drop(first);
            waiter.join().unwrap().unwrap();
        });
    }

    #[test]
    fn root_open_to_others_is_refused_by_owner_and_reader() {
        let root = tempfile::tempdir().unwrap();
        std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o770)).unwrap();
        assert_eq!(open(root.path()).unwrap_err().kind, Kind::Insecure);
        assert_eq!(StateDir::open_reader(root.path()).unwrap_err().kind, Kind::Insecure);
    }

    #[test]
    fn foreign_root_is_refused() {
        let root = tempfile::tempdir().unwrap();
        if std::os::unix::fs::chown(root.path(), Some(12345), None).is_err() {
            // Not root: a foreign directory cannot be made, but "/" is one.
            assert_eq!(StateDir::open_reader(Path::new("/")).unwrap_err().kind, Kind::Insecure);
            return;
        }
        assert_eq!(open(root.path()).unwrap_err().kind, Kind::Insecure);
    }

    #[test]
    fn newer_and_unreadable_formats_are_refused() {
        let root = tempfile::tempdir().unwrap();
        drop(open(root.path()).unwrap());
        for (text, kind) in [("2\n", Kind::TooNew), ("x", Kind::Corrupt), ("", Kind::Corrupt)] {
            std::fs::write(root.path().join("format"), text).unwrap();
            assert_eq!(open(root.path()).unwrap_err().kind, kind);
            assert_eq!(StateDir::open_reader(root.path()).unwrap_err().kind, kind);
        }
        std::fs::remove_file(root.path().join("format")).unwrap();
        assert_eq!(open(root.path()).unwrap_err().kind, Kind::Corrupt);
    }

    #[test]
    fn leftovers_of_a_stopped_owner_are_swept() {
        let root = tempfile::tempdir().unwrap();
        drop(open(root.path()).unwrap());
        let domains = root.path().join("domains");
        let empty = domains.join(Uuid::new_v4().to_string());
        let removed = removed_path(&domains, Uuid::new_v4());
        let kept = domains.join(Uuid::new_v4().to_string());
        for directory in [&empty, &removed, &kept] {
            std::fs::create_dir(directory).unwrap();
        }
        for file in [empty.join("definition.tmp-1-2-3"), removed.join("definition"), kept.join("nvram.fd")] {
            std::fs::write(file, "x").unwrap();
        }
        std::fs::write(root.path().join("journal/7.tmp-1-2-3"), "x").unwrap();
        drop(open(root.path()).unwrap());
        assert!(!empty.exists() && !removed.exists() && kept.join("nvram.fd").exists());
        assert_eq!(std::fs::read_dir(root.path().join("journal")).unwrap().count(), 0);
    }

    #[test]
    fn reader_of_a_missing_directory_finds_nothing_and_makes_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let reader = StateDir::open_reader(&parent.path().join("absent")).unwrap();
        assert!(reader.run_dirs().unwrap().is_empty() && reader.set_aside().unwrap().is_empty());
        assert!(!parent.path().join("absent").exists());
    }
}
