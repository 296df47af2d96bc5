//! The life of a variable store: created from its template, kept, checked, reset, and never lost by a failure.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hostler_state::{Disk, RealDisk};

use crate::error::{ErrorKind, FirmwareError};
use crate::pflash::{FlashFormat, FlashImage};
use crate::volume::{MAX_STORE_BYTES, StoreLayout, check_store};

/// What the name of the last good copy ends in.
pub const LAST_GOOD_SUFFIX: &str = ".lastgood";

/// What every temporary has in its name; the owner of the state directory sweeps files that have it.
const TEMPORARY: &str = ".tmp-";

/// One domain's own copy of a template: a plain file of raw format.
///
/// Every change is made beside the store and renamed over it, so that whoever looks finds the old content or
/// the new one. The host never writes into the file itself: while the domain runs it belongs to the guest.
#[derive(Debug)]
pub struct VariableStore {
    path: PathBuf,
    disk: Arc<dyn Disk>,
}

/// Makes the names of temporaries differ within this process, between handles on the same store too.
static TEMPORARIES: AtomicU64 = AtomicU64::new(0);

impl VariableStore {
    /// The store at `path`, whether or not it exists.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::on_disk(path, Arc::new(RealDisk))
    }

    /// The same over another disk, for tests of failures.
    #[must_use]
    pub fn on_disk(path: impl Into<PathBuf>, disk: Arc<dyn Disk>) -> Self {
        Self { path: path.into(), disk }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where its last good copy is.
    #[must_use]
    pub fn last_good_path(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(LAST_GOOD_SUFFIX);
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

    /// Makes sure that there is a store before a start: an existing one is kept as it is, a missing one is
    /// copied from the template. Returns whether it was created, so that a start that fails can undo it.
    ///
    /// # Errors
    /// [`ErrorKind::TemplateMissing`] or [`ErrorKind::TemplateInvalid`], or why it could not be written; there
    /// is then still no store.
    pub fn create_if_missing(&self, template: Option<&FlashImage>) -> Result<bool, FirmwareError> {
        if self.exists()? {
            return Ok(false);
        }
        self.replace(&self.path, &read_template(template)?)?;
        Ok(true)
    }

    /// Recreates the store from its pristine template (behaviour S3), whatever it contains now.
    ///
    /// # Errors
    /// As [`VariableStore::create_if_missing`]; the old store is then intact, unless the very last step,
    /// making the exchange durable, is what failed: then either store may be found, and each is whole.
    pub fn reset(&self, template: Option<&FlashImage>) -> Result<(), FirmwareError> {
        self.exists()?;
        self.replace(&self.path, &read_template(template)?)
    }

    /// Checks the content, before a start and after a stop.
    ///
    /// # Errors
    /// [`ErrorKind::StoreInvalid`] with the remedies, [`ErrorKind::StoreMissing`], or why it cannot be read.
    pub fn check(&self) -> Result<StoreLayout, FirmwareError> {
        check_store(&self.read()?).map_err(|error| {
            let error = error.of(&self.path).hint("start with --reset-nvram to begin with a pristine store");
            let last_good = self.last_good_path();
            if !last_good.is_file() {
                return error;
            }
            error.hint(format!("or restore the copy of the last clean stop, '{}'", last_good.display()))
        })
    }

    /// Keeps a copy after a clean stop, for the day on which the store is found damaged.
    ///
    /// # Errors
    /// When the store is not sound or the copy cannot be written; the earlier copy is then intact.
    pub fn keep_last_good(&self) -> Result<(), FirmwareError> {
        let bytes = self.read()?;
        check_store(&bytes).map_err(|error| error.of(&self.path))?;
        self.replace(&self.last_good_path(), &bytes)
    }

    /// Puts the last good copy back in place of the store.
    ///
    /// # Errors
    /// When there is no sound copy or it cannot be written; the store is then as it was.
    pub fn restore_last_good(&self) -> Result<(), FirmwareError> {
        self.exists()?;
        let copy = self.last_good_path();
        let bytes = self.read_at(&copy)?;
        check_store(&bytes).map_err(|error| error.of(&copy))?;
        self.replace(&self.path, &bytes)
    }

    /// Removes the store and its last good copy; what is not there is no error.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove(&self) -> Result<(), FirmwareError> {
        for path in [self.last_good_path(), self.path.clone()] {
            match self.disk.remove_file(&path) {
                Ok(()) => self.sync_directory(&path)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(FirmwareError::io(&path, "removing the variable store", error)),
            }
        }
        Ok(())
    }

    /// Moves the store to `destination` on the same file system, to keep it when its domain goes.
    ///
    /// # Errors
    /// [`ErrorKind::StoreMissing`] when there is none, [`ErrorKind::Io`] when something is at the destination
    /// already or the store cannot be moved.
    pub fn move_to(&self, destination: &Path) -> Result<(), FirmwareError> {
        if !self.exists()? {
            return Err(self.missing(&self.path));
        }
        if fs::symlink_metadata(destination).is_ok() {
            let taken = io::Error::from(io::ErrorKind::AlreadyExists);
            return Err(FirmwareError::io(destination, "moving the variable store here", taken));
        }
        let failed = |error| FirmwareError::io(&self.path, "moving the variable store", error);
        self.disk.rename(&self.path, destination).map_err(failed)?;
        self.sync_directory(destination)?;
        self.sync_directory(&self.path)
    }

    fn read(&self) -> Result<Vec<u8>, FirmwareError> {
        if !self.exists()? {
            return Err(self.missing(&self.path));
        }
        self.read_at(&self.path)
    }

    fn read_at(&self, path: &Path) -> Result<Vec<u8>, FirmwareError> {
        self.disk.read(path, MAX_STORE_BYTES).map_err(|error| match error.kind() {
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

    /// The recipe: a temporary in the same directory, all bytes, fdatasync, rename, fsync of the directory.
    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), FirmwareError> {
        let temporary = temporary_of(path);
        let written = self.write(&temporary, bytes).and_then(|()| self.disk.rename(&temporary, path));
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

/// Reads and checks a template. It is the host's own file, so links to it are followed.
fn read_template(template: Option<&FlashImage>) -> Result<Vec<u8>, FirmwareError> {
    let Some(template) = template else {
        return Err(FirmwareError::new(
            ErrorKind::TemplateMissing,
            "no template is known for the variable store",
        )
        .hint("name one in <nvram template='…'>, or let firmware='efi' choose code and template together"));
    };
    let path = &template.path;
    if template.format != FlashFormat::Raw {
        let message = format!("templates of format {} are not supported", template.format.name());
        return Err(FirmwareError::new(ErrorKind::TemplateInvalid, message)
            .of(path)
            .hint("name a raw template"));
    }
    let bytes = read_bounded(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            FirmwareError::new(ErrorKind::TemplateMissing, "the template does not exist")
                .of(path)
                .hint("install the firmware package it belongs to; an existing variable store still starts")
        }
        _ => FirmwareError::io(path, "reading the template", error),
    })?;
    check_store(&bytes).map(|_| ()).map_err(|error| {
        FirmwareError::new(ErrorKind::TemplateInvalid, "the template cannot be used")
            .of(path)
            .caused_by(error)
    })?;
    Ok(bytes)
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_STORE_BYTES.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_STORE_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
