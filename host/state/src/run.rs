//! The directory of a running domain: what its shim and the owner tell each other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::disk::RealDisk;
use crate::error::{Kind, StateError};
use crate::files::Files;
use crate::lock::RunLock;
use crate::owner::Owner;

/// Longest name of a console, in bytes.
const CONSOLE_NAME_MAX_BYTES: usize = 64;

/// The records in a run directory. They are record files (header line, then JSON).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunRecord {
    /// `launch.json`: the frozen launch, written by the owner before the shim starts.
    Launch,
    /// `process.json`: what the shim started.
    Process,
    /// `exit.json`: how it ended, written by the shim as its last act.
    Exit,
    /// `seen.json`: up to where the hypervisor's events have been passed to the driver, by whoever owned last.
    Seen,
    /// `document.json`: the domain XML it was started with, which a later definition does not change.
    Document,
    /// `state.json`: what it was doing when an owner asked last, for readers that get no answer.
    State,
    /// `channels.json`: which channels something in the guest has open, by their names there.
    Channels,
}

/// `<root>/run/<uuid>`. Written by the owner until the shim holds the lock, and by the shim from then on.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    domain: Uuid,
    files: Files,
}

impl RunDir {
    pub(crate) fn at(path: PathBuf, domain: Uuid) -> Self {
        Self { path, domain, files: Files::new(Arc::new(RealDisk), None) }
    }

    /// The run directory at `path`, as a shim is told it; its name is the domain's UUID.
    ///
    /// # Errors
    /// [`Kind::InvalidName`] when the name is no UUID, [`Kind::NotFound`] when there is no such directory.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let name = path.file_name().and_then(|name| name.to_str());
        let domain = name.and_then(|name| Uuid::parse_str(name).ok()).ok_or_else(|| {
            StateError::new(Kind::InvalidName, path, "a run directory is called by the UUID of its domain")
        })?;
        if !path.is_dir() {
            return Err(StateError::new(Kind::NotFound, path, "no such run directory"));
        }
        Ok(Self::at(path.to_owned(), domain))
    }

    /// The domain it belongs to.
    #[must_use]
    pub fn domain(&self) -> Uuid {
        self.domain
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run lock, see [`RunLock`].
    #[must_use]
    pub fn lock_path(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// The shim's socket. A deep root makes this longer than the 107 bytes a socket address holds: connect
    /// through `/proc/self/fd/<directory>/shim.sock` then.
    #[must_use]
    pub fn socket_path(&self) -> PathBuf {
        self.path.join("shim.sock")
    }

    /// The socket of a display (`graphics0`) whose document names no path.
    #[must_use]
    pub fn display_socket_path(&self, alias: &str) -> PathBuf {
        self.path.join(format!("{alias}.sock"))
    }

    /// Where the memory of guests that crash is written to: beside the run directories, for it outlives the run.
    #[must_use]
    pub fn dumps_dir(&self) -> PathBuf {
        self.path.ancestors().nth(2).unwrap_or(&self.path).join("dumps")
    }

    /// What was written of this domain, oldest first.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn dumps(&self) -> Result<Vec<PathBuf>, StateError> {
        let directory = self.dumps_dir();
        let failed = |error| StateError::io(&directory, "list the directory", error);
        let entries = match std::fs::read_dir(&directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let (domain, mut found) = (self.domain.to_string(), Vec::new());
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            if name.to_string_lossy().starts_with(&domain) && name.to_string_lossy().ends_with(".core") {
                found.push(directory.join(name));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// What the shim and the hypervisor wrote to their standard error.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.path.join("log")
    }

    /// The log of one console (`serial0`, …).
    ///
    /// # Errors
    /// [`Kind::InvalidName`] unless the name is 1 to 64 ASCII letters, digits, `-` or `_`.
    pub fn console_log_path(&self, console: &str) -> Result<PathBuf, StateError> {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if console.is_empty() || console.len() > CONSOLE_NAME_MAX_BYTES || !console.bytes().all(fine) {
            let shown: String =
                console.chars().take(CONSOLE_NAME_MAX_BYTES).flat_map(char::escape_debug).collect();
            let detail = format!("console name '{shown}' is not 1 to 64 letters, digits, '-' or '_'");
            return Err(StateError::new(Kind::InvalidName, &self.path, detail)
                .hint("name the console by its alias, for example serial0"));
        }
        Ok(self.path.join(format!("console-{console}.log")))
    }

    /// Where a record lies.
    #[must_use]
    pub fn record_path(&self, record: RunRecord) -> PathBuf {
        self.path.join(match record {
            RunRecord::Launch => "launch.json",
            RunRecord::Process => "process.json",
            RunRecord::Exit => "exit.json",
            RunRecord::Document => "document.json",
            RunRecord::State => "state.json",
            RunRecord::Channels => "channels.json",
            RunRecord::Seen => "seen.json",
        })
    }

    /// Whether a shim or hypervisor of this domain lives: the truth about "running".
    ///
    /// # Errors
    /// [`Kind::Io`]: then nothing is known.
    pub fn is_held(&self) -> Result<bool, StateError> {
        RunLock::is_held(&self.lock_path())
    }

    /// Waits until nothing of this domain lives any more; `false` when something still does after `wait`.
    ///
    /// # Errors
    /// [`Kind::Io`]: then nothing is known.
    pub fn wait_released(&self, wait: Duration) -> Result<bool, StateError> {
        RunLock::wait_released(&self.lock_path(), wait)
    }

    /// Takes the run lock.
    ///
    /// # Errors
    /// [`Kind::Busy`] when the domain runs, or [`Kind::Io`].
    pub fn acquire(&self) -> Result<RunLock, StateError> {
        RunLock::acquire(&self.lock_path())
    }

    /// Writes a record; every reader sees the old one or the new one. Not synced: after a power cut none of the
    /// processes lives that it tells of.
    ///
    /// # Errors
    /// [`Kind::TooLarge`], [`Kind::Full`], [`Kind::Io`] or [`Kind::ReadOnly`]: then the old one stands.
    pub fn write<T: Serialize>(&self, record: RunRecord, value: &T) -> Result<(), StateError> {
        let path = self.record_path(record);
        let payload = serde_json::to_vec(value)
            .map_err(|error| StateError::io(&path, "encode the record", error.into()))?;
        self.files.replace_volatile(&path, &payload)
    }

    /// Reads a record, or nothing when it was not written.
    ///
    /// # Errors
    /// [`Kind::Corrupt`], [`Kind::TooNew`] or [`Kind::Io`].
    pub fn read<T: DeserializeOwned>(&self, record: RunRecord) -> Result<Option<T>, StateError> {
        let path = self.record_path(record);
        let Some(payload) = self.files.load(&path)? else { return Ok(None) };
        serde_json::from_slice(&payload).map(Some).map_err(|error| {
            StateError::new(Kind::Corrupt, &path, "record is intact but not of the kind expected")
                .hint("it was written by another version of hostler; use that one for this domain")
                .caused_by(error.into())
        })
    }
}

impl Owner {
    /// Makes the run directory of a domain that is about to start.
    ///
    /// One that a dead shim left is reused, without its records: they told of another run.
    ///
    /// # Errors
    /// [`Kind::Busy`] when the domain runs; [`Kind::Full`], [`Kind::Io`] or [`Kind::ReadOnly`].
    pub fn create_run_dir(&self, domain: Uuid) -> Result<RunDir, StateError> {
        let run = self.run_dir(domain);
        if let Some(index) = &self.index {
            index.run_begins(domain);
        }
        if !self.files.ensure_directory(run.path())? {
            let lock = run.acquire()?;
            let stale = [
                RunRecord::Process,
                RunRecord::Exit,
                RunRecord::Launch,
                RunRecord::Document,
                RunRecord::State,
                RunRecord::Seen,
                RunRecord::Channels,
            ];
            let removed = self.files.remove_all(&stale.map(|record| run.record_path(record)));
            // Who starts the domain takes it anew, at once.
            lock.let_go();
            removed?;
        }
        Ok(run)
    }

    /// Removes the run directory of a domain that has ended, logs included; none there is fine.
    ///
    /// # Errors
    /// [`Kind::Busy`] when the domain still runs; [`Kind::Io`] or [`Kind::ReadOnly`].
    pub fn remove_run_dir(&self, domain: Uuid) -> Result<(), StateError> {
        let run = self.run_dir(domain);
        if !run.path().exists() {
            return Ok(());
        }
        let lock = run.acquire()?;
        let removed = self.remove_at_once(run.path(), domain);
        lock.let_go();
        removed?;
        if let Some(index) = &self.index {
            index.run_gone(domain);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::StateDir;

    #[test]
    fn records_go_from_owner_to_shim_and_back() {
        let root = tempfile::tempdir().unwrap();
        let owner = StateDir::open_owner(root.path(), Duration::ZERO).unwrap();
        let domain = Uuid::new_v4();
        let run = owner.create_run_dir(domain).unwrap();
        run.write(RunRecord::Launch, &["qemu", "-S"]).unwrap();
        let shim = RunDir::open(run.path()).unwrap();
        assert_eq!(shim.read::<Vec<String>>(RunRecord::Launch).unwrap().unwrap(), ["qemu", "-S"]);
        shim.write(RunRecord::Exit, &7).unwrap();
        assert_eq!(run.read::<u32>(RunRecord::Exit).unwrap(), Some(7));
        assert_eq!(run.read::<u32>(RunRecord::Process).unwrap(), None);
        assert_eq!(run.read::<String>(RunRecord::Exit).unwrap_err().kind, Kind::Corrupt);
        let found: Vec<_> = owner.run_dirs().unwrap().iter().map(RunDir::domain).collect();
        assert_eq!(found, [domain]);
    }

    #[test]
    fn running_domain_keeps_its_directory() {
        let root = tempfile::tempdir().unwrap();
        let owner = StateDir::open_owner(root.path(), Duration::ZERO).unwrap();
        let domain = Uuid::new_v4();
        let run = owner.create_run_dir(domain).unwrap();
        run.write(RunRecord::Exit, &1).unwrap();
        let lock = run.acquire().unwrap();
        assert!(run.is_held().unwrap());
        assert_eq!(owner.create_run_dir(domain).unwrap_err().kind, Kind::Busy);
        assert_eq!(owner.remove_run_dir(domain).unwrap_err().kind, Kind::Busy);
        drop(lock);
        let again = owner.create_run_dir(domain).unwrap();
        assert_eq!(again.read::<u32>(RunRecord::Exit).unwrap(), None);
        owner.remove_run_dir(domain).unwrap();
        owner.remove_run_dir(domain).unwrap();
        assert!(!run.path().exists());
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let run = RunDir::at("/r".into(), Uuid::nil());
        assert_eq!(run.console_log_path("serial0").unwrap(), Path::new("/r/console-serial0.log"));
        for name in ["", "../x", "a/b", "a b", &"x".repeat(65)] {
            assert_eq!(run.console_log_path(name).unwrap_err().kind, Kind::InvalidName);
        }
        assert_eq!(RunDir::open(Path::new("/tmp")).unwrap_err().kind, Kind::InvalidName);
    }
}
