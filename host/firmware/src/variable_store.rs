//! The life of a variable store: created from its template, kept, checked, reset, and never lost by a failure.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hostler_state::{Disk, RealDisk};

use crate::error::{ErrorKind, FirmwareError};
use crate::formats::{Formats, InUse, MAX_STORE_FILE_BYTES, PlainBytes};
use crate::pflash::{FlashFormat, FlashImage};
use crate::template;
use crate::volume::{StoreLayout, check_store};

mod reset;

/// What the name of the last good copy ends in.
pub const LAST_GOOD_SUFFIX: &str = ".lastgood";

/// What every temporary has in its name; the owner of the state directory sweeps files that have it.
const TEMPORARY: &str = ".tmp-";

/// One domain's own copy of a template: a plain file, of raw or another format that a flash device takes.
///
/// Every change is made beside the store and renamed over it, so that whoever looks finds the old content or
/// the new one. The host never writes into the file itself: while the domain runs it belongs to the guest.
#[derive(Debug, Clone)]
pub struct VariableStore {
    path: PathBuf,
    format: FlashFormat,
    formats: Arc<dyn Formats>,
    disk: Arc<dyn Disk>,
}

/// Makes the names of temporaries differ within this process, between handles on the same store too.
static TEMPORARIES: AtomicU64 = AtomicU64::new(0);

impl VariableStore {
    /// The store at `path`, of raw format, whether or not it exists.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::on_disk(path, Arc::new(RealDisk))
    }

    /// The same over another disk, for tests of failures.
    #[must_use]
    pub fn on_disk(path: impl Into<PathBuf>, disk: Arc<dyn Disk>) -> Self {
        Self { path: path.into(), format: FlashFormat::Raw, formats: Arc::new(PlainBytes), disk }
    }

    /// The same in a format, which `formats` reads and makes.
    #[must_use]
    pub fn of_format(self, format: FlashFormat, formats: Arc<dyn Formats>) -> Self {
        Self { format, formats, ..self }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where its last good copy is.
    #[must_use]
    pub fn last_good_path(&self) -> PathBuf {
        self.beside(LAST_GOOD_SUFFIX)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }

    /// Whether there is a store.
    ///
    /// # Errors
    /// [`ErrorKind::StoreNotAFile`] when something else than a plain file stands there, such as a link.
    pub fn exists(&self) -> Result<bool, FirmwareError> {
        match fs::symlink_metadata(&self.path) {
            Ok(facts) if facts.is_file() => Ok(true),
            Ok(_) => {
                Err(FirmwareError::new(ErrorKind::StoreNotAFile, "the variable store is not a plain file")
                    .of(&self.path)
                    .hint("move away what stands there; the store is then created from its template"))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(FirmwareError::io(&self.path, "looking at the variable store", error)),
        }
    }

    /// Refuses where there is no store.
    ///
    /// # Errors
    /// [`ErrorKind::StoreMissing`], or as [`VariableStore::exists`].
    pub fn require(&self) -> Result<(), FirmwareError> {
        if self.exists()? { Ok(()) } else { Err(self.missing(&self.path)) }
    }

    /// Makes sure that there is a store before a start: an existing one is kept as it is, a missing one is
    /// made from the template. Returns whether it was created, so that a start that fails can undo it.
    ///
    /// # Errors
    /// [`ErrorKind::TemplateMissing`] or [`ErrorKind::TemplateInvalid`], or why it could not be written; there
    /// is then still no store.
    pub fn create_if_missing(&self, template: Option<&FlashImage>) -> Result<bool, FirmwareError> {
        if self.exists()? {
            return Ok(false);
        }
        self.replace(&self.path, &self.pristine(template)?)?;
        Ok(true)
    }

    /// Removes a store that a start has created and that nobody has used since: it is what the template says, so it
    /// can be made again at any time. Anything else stays. Returns whether it was removed.
    ///
    /// # Errors
    /// When the store or the template cannot be read, or the file not be removed.
    pub fn remove_if_pristine(&self, template: Option<&FlashImage>) -> Result<bool, FirmwareError> {
        if !self.exists()? || self.content()? != template::content(template, self.formats.as_ref())? {
            return Ok(false);
        }
        self.remove_file(&self.path)?;
        Ok(true)
    }

    /// Checks the content, before a start and after a stop.
    ///
    /// # Errors
    /// [`ErrorKind::StoreInvalid`] with the remedies, [`ErrorKind::StoreMissing`], [`ErrorKind::StoreInUse`], or why
    /// it cannot be read.
    pub fn check(&self) -> Result<StoreLayout, FirmwareError> {
        let content = self.content()?;
        check_store(&content).map_err(|error| {
            let looks_other = self.format == FlashFormat::Raw && template::is_qcow2(&content);
            let error = error.of(&self.path);
            let error = match looks_other {
                true => {
                    error.hint("it looks like an image of qcow2; if it is one, say <nvram format='qcow2'>")
                }
                false => error,
            };
            self.with_remedies(error)
        })
    }

    fn with_remedies(&self, error: FirmwareError) -> FirmwareError {
        let error = error.hint("start with --reset-nvram to begin with a pristine store");
        let last_good = self.last_good_path();
        if !last_good.is_file() {
            return error;
        }
        error.hint(format!("or restore the copy of the last good state, '{}'", last_good.display()))
    }

    /// Keeps a copy of a store that was found sound just now, before a guest writes to it: for the day on which it is
    /// found damaged. One that is the same already stays.
    ///
    /// # Errors
    /// When the copy cannot be written; the earlier copy is then intact.
    pub fn keep_last_good(&self) -> Result<(), FirmwareError> {
        let (bytes, copy) = (self.read_at(&self.path)?, self.last_good_path());
        match self.disk.read(&copy, MAX_STORE_FILE_BYTES) {
            Ok(kept) if kept == bytes => Ok(()),
            _ => self.replace(&copy, &bytes),
        }
    }

    /// Puts the last good copy back in place of the store.
    ///
    /// # Errors
    /// When there is no sound copy or it cannot be written; the store is then as it was.
    pub fn restore_last_good(&self) -> Result<(), FirmwareError> {
        self.exists()?;
        let copy = self.last_good_path();
        check_store(&self.content_at(&copy)?).map_err(|error| error.of(&copy))?;
        self.replace(&self.path, &self.read_at(&copy)?)
    }

    /// Removes the store and its copies; what is not there is no error.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove(&self) -> Result<(), FirmwareError> {
        for path in self.copies().into_iter().chain([self.path.clone()]) {
            self.remove_file(&path)?;
        }
        Ok(())
    }

    /// Moves the store to `destination`, to keep it when its domain goes: by a rename, or to another file system as a
    /// copy that is whole before the store goes.
    ///
    /// # Errors
    /// [`ErrorKind::StoreMissing`] when there is none, [`ErrorKind::Io`] when something is at the destination
    /// already or the store cannot be moved.
    pub fn move_to(&self, destination: &Path) -> Result<(), FirmwareError> {
        self.require()?;
        if fs::symlink_metadata(destination).is_ok() {
            let taken = io::Error::from(io::ErrorKind::AlreadyExists);
            return Err(FirmwareError::io(destination, "moving the variable store here", taken));
        }
        match self.disk.rename(&self.path, destination) {
            Ok(()) => {
                self.sync_directory(destination)?;
                self.sync_directory(&self.path)
            }
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                self.replace(destination, &self.read_at(&self.path)?)?;
                self.remove_file(&self.path)
            }
            Err(error) => Err(FirmwareError::io(&self.path, "moving the variable store", error)),
        }
    }

    /// Moves the store away for good, and removes the copies beside its place.
    ///
    /// # Errors
    /// As [`VariableStore::move_to`]; when a copy cannot be removed.
    pub fn archive_at(&self, destination: &Path) -> Result<(), FirmwareError> {
        self.move_to(destination)?;
        self.copies().iter().try_for_each(|copy| self.remove_file(copy))
    }

    /// The bytes of a store as the template has it.
    fn pristine(&self, template: Option<&FlashImage>) -> Result<Vec<u8>, FirmwareError> {
        let content = template::content(template, self.formats.as_ref())?;
        if self.format == FlashFormat::Raw {
            return Ok(content);
        }
        self.formats.image(&content, self.format).map_err(|failure| {
            let message = format!("a variable store of format {} cannot be made", self.format.name());
            FirmwareError::new(ErrorKind::FormatUnreadable, message).of(&self.path).caused_by(failure)
        })
    }

    /// What a guest reads of the store.
    fn content(&self) -> Result<Vec<u8>, FirmwareError> {
        self.require()?;
        self.content_at(&self.path)
    }

    fn content_at(&self, path: &Path) -> Result<Vec<u8>, FirmwareError> {
        if self.format == FlashFormat::Raw {
            return self.read_at(path);
        }
        let file = self.open(path)?;
        self.formats.content(&file, self.format).map_err(|failure| {
            if failure.is::<InUse>() {
                return FirmwareError::new(ErrorKind::StoreInUse, "something has the variable store open")
                    .of(path)
                    .caused_by(failure)
                    .hint("end what uses it first");
            }
            let message = format!("the variable store cannot be read as {}", self.format.name());
            let error = FirmwareError::new(ErrorKind::StoreInvalid, message).of(path).caused_by(failure);
            self.with_remedies(error.hint("if it is of another format, say which: <nvram format='…'>"))
        })
    }

    fn open(&self, path: &Path) -> Result<File, FirmwareError> {
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        #[expect(clippy::cast_possible_wrap, reason = "open flags are a bit set; the sign carries nothing")]
        let opened = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path);
        opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.missing(path),
            _ => FirmwareError::io(path, "opening the variable store", error),
        })
    }

    fn read_at(&self, path: &Path) -> Result<Vec<u8>, FirmwareError> {
        self.disk.read(path, MAX_STORE_FILE_BYTES).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.missing(path),
            io::ErrorKind::FileTooLarge => {
                FirmwareError::new(ErrorKind::StoreInvalid, "a variable store has at most 64 MiB").of(path)
            }
            _ => FirmwareError::io(path, "reading the variable store", error),
        })
    }

    fn missing(&self, path: &Path) -> FirmwareError {
        FirmwareError::new(ErrorKind::StoreMissing, "there is no variable store").of(path)
    }

    /// The recipe: a temporary in the same directory, all bytes, fdatasync, rename, fsync of the directory. The owner of
    /// the file that is replaced, if there is one, owns the new one as well.
    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), FirmwareError> {
        let temporary = temporary_of(path);
        let written = self
            .write(&temporary, bytes)
            .and_then(|()| same_owner(path, &temporary))
            .and_then(|()| self.disk.rename(&temporary, path));
        if let Err(error) = written {
            // Only tidiness: names of temporaries are never read, and the owner sweeps them.
            self.disk.remove_file(&temporary).ok();
            return Err(FirmwareError::io(path, "writing the variable store", error)
                .hint("check the space and the permissions of the directory; nothing was changed"));
        }
        self.sync_directory(path)
    }

    fn write(&self, temporary: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut draft = self.disk.create_new(temporary)?;
        draft.write_all(bytes)?;
        draft.sync_data()
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), FirmwareError> {
        self.disk
            .rename(from, to)
            .map_err(|error| FirmwareError::io(to, "writing the variable store", error))?;
        self.sync_directory(to)
    }

    fn remove_file(&self, path: &Path) -> Result<(), FirmwareError> {
        match self.disk.remove_file(path) {
            Ok(()) => self.sync_directory(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(FirmwareError::io(path, "removing the variable store", error)),
        }
    }

    fn sync_directory(&self, path: &Path) -> Result<(), FirmwareError> {
        let directory =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = |error| FirmwareError::io(directory, "making the change durable", error);
        self.disk.sync_directory(directory).map_err(failed)
    }
}

/// A name beside `path` that nobody has used, and that is never read.
fn temporary_of(path: &Path) -> PathBuf {
    let count = TEMPORARIES.fetch_add(1, Ordering::Relaxed);
    let mut name = path.as_os_str().to_owned();
    name.push(format!("{TEMPORARY}{}-{}-{count}", std::process::id(), hostler_state::unix_ms()));
    name.into()
}

/// Gives a draft to whoever owns the file whose place it takes.
fn same_owner(path: &Path, draft: &Path) -> io::Result<()> {
    let Ok(old) = fs::symlink_metadata(path) else { return Ok(()) };
    let new = fs::symlink_metadata(draft)?;
    if (old.uid(), old.gid()) == (new.uid(), new.gid()) {
        return Ok(());
    }
    std::os::unix::fs::lchown(draft, Some(old.uid()), Some(old.gid()))
}

#[cfg(test)]
mod tests;
