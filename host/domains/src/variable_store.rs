//! A domain's variable store around a start of any kind: made where it is missing, made anew where that was asked for
//! (S3), checked, and given back as it was if the start does not come to be.
//!
//! A verb asks for a [`StoreOfStart`] before its first effect, puts its note into the intent under `store`, prepares it
//! before the driver is called, and hands it to `end_start`. When the verb is killed, the next owner settles or undoes by
//! the note.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_domain::Domain;
use hostler_firmware::{FirmwarePlan, FlashImage, StorePlace, VariableStore};
use hostler_runtime::QemuFormats;
use hostler_state::{Definition, Intent, Uuid};
use serde_json::{Value, json};

use crate::error::{Error, Kind};
use crate::firmware::{has_firmware_of_ours, require_smm};
use crate::firmware_summary::{StoreDone, StoreReport};
use crate::host::Host;
use crate::kept_stores;
use crate::pools::programs;
use crate::process;
use crate::summary::{Started, Warning};
use crate::volumes::require_unlocked;

/// The variable store of one start of any kind, from what is to be done to what is told.
#[derive(Debug)]
pub(crate) struct StoreOfStart {
    work: Option<StoreWork>,
    report: Option<StoreReport>,
    warnings: Vec<Warning>,
}

impl Host {
    /// What the variable store takes, of a domain whose driver has firmware from this host. That there is nothing to
    /// reset is worth a word, and no reason not to start.
    ///
    /// # Errors
    /// Why no firmware fits; [`Kind::Unsupported`] when a store is to be reset that this host does not make.
    pub(crate) fn store_of_start(&self, definition: &Definition, reset: bool) -> Result<StoreOfStart, Error> {
        let driver = self.drivers.by_name(&definition.driver)?;
        let work = match has_firmware_of_ours(&driver) {
            true => {
                let domain = Domain::parse(&definition.xml)?;
                let plan = self.firmware_of(&domain, definition.uuid)?;
                require_smm(&domain, plan.as_ref())?;
                self.store_work(plan, definition.uuid, reset)?
            }
            false => None,
        };
        let nothing_to_reset = reset && work.is_none();
        let warnings = nothing_to_reset.then(|| Warning {
            message: format!("'{}' has no variable store, so there is none to make anew", definition.name),
        });
        Ok(StoreOfStart { work, report: None, warnings: warnings.into_iter().collect() })
    }
}

impl StoreOfStart {
    /// What an intent says of it, for the next owner.
    pub(crate) fn note(&self) -> Value {
        self.work.as_ref().map_or(Value::Null, StoreWork::note)
    }

    /// Says of a store that is reset for a guest that was saved what is to be known: a hypervisor that keeps flash in
    /// memory, as QEMU does, saves it with the guest, and writes it out when that runs again.
    pub(crate) fn warn_of_saved_variables(&mut self) {
        if self.work.as_ref().is_some_and(|work| work.reset) {
            self.warnings.push(Warning {
                message: "a saved guest brings the variables back that it was saved with; for pristine ones boot it: \
                          'hostler start --force-boot --reset-nvram'"
                    .to_owned(),
            });
        }
    }

    /// Makes the store what a guest is to begin with.
    ///
    /// # Errors
    /// Why it cannot be made, or is not sound; the caller ends the start.
    pub(crate) async fn prepare(&mut self) -> Result<(), Error> {
        let Some(work) = self.work.clone() else { return Ok(()) };
        let (report, warnings) = process::blocking(move || work.prepare()).await??;
        self.report = Some(report);
        self.warnings.extend(warnings);
        Ok(())
    }

    /// The guest runs: what the store was before a reset becomes its last good copy. That this cannot be done is told,
    /// and takes nothing from the guest.
    ///
    /// # Errors
    /// [`Kind::Host`] when a thread of this process stopped.
    pub(crate) async fn settle(mut self, started: Started) -> Result<Started, Error> {
        if let Some(work) = self.work.take()
            && let Err(error) = process::blocking(move || work.settle()).await?
        {
            let message = format!("the store before the reset stays beside the new one: {error}");
            self.warnings.push(Warning { message });
        }
        Ok(Started {
            variable_store: self.report,
            warnings: [started.warnings, self.warnings].concat(),
            ..started
        })
    }

    /// The start did not come to be: the store is what it was.
    ///
    /// # Errors
    /// When it cannot be put back; what it was is then beside it.
    pub(crate) async fn undo(self) -> Result<(), Error> {
        match self.work {
            Some(work) => process::blocking(move || work.undo()).await?,
            None => Ok(()),
        }
    }
}

/// What a start has to do with a variable store.
#[derive(Clone, Debug)]
struct StoreWork {
    store: VariableStore,
    format: &'static str,
    template: Option<FlashImage>,
    place: StorePlace,
    /// Whether there was one before.
    existed: bool,
    /// One that was kept when a domain with this identifier was forgotten, to be taken up again.
    kept: Option<PathBuf>,
    reset: bool,
}

impl Host {
    /// What starting with this firmware takes; nothing when it has no variable store.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] when a store is to be reset that this host does not make; what looking for it says.
    fn store_work(
        &self,
        firmware: Option<FirmwarePlan>,
        uuid: Uuid,
        reset: bool,
    ) -> Result<Option<StoreWork>, Error> {
        let Some(plan) = firmware.and_then(|firmware| firmware.store) else { return Ok(None) };
        let store = VariableStore::new(plan.place.path())
            .of_format(plan.format, Arc::new(QemuFormats::new(programs())));
        let (existed, kept) = match &plan.place {
            StorePlace::Host(_) if !store.exists()? => {
                let kept = kept_stores::find(self.state().root(), uuid)?;
                (kept.is_some(), kept)
            }
            StorePlace::Host(_) | StorePlace::File(_) => (store.exists()?, None),
            StorePlace::Block(device) if reset => return Err(no_reset_of_device(device)),
            StorePlace::Block(_) => (true, None),
        };
        let (format, template, place) = (plan.format.name(), plan.template, plan.place);
        Ok(Some(StoreWork { store, format, template, place, existed, kept, reset }))
    }
}

impl StoreWork {
    /// What an intent says of it, for the next owner.
    fn note(&self) -> Value {
        json!({"path": self.store.path(), "existed": self.existed})
    }

    /// Makes the store what a guest is to begin with. Blocks for the length of a few small files.
    ///
    /// # Errors
    /// Why it cannot be made, or is not sound; the caller undoes.
    fn prepare(&self) -> Result<(StoreReport, Vec<Warning>), Error> {
        let mut warnings = Vec::new();
        if let StorePlace::Block(_) = self.place {
            return Ok((self.report(StoreDone::Kept), warnings));
        }
        if let Some(kept) = &self.kept {
            kept_stores::take_up(kept, self.store.path())?;
            warnings.push(Warning {
                message: "its variable store was kept when it was undefined, and is its own again".to_owned(),
            });
        }
        let done = match (self.existed, self.reset) {
            (true, true) => {
                require_unlocked(self.store.path(), "a variable store in use is not made anew")?;
                self.store.reset(self.template.as_ref())?;
                StoreDone::Reset
            }
            (true, false) => StoreDone::Kept,
            (false, _) => {
                self.store.create_if_missing(self.template.as_ref())?;
                StoreDone::Created
            }
        };
        self.store.check()?;
        if done == StoreDone::Kept
            && let Err(error) = self.store.keep_last_good()
        {
            warnings.push(Warning {
                message: format!("no copy of the variable store was kept: {}", sentence(&error)),
            });
        }
        Ok((self.report(done), warnings))
    }

    fn report(&self, done: StoreDone) -> StoreReport {
        StoreReport { path: self.store.path().to_owned(), format: self.format, done }
    }

    /// The guest runs: what its store was before a reset becomes the last good copy.
    ///
    /// # Errors
    /// When that cannot be done; the store is as it is.
    fn settle(&self) -> Result<(), Error> {
        Ok(self.store.settle_reset()?)
    }

    /// The start did not come to be: the store is what it was, and not there if it was not.
    ///
    /// # Errors
    /// When it cannot be put back; what it was is then beside it.
    fn undo(&self) -> Result<(), Error> {
        self.store.undo_reset()?;
        if !self.existed {
            self.store.remove_if_pristine(self.template.as_ref())?;
        }
        Ok(())
    }
}

/// What a start has noted in its intent, and whether there was a store before.
fn noted(intent: &Intent) -> Option<(VariableStore, bool)> {
    let note = intent.payload.get("store")?;
    let path = note.get("path")?.as_str()?;
    Some((VariableStore::new(path), note.get("existed")?.as_bool()?))
}

/// For the next owner, of a start that came to be.
///
/// # Errors
/// As [`StoreWork::settle`].
pub(crate) fn settle_noted(
    host: &Host,
    intent: &Intent,
    definition: Option<&Definition>,
) -> Result<(), Error> {
    let Some((bare, _)) = noted(intent) else { return Ok(()) };
    match work_of(host, definition, &bare) {
        Some(work) => work.settle(),
        None => Ok(bare.settle_reset()?),
    }
}

/// For the next owner, of a start that did not come to be.
///
/// # Errors
/// As [`StoreWork::undo`].
pub(crate) fn undo_noted(host: &Host, intent: &Intent, definition: Option<&Definition>) -> Result<(), Error> {
    let Some((bare, existed)) = noted(intent) else { return Ok(()) };
    bare.undo_reset()?;
    // Without its template nobody can tell that a store is nothing but that; then it stays, and is the domain's.
    match work_of(host, definition, &bare) {
        Some(work) if !existed && bare.exists()? => {
            work.store.remove_if_pristine(work.template.as_ref()).map(drop).or_else(|error| {
                tracing::warn!(%error, "the variable store of a start that was not finished stays");
                Ok(())
            })
        }
        _ => Ok(()),
    }
}

fn work_of(host: &Host, definition: Option<&Definition>, noted: &VariableStore) -> Option<StoreWork> {
    let definition = definition?;
    let domain = Domain::parse(&definition.xml).ok()?;
    let firmware = host.firmware_of(&domain, definition.uuid).ok()?;
    let work = host.store_work(firmware, definition.uuid, false).ok().flatten()?;
    (work.store.path() == noted.path()).then_some(work)
}

fn no_reset_of_device(device: &Path) -> Error {
    let shown = device.display().to_string();
    let message =
        format!("the variable store '{shown}' is a device, which this host does not write templates to");
    Error::new(Kind::Unsupported, "firmware.store-on-device", message)
        .about("path", &shown)
        .hint("write the template to it yourself while the domain is off")
        .hint("or keep the store in a file: <nvram>/path/to/store.fd</nvram>")
}

/// An error with what lies under it, in one line.
fn sentence(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
