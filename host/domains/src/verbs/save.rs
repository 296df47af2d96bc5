//! `save`: puts a running guest away into a file, and ends its domain.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hostler_launch::StopReason;
use hostler_runtime::{Driver, Transfer};
use hostler_state::{Definition, Intent};
use hostler_storage::{Draft, PoolRoot};
use serde_json::{Value, json};

use crate::context::Purpose;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::process;
use crate::recovery::{self, verb};
use crate::reference::DomainRef;
use crate::saved::{self, Place};
use crate::summary::{RunState, SavedDomain};

/// Everything is in the file: the guest is not to go on.
pub(crate) const WRITTEN: &str = "written";
/// How long a hypervisor whose guest is put away may take to end.
const END_WAIT: Duration = Duration::from_secs(10);

/// How a guest is put away.
#[derive(Clone, Debug, Default)]
pub struct SaveOptions {
    /// The file; nothing for the domain's own place, from which its next start brings the guest back.
    pub to: Option<PathBuf>,
    /// Whether the guest's processors are to run when it is brought back; as they do now, if not said.
    pub running: Option<bool>,
}

impl Host {
    /// Stops the guest, writes all of it into a file, and ends the domain. The file is whole or not there, and durable
    /// when this returns.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it does not run; [`Kind::Exists`] when there is such a file; [`Kind::Unsupported`] when its
    /// driver cannot do that; what reading, writing and the hypervisor say. The guest goes on as before then.
    pub async fn save(&self, wanted: &DomainRef, options: SaveOptions) -> Result<SavedDomain, Error> {
        let definition = self.active(wanted).await?;
        let driver = self.drivers.by_name(&definition.driver)?;
        if !driver.has_save() {
            let message = format!("the driver '{}' puts no guest away", definition.driver);
            return Err(
                Error::new(Kind::Unsupported, "driver.no-save", message).about("domain", &definition.name)
            );
        }
        self.require_no_jobs(&definition)?;
        let place = match &options.to {
            Some(path) => self.named_place(path)?,
            None => self.own_place(definition.uuid)?,
        };
        if options.to.is_none() && !definition.persistent {
            let message =
                format!("'{}' is forgotten when it ends, and a guest of its own with it", definition.name);
            return Err(
                Error::new(Kind::Conflict, "domain.transient", message).hint("name a file to save it to")
            );
        }
        if !place.root.lacks(&place.name) {
            let message = format!("there is a file '{}' already", place.path().display());
            return Err(Error::new(Kind::Exists, "saved.exists", message)
                .hint("choose another name, or remove it first"));
        }
        let owner = self.owner()?;
        let mut intent = owner.journal().begin(verb::SAVE, definition.uuid, "begun", payload(&place)?)?;
        let done = self.save_journalled(&definition, &driver, &place, &options, &mut intent).await;
        if Draft::is_swept(&place.root, intent.id) {
            owner.journal().finish(&intent)?;
        }
        done
    }

    async fn save_journalled(
        &self,
        definition: &Definition,
        driver: &Driver,
        place: &Place,
        options: &SaveOptions,
        intent: &mut Intent,
    ) -> Result<SavedDomain, Error> {
        let running = match options.running {
            Some(running) => running,
            None => self.query(definition).await? == RunState::Running,
        };
        if self.query(definition).await? == RunState::Running {
            // So that the guest can go on if it is not saved.
            self.freshen_all(definition).await?;
        }
        let draft = Draft::begin(&place.root, intent.id)?;
        let written = self.write(definition, driver, &draft, running).await;
        let published = match written {
            Ok(bytes) => self.publish(draft, place, intent).map(|()| bytes),
            Err(error) => Err(error),
        };
        let bytes = match published {
            Ok(bytes) => bytes,
            Err(error) => {
                self.let_go_on(definition).await;
                return Err(error);
            }
        };
        self.end_saved(definition).await?;
        Ok(SavedDomain { summary: self.summarise(definition).await?, path: place.path(), bytes, running })
    }

    /// Everything into the draft, durable. How many bytes it has then.
    async fn write(
        &self,
        definition: &Definition,
        driver: &Driver,
        draft: &Draft<'_>,
        running: bool,
    ) -> Result<u64, Error> {
        let mut file = draft.file().try_clone().map_err(unwritten)?;
        let begins = saved::begin(&mut file, &self.current_xml(definition)?, running).map_err(unwritten)?;
        let mut context = self.context(definition, Purpose::Operate)?;
        let output = write_only(draft, begins)?;
        context.transfer = Some(Transfer::Output(Arc::new(output.into()), "the saved guest".into()));
        driver.save(&context).await.map_err(|error| with_cause(error.into(), &file))?;
        let bytes = file.metadata().map_err(unwritten)?.len();
        if bytes <= begins {
            let message = format!(
                "the driver '{}' says that it has put the guest away, and wrote nothing",
                definition.driver
            );
            return Err(Error::new(Kind::Driver, "driver.no-output", message));
        }
        process::blocking(move || saved::finish(&file)).await?.map_err(unwritten)?;
        Ok(bytes)
    }

    /// From here on the guest is in the file, and nowhere else.
    fn publish(&self, draft: Draft<'_>, place: &Place, intent: &mut Intent) -> Result<(), Error> {
        let owner = self.owner()?;
        owner.journal().advance(intent, WRITTEN)?;
        if let Err(error) = draft.publish(&place.name) {
            owner.journal().advance(intent, "begun")?;
            return Err(error.into());
        }
        Ok(())
    }

    /// After a save that failed. A driver that answered has seen to it already; asking again changes nothing.
    async fn let_go_on(&self, definition: &Definition) {
        if let Err(error) = self.abandon_save(definition).await {
            tell_of_stopped(definition, &error);
        }
    }

    async fn abandon_save(&self, definition: &Definition) -> Result<(), Error> {
        let driver = self.drivers.by_name(&definition.driver)?;
        Ok(driver.abandon_save(&self.context(definition, Purpose::Operate)?).await?)
    }

    /// Finishes a save whose guest is all written and cannot go on any more. Whether there is something to finish.
    async fn finish_left(&self, intent: &mut Intent, place: &Place) -> Result<bool, Error> {
        let Some(mut file) = Draft::reopen(&place.root, intent.id)? else { return Ok(false) };
        if !saved::has_stream(&mut file).map_err(unwritten)? {
            return Ok(false);
        }
        process::blocking(move || saved::finish(&file)).await?.map_err(unwritten)?;
        self.owner()?.journal().advance(intent, WRITTEN)?;
        Ok(true)
    }

    /// Ends a domain whose guest is in a file.
    async fn end_saved(&self, definition: &Definition) -> Result<(), Error> {
        if self.state().run_dir(definition.uuid).is_held()? {
            process::end_because(self, definition, END_WAIT, StopReason::Saved).await?;
        }
        if !definition.persistent {
            recovery::remove_transient(self, definition.uuid)?;
        }
        Ok(())
    }
}

/// The draft for a hypervisor: it can write and do nothing else, from where its stream begins.
pub(crate) fn write_only(draft: &Draft<'_>, begins: u64) -> Result<File, Error> {
    let mut output = draft.write_only()?;
    output.seek(SeekFrom::Start(begins)).map_err(unwritten)?;
    Ok(output)
}

/// Why a hypervisor could not write its guest out, where it is that there was no room: QEMU does not say so.
pub(crate) fn with_cause(error: Error, draft: &File) -> Error {
    /// A hypervisor writes pieces of this size at least.
    const PIECE_BYTES: u64 = 64 << 10;
    let room = rustix::fs::fstatvfs(draft).map(|found| found.f_bavail.saturating_mul(found.f_frsize));
    match room {
        Ok(0..PIECE_BYTES) => unwritten(rustix::io::Errno::NOSPC.into())
            .hint("the guest goes on; free some space, or name a file on another file system"),
        _ => error,
    }
}

pub(crate) fn unwritten(error: std::io::Error) -> Error {
    Error::new(Kind::Host, "saved.unwritten", "cannot write the saved guest").caused_by(error)
}

fn payload(place: &Place) -> Result<Value, Error> {
    let identity = place.root.identity()?.to_string();
    Ok(json!({"path": place.root.path(), "name": place.name, "directory": identity}))
}

/// What a new owner does about a guest that was being put away: one that is all written is in its file and ends, any
/// other goes on as if nothing had been.
pub(crate) async fn settle(host: &Host, intent: &mut Intent) -> Result<(), Error> {
    let definition = host.state().definition_by_uuid(intent.domain)?;
    let place = place_of(intent)?;
    let mut abandoned = None;
    if let (Some(definition), true) = (&definition, intent.step != WRITTEN) {
        let held = host.state().run_dir(definition.uuid).is_held()?;
        abandoned = if held { host.abandon_save(definition).await.err() } else { None };
        // A guest that stood still when it was all written does not always go on any more. Its file has all of it.
        if let (Some(Kind::Conflict), Some(place)) = (abandoned.as_ref().map(|error| error.kind), &place)
            && let Err(error) = host.finish_left(intent, place).await
        {
            tracing::warn!(path = %place.path().display(), %error, "a guest that was all written cannot be saved");
        }
    }
    if let (true, Some(place)) = (intent.step == WRITTEN, &place) {
        match Draft::publish_left(&place.root, intent.id, &place.name) {
            Ok(()) => {
                return match definition {
                    Some(definition) => host.end_saved(&definition).await,
                    None => Ok(()),
                };
            }
            // Something else has that name by now. The guest is still there.
            Err(error) => {
                tracing::warn!(path = %place.path().display(), %error, "a saved guest cannot be named")
            }
        }
    }
    if let Some(place) = &place {
        Draft::sweep(&place.root, intent.id)?;
    }
    let Some(definition) = definition else { return Ok(()) };
    match abandoned {
        Some(error) => tell_of_stopped(&definition, &error),
        None if host.state().run_dir(definition.uuid).is_held()? => host.let_go_on(&definition).await,
        None => {}
    }
    Ok(())
}

fn tell_of_stopped(definition: &Definition, error: &Error) {
    tracing::warn!(domain = definition.name, %error, "the guest was not saved, and may be stopped; 'resume' lets it go on");
}

/// The place that an intent tells of; nothing when another directory is there by now, or none.
fn place_of(intent: &Intent) -> Result<Option<Place>, Error> {
    let text = |key: &str| intent.payload.get(key).and_then(Value::as_str).map(str::to_owned);
    let (Some(path), Some(name)) = (text("path"), text("name")) else { return Ok(None) };
    let Ok(root) = PoolRoot::open_at(path.as_ref()) else { return Ok(None) };
    let same = Some(root.identity()?.to_string()) == text("directory");
    Ok(same.then_some(Place { root, name }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hypervisor_can_only_write_and_behind_the_header() {
        use std::io::{Read as _, Write as _};
        let directory = tempfile::tempdir().unwrap();
        let root = PoolRoot::open_at(directory.path()).unwrap();
        let draft = Draft::begin(&root, 1).unwrap();
        let mut file = draft.file().try_clone().unwrap();
        let begins = saved::begin(&mut file, "<domain/>", false).unwrap();
        let mut output = write_only(&draft, begins).unwrap();
        output.write_all(b"QEVM").unwrap();
        assert!(output.read(&mut [0]).is_err());
        assert_eq!(file.metadata().unwrap().len(), begins + 4);
    }
}
