//! Making a store anew from its pristine template (behaviour S3), so that it can be taken back until a start has come
//! to be.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{LAST_GOOD_SUFFIX, VariableStore};
use crate::error::FirmwareError;
use crate::pflash::FlashImage;
use crate::volume::check_store;

/// What the name of the store as it was before a reset ends in, until it is clear whether the reset holds.
pub(super) const BEFORE_SUFFIX: &str = ".before-reset";
/// What the name of a store that was found damaged and replaced ends in.
pub(super) const DAMAGED_SUFFIX: &str = ".damaged";

impl VariableStore {
    /// Recreates the store from its template, whatever it contains now. What it was is kept beside it until
    /// [`VariableStore::settle_reset`] or [`VariableStore::undo_reset`] is called, by this process or the next owner.
    ///
    /// # Errors
    /// As [`VariableStore::create_if_missing`]; the old store is then intact, unless the very last step,
    /// making the exchange durable, is what failed: then either store may be found, and each is whole.
    pub fn reset(&self, template: Option<&FlashImage>) -> Result<(), FirmwareError> {
        let existed = self.exists()?;
        let pristine = self.pristine(template)?;
        if existed {
            self.set_before_aside()?;
        }
        self.replace(&self.path, &pristine).inspect_err(|_| {
            // The store may still be the old one; then the second name of it is all there is to take back.
            if is_same_file(&self.path, &self.before_path()) {
                self.disk.remove_file(&self.before_path()).ok();
            }
        })
    }

    /// The reset holds: what the store was becomes its last good copy, or is put aside when it was damaged. Nothing is
    /// done when there was no reset.
    ///
    /// # Errors
    /// When the copy cannot be moved; the store itself is not touched.
    pub fn settle_reset(&self) -> Result<(), FirmwareError> {
        let before = self.before_path();
        if !exists(&before) {
            return Ok(());
        }
        if is_same_file(&before, &self.path) {
            return self.remove_file(&before);
        }
        let is_sound = self.content_at(&before).and_then(|content| check_store(&content)).is_ok();
        self.rename(&before, &self.beside(if is_sound { LAST_GOOD_SUFFIX } else { DAMAGED_SUFFIX }))
    }

    /// The start for which the store was reset did not come to be: the store is what it was. Nothing is done when there
    /// was no reset.
    ///
    /// # Errors
    /// When the store cannot be put back; then what it was is still beside it.
    pub fn undo_reset(&self) -> Result<(), FirmwareError> {
        let before = self.before_path();
        if !exists(&before) {
            return Ok(());
        }
        if is_same_file(&before, &self.path) {
            return self.remove_file(&before);
        }
        self.rename(&before, &self.path)
    }

    /// Whether a reset is to be settled or undone.
    #[must_use]
    pub fn is_reset_pending(&self) -> bool {
        exists(&self.before_path())
    }

    /// Gives the store a second name. Where a file system has no second names it is copied.
    fn set_before_aside(&self) -> Result<(), FirmwareError> {
        let before = self.before_path();
        let failed = |error| {
            FirmwareError::io(&before, "keeping the variable store", error)
                .hint("check the space and the permissions of the directory; nothing was changed")
        };
        // What an earlier reset left was settled or undone by its owner; this is what nobody waits for any more.
        match self.disk.remove_file(&before) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        match self.disk.link(&self.path, &before) {
            Ok(()) => self.sync_directory(&before),
            Err(error) if has_no_links(&error) => self.replace(&before, &self.read_at(&self.path)?),
            Err(error) => Err(failed(error)),
        }
    }

    fn before_path(&self) -> PathBuf {
        self.beside(BEFORE_SUFFIX)
    }

    /// Every file that lies beside the store because of it.
    pub(super) fn copies(&self) -> [PathBuf; 3] {
        [LAST_GOOD_SUFFIX, BEFORE_SUFFIX, DAMAGED_SUFFIX].map(|suffix| self.beside(suffix))
    }
}

fn has_no_links(error: &io::Error) -> bool {
    matches!(
        rustix::io::Errno::from_io_error(error),
        Some(rustix::io::Errno::PERM | rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::MLINK)
    )
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (fs::symlink_metadata(one), fs::symlink_metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}
