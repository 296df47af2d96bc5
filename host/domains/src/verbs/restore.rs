//! `restore`: starts a domain with a guest that was put away.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_runtime::{DomainContext, Driver, KeptWithin, Transfer};
use hostler_state::{Definition, Intent};
use serde_json::{Value, json};

use crate::context::Purpose;
use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::recovery::verb;
use crate::reverted::{Kept, REVERTED};
use crate::saved::{self, Place, SavedGuest};
use crate::summary::{Started, Warning};
use crate::variable_store::StoreOfStart;
use crate::verbs::StartOptions;

/// The guest is there, and may have run: what it was saved in is out of date.
const RESTORED: &str = "restored";

/// What a journal says of a guest whose processors are to run once it is back.
const GOES_ON: &str = "goes-on";

/// A guest, and how it is to be brought back.
struct Return {
    from: From,
    /// Whether its processors ran.
    running: bool,
    /// What goes once it is back: the domain's own saved guest, or the record of a reverted one.
    own: Option<&'static str>,
    options: StartOptions,
}

impl Return {
    /// Whether its processors are to run once it is back.
    fn goes_on(&self) -> bool {
        self.running && !self.options.paused
    }
}

/// Where a guest is.
enum From {
    /// In a file, opened where its stream begins.
    File(File, PathBuf),
    /// Within the images of its disks.
    Within(KeptWithin),
}

impl From {
    fn file(guest: SavedGuest) -> Self {
        Self::File(guest.file, guest.path)
    }
}

impl Host {
    /// Starts the domain of the guest in a file. One that is not defined is forgotten when it ends. The file stays.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; what the file is that is no saved guest; [`Kind::Conflict`] when the domain runs; whatever a
    /// start fails of. Nothing of it runs then, and the file is as it was.
    pub async fn restore(&self, path: &Path, options: StartOptions) -> Result<Started, Error> {
        let place = self.named_place(path)?;
        let Some(guest) = saved::open(&place)? else {
            let message = format!("there is no file '{}'", place.path().display());
            return Err(Error::new(Kind::NotFound, "saved.not-found", message));
        };
        let prepared = self.prepare(&guest.header.xml, false).await?;
        let definition = prepared.definition;
        self.require_allowed_to_start(&definition).await?;
        if prepared.created {
            self.owner()?.put_definition(&definition)?;
        }
        let running = guest.header.running;
        self.bring_back(&definition, Return { from: From::file(guest), running, own: None, options }).await
    }

    /// Starts a domain with its own saved guest, if it has one and it is wanted. The file is gone when the guest is back.
    pub(crate) async fn start_saved(
        &self,
        definition: &Definition,
        options: StartOptions,
    ) -> Result<Option<Started>, Error> {
        if !self.has_saved_guest(definition.uuid) {
            return Ok(None);
        }
        let own = if self.own_place(definition.uuid)?.exists() { saved::OWN } else { REVERTED };
        let place = Place { name: own.to_owned(), ..self.own_place(definition.uuid)? };
        let hint = |error: Error| {
            error.hint_command(
                "boot it without that guest, which is lost then",
                format!("{} --force-boot", command("start", &definition.name)),
            )
        };
        if options.force_boot {
            self.require_off(definition).await?;
            place.root.remove_file(&place.name)?;
            return Ok(None);
        }
        let found = match own {
            REVERTED => self.kept_guest(definition),
            _ => saved::open(&place).map(|guest| {
                guest.map(|guest| (guest.header.xml.clone(), guest.header.running, From::file(guest)))
            }),
        };
        let Some((xml, running, from)) = found.map_err(hint)? else { return Ok(None) };
        // As it ran: a definition that was changed since is for the next start.
        let definition = Definition { xml, ..definition.clone() };
        let back = Return { from, running, own: Some(own), options };
        self.bring_back(&definition, back).await.map_err(hint).map(Some)
    }

    /// The guest of the snapshot that a domain was taken back to: its document, whether its processors are to run, and where
    /// it is.
    fn kept_guest(&self, definition: &Definition) -> Result<Option<(String, bool, From)>, Error> {
        let Some(reverted) = self.reverted_guest(definition.uuid)? else { return Ok(None) };
        let from = match reverted.kept {
            Kept::Within(kept) => From::Within(kept),
            Kept::File(name) => {
                let place = Place { name, ..self.own_place(definition.uuid)? };
                let guest = saved::open(&place)?.ok_or_else(|| {
                    let message = format!("the memory '{}' is gone", place.path().display());
                    Error::new(Kind::NotFound, "snapshot.memory-gone", message)
                })?;
                From::file(guest)
            }
        };
        Ok(Some((reverted.xml, reverted.running, from)))
    }

    async fn bring_back(&self, definition: &Definition, back: Return) -> Result<Started, Error> {
        let owner = self.owner()?;
        self.require_off(definition).await?;
        self.require_allowed_to_start(definition).await?;
        let mut store = self.store_of_start(definition, back.options.reset_nvram)?;
        store.warn_of_saved_variables();
        let note = json!({"own": back.own, "store": store.note(), GOES_ON: back.goes_on()});
        let mut intent = owner.journal().begin(verb::START, definition.uuid, "begun", note)?;
        match self.bring_back_journalled(definition, back, &mut intent, &mut store).await {
            // The guest is in no file any more, so nothing of it is undone. The next owner takes it as it is.
            Err(error) if intent.step == RESTORED => Err(error.hint_command(
                "the guest is back all the same; see how it is",
                command("show", &definition.name),
            )),
            result => self.end_start(definition, &intent, result, store).await,
        }
    }

    /// The guest comes back stopped. Before it goes on the journal has it that its file is out of date.
    async fn bring_back_journalled(
        &self,
        definition: &Definition,
        back: Return,
        intent: &mut Intent,
        store: &mut StoreOfStart,
    ) -> Result<Started, Error> {
        let (driver, context) = self.prepare_start(definition, store).await?;
        let goes_on = back.goes_on();
        let Return { from, own, .. } = back;
        match from {
            From::File(file, path) => self.read_in(&driver, &context, file, path).await?,
            From::Within(kept) => driver.bring_back(&context, &kept).await?,
        }
        self.owner()?.journal().advance(intent, RESTORED)?;
        if let Some(name) = own {
            self.own_place(definition.uuid)?.root.remove_file(name)?;
        }
        let going = match goes_on {
            true => self.let_guest_go_on(definition, &driver).await,
            false => Ok(()),
        };
        let mut started = self.started(definition, &driver, &context).await?;
        started.warnings.extend(self.place_threads_or_warn(definition).await);
        if let Err(error) = going {
            let message = format!("the guest is back and stays paused, for it cannot be let go on: {error}");
            started.warnings.push(Warning { message });
        }
        Ok(started)
    }

    async fn let_guest_go_on(&self, definition: &Definition, driver: &Driver) -> Result<(), Error> {
        Ok(driver.resume(&self.context(definition, Purpose::Operate)?).await?)
    }

    async fn read_in(
        &self,
        driver: &Driver,
        context: &DomainContext,
        file: File,
        path: PathBuf,
    ) -> Result<(), Error> {
        let context =
            DomainContext { transfer: Some(Transfer::Input(Arc::new(file.into()), path)), ..context.clone() };
        Ok(driver.restore(&context, &[("paused".to_owned(), "yes".to_owned())]).await?)
    }
}

/// What a new owner does about the own file of a guest that was being brought back, once it is known whether the guest is
/// there: with a guest that may have run the file is out of date.
pub(crate) fn settle(host: &Host, intent: &Intent, guest_is_there: bool) -> Result<(), Error> {
    let payload = &intent.payload;
    // Versions before knew one kind only, and noted it so.
    let saved = payload.get("saved").and_then(Value::as_bool).unwrap_or_default().then_some(saved::OWN);
    let own = payload.get("own").and_then(Value::as_str).or(saved);
    let own = own.and_then(|own| [saved::OWN, REVERTED].into_iter().find(|name| *name == own));
    if let Some(name) = own.filter(|_| guest_is_there || intent.step == RESTORED) {
        host.own_place(intent.domain)?.root.remove_file(name)?;
    }
    Ok(())
}

/// What a new owner does about a guest that is back and was to go on: it may stand still yet.
pub(crate) async fn let_go_on(host: &Host, intent: &Intent, definition: &Definition) {
    if intent.payload.get(GOES_ON).and_then(Value::as_bool) != Some(true) {
        return;
    }
    let going = match host.drivers.by_name(&definition.driver) {
        Ok(driver) => host.let_guest_go_on(definition, &driver).await,
        Err(error) => Err(error),
    };
    if let Err(error) = going {
        tracing::warn!(domain = definition.name, %error, "the guest is back and may be stopped; 'resume' lets it go on");
    }
}

/// Refuses to forget a domain whose next start would bring a guest back.
pub(crate) fn require_no_saved_guest(host: &Host, definition: &Definition) -> Result<(), Error> {
    if !host.has_saved_guest(definition.uuid) {
        return Ok(());
    }
    let name = &definition.name;
    let message = format!("a guest of '{name}' was put away, and its next start brings it back");
    Err(Error::new(Kind::Conflict, "domain.saved", message)
        .about("domain", name)
        .hint_command("bring it back and switch it off first", command("start", name))
        .hint_command("or forget it with its guest", format!("{} --saved-guest", command("undefine", name))))
}
