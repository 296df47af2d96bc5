//! The state directory as a reader sees it, and where everything in it lies.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use crate::disk::{Disk, RealDisk};
use crate::error::{Kind, StateError};
use crate::events::EventLog;
use crate::files::{Damage, Files};
use crate::index::Index;
use crate::run::RunDir;

/// Version of the layout that this crate writes, and the newest it reads.
const FORMAT_VERSION: u32 = 1;
/// Longest `format` file, in bytes.
const FORMAT_MAX_BYTES: u64 = 64;
/// Permission bits that let others change the state behind our back.
const OTHERS_WRITE: u32 = 0o022;
/// The directories under the root, made by the owner.
pub(crate) const DIRECTORIES: [&str; 10] = [
    "domains",
    "pools",
    crate::network::DIRECTORY,
    crate::secret::DIRECTORY,
    "drivers",
    "run",
    "journal",
    "corrupt",
    "cache",
    crate::migration::DIRECTORY,
];

/// A state directory, open for reading. Takes no lock and never changes anything.
#[derive(Debug)]
pub struct StateDir {
    root: PathBuf,
    pub(crate) files: Files,
    /// What its owner knows; none for readers.
    pub(crate) index: Option<Index>,
}

/// Where what helpers have kept lies when its domain is undefined.
pub const KEPT_STATES: &str = "kept-states";
/// Where that lies which nobody takes up.
pub const ARCHIVED_STATES: &str = "archived-states";

impl StateDir {
    /// Opens the directory for reading; nothing is locked, made or moved.
    ///
    /// A directory that does not exist yet reads as empty.
    ///
    /// # Errors
    /// [`Kind::Insecure`] when it is not ours alone, [`Kind::TooNew`], [`Kind::Corrupt`] or [`Kind::Io`].
    pub fn open_reader(root: &Path) -> Result<Self, StateError> {
        let state = Self { root: root.to_owned(), files: Files::new(Arc::new(RealDisk), None), index: None };
        match check_ownership(root) {
            Err(error) if error.kind == Kind::NotFound => return Ok(state),
            checked => checked?,
        }
        state.format()?;
        Ok(state)
    }

    pub(crate) fn for_owner(root: &Path, disk: Arc<dyn Disk>) -> Self {
        let files = Files::new(disk, Some(root.join("corrupt")));
        Self { root: root.to_owned(), files, index: Some(Index::default()) }
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where things are kept that can be made again: compiled components, probe results.
    #[must_use]
    pub fn cache_dir(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// The directory of one domain's records.
    #[must_use]
    pub fn domain_dir(&self, domain: Uuid) -> PathBuf {
        self.domains_dir().join(domain.to_string())
    }

    /// Where the domain's variable store is; hostler-firmware alone reads and writes it.
    #[must_use]
    pub fn variable_store_path(&self, domain: Uuid) -> PathBuf {
        self.domain_dir(domain).join("nvram.fd")
    }

    /// Where the helpers of a domain keep what outlives a run: a directory for each, by a name that its driver gives it.
    #[must_use]
    pub fn keeps_path(&self, domain: Uuid) -> PathBuf {
        self.domain_dir(domain).join("keeps")
    }

    /// Where that is when the domain was undefined and it was not to go: a domain with this identifier has it again.
    #[must_use]
    pub fn kept_path(&self, domain: Uuid) -> PathBuf {
        self.root.join(KEPT_STATES).join(domain.to_string())
    }

    /// The directory of a running domain, whether it exists or not.
    #[must_use]
    pub fn run_dir(&self, domain: Uuid) -> RunDir {
        RunDir::at(self.root.join("run").join(domain.to_string()), domain)
    }

    /// The run directories that exist, sorted by UUID. That one exists does not mean that the domain runs:
    /// [`RunDir::is_held`] does.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn run_dirs(&self) -> Result<Vec<RunDir>, StateError> {
        Ok(self.uuids_in("run")?.into_iter().map(|domain| self.run_dir(domain)).collect())
    }

    /// The event log.
    #[must_use]
    pub fn events(&self) -> EventLog {
        EventLog::at(&self.root)
    }

    /// The damaged records that this handle met so far.
    #[must_use]
    pub fn damage(&self) -> Vec<Damage> {
        self.files.damage()
    }

    /// The damaged files that owners set aside and nobody has looked after yet.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn set_aside(&self) -> Result<Vec<PathBuf>, StateError> {
        let corrupt = self.root.join("corrupt");
        Ok(self.names_in(&corrupt)?.into_iter().map(|name| corrupt.join(name)).collect())
    }

    pub(crate) fn domains_dir(&self) -> PathBuf {
        self.root.join("domains")
    }

    pub(crate) fn format_path(&self) -> PathBuf {
        self.root.join("format")
    }

    /// The sorted names in a directory; none when it does not exist yet.
    pub(crate) fn names_in(&self, directory: &Path) -> Result<Vec<String>, StateError> {
        match self.files.disk().names(directory) {
            Ok(mut names) => {
                names.sort_unstable();
                Ok(names)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(StateError::io(directory, "list the directory", error)),
        }
    }

    pub(crate) fn uuids_in(&self, directory: &str) -> Result<Vec<Uuid>, StateError> {
        let names = self.names_in(&self.root.join(directory))?;
        // Only the one spelling that we write: anything else is not a domain of ours.
        Ok(names
            .iter()
            .filter_map(|name| Uuid::parse_str(name).ok().filter(|id| id.to_string() == *name))
            .collect())
    }

    /// The version in the `format` file; nothing in a tree that was never finished being made.
    pub(crate) fn format(&self) -> Result<Option<u32>, StateError> {
        let path = self.format_path();
        let bytes = match self.files.disk().read(&path, FORMAT_MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StateError::io(&path, "read the format version", error)),
        };
        let version = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n')?.parse().ok());
        match version {
            Some(FORMAT_VERSION) => Ok(version),
            Some(newer) if newer > FORMAT_VERSION => Err(StateError::new(
                Kind::TooNew,
                &path,
                format!("state format {newer} is newer than {FORMAT_VERSION}, the newest this hostler knows"),
            )
            .hint("run the hostler that wrote it, or another state directory")),
            _ => Err(StateError::new(Kind::Corrupt, &path, "the format version cannot be read").hint(
                format!("if nothing else is damaged, write '{FORMAT_VERSION}' and a line feed into it"),
            )),
        }
    }

    pub(crate) fn format_text() -> String {
        format!("{FORMAT_VERSION}\n")
    }
}

/// Makes the root (mode 0700) with its parents when it is absent.
pub(crate) fn ensure_root(root: &Path) -> Result<(), StateError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(root)
        .map_err(|error| StateError::io(root, "make the state directory", error))
}

/// Refuses a root that somebody else could have prepared or could change.
pub(crate) fn check_ownership(root: &Path) -> Result<(), StateError> {
    let metadata = std::fs::metadata(root)
        .map_err(|error| StateError::io(root, "look at the state directory", error))?;
    let insecure =
        |detail: String, hint: String| Err(StateError::new(Kind::Insecure, root, detail).hint(hint));
    if !metadata.is_dir() {
        return insecure("the state directory is not a directory".into(), "name a directory".into());
    }
    let ours = rustix::process::geteuid().as_raw();
    if metadata.uid() != ours {
        let detail = format!("the state directory belongs to uid {}, not to uid {ours}", metadata.uid());
        return insecure(detail, "run as its owner, or name a directory of your own".into());
    }
    if metadata.mode() & OTHERS_WRITE != 0 {
        let detail =
            format!("others may write to the state directory (mode {:04o})", metadata.mode() & 0o7777);
        return insecure(detail, format!("chmod go-w '{}'", root.display()));
    }
    Ok(())
}
