//! The variable store in snapshots: a copy of it beside the record, and the copy in its place again.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_domain::Domain;
use hostler_firmware::{FlashFormat, FlashImage, StorePlace, VariableStore};
use hostler_runtime::QemuFormats;
use hostler_state::{Definition, SnapshotStore};
use hostler_storage::{Draft, PoolRoot};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};
use crate::firmware::has_firmware_of_ours;
use crate::host::Host;
use crate::pools::programs;
use crate::volumes::require_unlocked;

/// Largest store that is copied, in bytes: flash devices have less.
const STORE_MAX_BYTES: u64 = 64 << 20;
/// How often a store that a guest writes to is read until it is the same twice.
const READS: usize = 16;

/// A variable store that gets the content of a snapshot's copy, or of its template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreChange {
    path: PathBuf,
    qcow2: bool,
    from: PathBuf,
    from_qcow2: bool,
    existed: bool,
}

/// What the copies of a snapshot are called in the domain's directory.
pub(crate) fn kept_name(operation: u64, what: &str) -> String {
    format!("snapshot-{operation}.{what}")
}

/// The operation whose memory a file of this name has.
pub(crate) fn memory_operation(name: &str) -> Option<u64> {
    let operation = name.strip_prefix("snapshot-")?.strip_suffix(".memory")?.parse().ok()?;
    (kept_name(operation, "memory") == name).then_some(operation)
}

impl Host {
    /// Copies the variable store of a domain into its directory, durable. Nothing when it has none that can be copied: of
    /// a guest that runs, one of a format whose file says nothing about what the guest has just written.
    ///
    /// # Errors
    /// Why it cannot be read or written; [`Kind::Busy`] when a guest does not stop writing to it.
    pub(crate) fn keep_store(
        &self,
        definition: &Definition,
        xml: &str,
        (operation, runs): (u64, bool),
    ) -> Result<Option<SnapshotStore>, Error> {
        let Some((place, format, _)) = self.store_of(definition, xml)? else { return Ok(None) };
        if matches!(place, StorePlace::Block(_)) || (runs && format != FlashFormat::Raw) {
            return Ok(None);
        }
        let path = place.path();
        if std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return Ok(None);
        }
        let content = if runs { settled(path)? } else { read(path)? };
        let file = kept_name(operation, "nvram");
        let root = PoolRoot::open_at(&self.state().domain_dir(definition.uuid))?;
        let draft = Draft::begin(&root, operation)?;
        draft.file().write_all(&content).map_err(|error| failed("write a copy of", path, error))?;
        draft.finish()?;
        draft.publish(&file)?;
        Ok(Some(SnapshotStore { file, format: format.name().to_owned() }))
    }

    /// What makes the store of a domain what a snapshot has kept, or pristine; nothing when there is nothing to do.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for a store on a device.
    pub(crate) fn store_change(
        &self,
        definition: &Definition,
        xml: &str,
        (kept, reset): (Option<&SnapshotStore>, bool),
    ) -> Result<Option<StoreChange>, Error> {
        let Some((place, format, template)) = self.store_of(definition, xml)? else { return Ok(None) };
        let kept = kept.filter(|_| !reset).map(|kept| {
            let from = self.state().domain_dir(definition.uuid).join(&kept.file);
            (from, kept.format == "qcow2")
        });
        let template =
            template.filter(|_| reset).map(|image| (image.path, image.format == FlashFormat::Qcow2));
        let Some((from, from_qcow2)) = kept.or(template) else { return Ok(None) };
        if let StorePlace::Block(device) = &place {
            let message =
                format!("the variable store '{}' is a device, which is not written", device.display());
            return Err(Error::new(Kind::Unsupported, "firmware.store-on-device", message));
        }
        let path = place.path().to_owned();
        let existed = std::fs::symlink_metadata(&path).is_ok();
        Ok(Some(StoreChange { path, qcow2: format == FlashFormat::Qcow2, from, from_qcow2, existed }))
    }

    /// The file of a domain's variable store, open for reading; nothing when it has none that is a file.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub(crate) fn store_file(&self, definition: &Definition, xml: &str) -> Result<Option<File>, Error> {
        let Some((place, ..)) = self.store_of(definition, xml)? else { return Ok(None) };
        if matches!(place, StorePlace::Block(_)) {
            return Ok(None);
        }
        open(place.path()).map(Some)
    }

    fn store_of(
        &self,
        definition: &Definition,
        xml: &str,
    ) -> Result<Option<(StorePlace, FlashFormat, Option<FlashImage>)>, Error> {
        if !has_firmware_of_ours(&*self.drivers.by_name(&definition.driver)?) {
            return Ok(None);
        }
        let plan = self.firmware_of(&Domain::parse(xml)?, definition.uuid)?;
        Ok(plan.and_then(|firmware| firmware.store).map(|store| (store.place, store.format, store.template)))
    }
}

impl StoreChange {
    /// Puts the other content in its place. What it was is kept until [`Self::settle`] or [`Self::undo`].
    ///
    /// # Errors
    /// Why that cannot be done; the store is as it was then (S3).
    pub(crate) fn apply(&self) -> Result<(), Error> {
        require_unlocked(&self.path, "a variable store in use is not replaced")?;
        let format = if self.from_qcow2 { FlashFormat::Qcow2 } else { FlashFormat::Raw };
        let store = self.store();
        store.reset(Some(&FlashImage { path: self.from.clone(), format }))?;
        store.check()?;
        Ok(())
    }

    /// The change holds.
    ///
    /// # Errors
    /// When what it was cannot be moved.
    pub(crate) fn settle(&self) -> Result<(), Error> {
        Ok(self.store().settle_reset()?)
    }

    /// The store is what it was, and not there if it was not.
    ///
    /// # Errors
    /// When it cannot be put back.
    pub(crate) fn undo(&self) -> Result<(), Error> {
        let store = self.store();
        store.undo_reset()?;
        if !self.existed && store.exists()? {
            store.remove()?;
        }
        Ok(())
    }

    fn store(&self) -> VariableStore {
        let format = if self.qcow2 { FlashFormat::Qcow2 } else { FlashFormat::Raw };
        VariableStore::new(self.path.clone()).of_format(format, Arc::new(QemuFormats::new(programs())))
    }
}

/// The content of a store that a guest may be writing to, as it was at one moment: read until it is the same twice.
fn settled(path: &Path) -> Result<Vec<u8>, Error> {
    let mut before = read(path)?;
    for _ in 0..READS {
        let now = read(path)?;
        if now == before {
            return Ok(now);
        }
        before = now;
    }
    let message = format!("the guest does not stop writing to its variable store '{}'", path.display());
    Err(Error::new(Kind::Busy, "snapshot.store-busy", message).hint("suspend it first"))
}

fn open(path: &Path) -> Result<File, Error> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
    else {
        return Err(failed("read", path, std::io::ErrorKind::InvalidInput.into()));
    };
    Ok(PoolRoot::open_at(directory)?.open_file(name)?)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    let count = open(path)?.take(STORE_MAX_BYTES + 1).read_to_end(&mut content);
    count.map_err(|error| failed("read", path, error))?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > STORE_MAX_BYTES {
        return Err(failed("copy", path, std::io::ErrorKind::FileTooLarge.into()));
    }
    Ok(content)
}

fn failed(what: &str, path: &Path, error: std::io::Error) -> Error {
    let message = format!("cannot {what} the variable store '{}'", path.display());
    Error::new(Kind::Host, "snapshot.store", message).caused_by(error)
}
