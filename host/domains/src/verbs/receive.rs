//! `receive`: takes a running guest from another state directory.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use hostler_runtime::{DomainContext, Driver, Transfer};
use hostler_state::{Definition, Intent};

use crate::context::Purpose;
use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::migration::{
    Channel, Direction, Message, MigrationListener, Offer, OfferedGuest, Refusal, Taking, step, token,
};
use crate::process;
use crate::recovery::verb;
use crate::summary::Started;
use crate::variable_store::StoreOfStart;

/// How long the sender may take, from when all is there, to give the guest away.
const GO_WAIT: Duration = Duration::from_secs(60);

/// How long a hypervisor that waits for a guest may take to end.
const END_WAIT: Duration = Duration::from_secs(10);
/// How long a guest may take to come: as long as the runtime lets an operation take that moves one.
const COME_WAIT: Duration = Duration::from_secs(3_600);

/// A guest that comes.
struct Coming<'a> {
    definition: &'a Definition,
    driver: Arc<Driver>,
    context: DomainContext,
    intent: &'a mut Intent,
    taking: &'a Taking,
}

impl Host {
    /// Takes the guest that somebody offers, whose bytes come to the listener. When this returns it goes on here, or is
    /// paused if it was or is to be.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when its domain runs here; whatever a start fails of; `migration.lost` when the sender goes away.
    /// Nothing of it is here then, and the sender has it.
    pub async fn receive(
        &self,
        offered: OfferedGuest,
        listener: &MigrationListener,
    ) -> Result<Started, Error> {
        let OfferedGuest { offer, mut channel } = offered;
        let mut may_go_on = false;
        let taken = self.take(&offer, &mut channel, listener, &mut may_go_on).await;
        if let Err(error) = &taken
            && !may_go_on
            && let Err(unsaid) = channel.send(&Message::Refused(Refusal::from(error))).await
        {
            tracing::debug!(%unsaid, "the sender is not there to be refused");
        }
        taken
    }

    async fn take(
        &self,
        offer: &Offer,
        channel: &mut Channel,
        listener: &MigrationListener,
        may_go_on: &mut bool,
    ) -> Result<Started, Error> {
        let owner = self.owner()?;
        let definition = self.definition_of(offer).await?;
        self.require_off(&definition).await?;
        self.require_allowed_to_start(&definition).await?;
        if self.has_saved_guest(definition.uuid) {
            return Err(saved_guest(&definition));
        }
        let mut store = self.store_of_start(&definition, false)?;
        let persist = offer.persist || definition.persistent;
        let taking = Taking { id: offer.id, running: offer.running, store: store.note(), persist };
        let payload = serde_json::to_value(&taking).map_err(|error| {
            Error::new(Kind::Host, "migration.record", "a migration cannot be written down").caused_by(error)
        })?;
        if self.state().definition_by_uuid(definition.uuid)?.is_none() {
            // It stays defined once its guest is here, and not before.
            owner.put_definition(&Definition { persistent: false, ..definition.clone() })?;
        }
        let mut intent = owner.journal().begin(verb::RECEIVE, definition.uuid, step::BEGUN, payload)?;
        let come = self.come(&definition, &taking, &mut intent, &mut store, (channel, listener)).await;
        match come {
            Err(error) if intent.step != step::GOING => {
                if let Err(left) = self.end_refused(&definition, &taking).await {
                    // With the intent still pending the next owner tries again.
                    return Err(error.hint(format!("something of it is still here: {left}")));
                }
                let stored = self.state().definition_by_uuid(definition.uuid)?.unwrap_or(definition);
                self.end_start(&stored, &intent, Err(error), store).await
            }
            // The next owner finds out whether it went on.
            Err(error) => {
                *may_go_on = true;
                Err(error.hint_command("see how the guest is", command("show", &definition.name)))
            }
            Ok(started) => {
                self.define_as_offered(offer).await?;
                self.end_start(&definition, &intent, Ok(started), store).await
            }
        }
    }

    /// The definition that the guest runs with, checked by this host's driver.
    async fn definition_of(&self, offer: &Offer) -> Result<Definition, Error> {
        let prepared = self.prepare(&offer.document, offer.persist).await?;
        let definition = prepared.definition;
        if definition.name != offer.name || definition.driver != offer.driver {
            let message = format!(
                "'{}' is run by the driver '{}' there, and would be by '{}' here",
                definition.name, offer.driver, definition.driver
            );
            return Err(Error::new(Kind::Conflict, "migration.driver", message)
                .hint_command("see which driver takes what", "hostler driver list"));
        }
        if let Some(stored) = &offer.definition {
            let stored = self.prepare(stored, true).await?.definition;
            if (stored.uuid, &stored.name) != (definition.uuid, &definition.name) {
                let message = "the guest and the definition that are offered are of two domains";
                return Err(Error::new(Kind::Invalid, "migration.protocol", message));
            }
        }
        Ok(definition)
    }

    /// Everything up to that the guest goes on. The intent is at [`step::GOING`] from when that may have been.
    async fn come(
        &self,
        definition: &Definition,
        taking: &Taking,
        intent: &mut Intent,
        store: &mut StoreOfStart,
        (channel, listener): (&mut Channel, &MigrationListener),
    ) -> Result<Started, Error> {
        let (driver, context) = self.prepare_start(definition, store).await?;
        driver.prepare_guest(&context).await?;
        let mut coming = Coming { definition, driver, context, intent, taking };
        coming.read(self, channel, listener).await?;
        channel.send(&Message::Received).await?;
        match channel.receive(GO_WAIT).await? {
            Message::Go => {}
            _ => return Err(out_of_turn()),
        }
        coming.go_on(self).await?;
        if let Err(error) = channel.send(&Message::Runs).await {
            // It finds the guest taken where that is written down.
            tracing::warn!(%error, "the sender could not be told that the guest is here");
        }
        let mut started = self.started(definition, &coming.driver, &coming.context).await?;
        started.warnings.extend(self.place_threads_or_warn(definition).await);
        Ok(started)
    }

    /// Stores the definition that is to be there beside the guest.
    async fn define_as_offered(&self, offer: &Offer) -> Result<(), Error> {
        let Some(xml) = &offer.definition else { return Ok(()) };
        let definition = self.prepare(xml, true).await?.definition;
        let stored = self.state().definition_by_uuid(definition.uuid)?;
        if stored.is_none_or(|stored| stored.xml != definition.xml) {
            self.owner()?.put_definition(&definition)?;
        }
        Ok(())
    }
}

impl Coming<'_> {
    async fn read(
        &self,
        host: &Host,
        channel: &mut Channel,
        listener: &MigrationListener,
    ) -> Result<(), Error> {
        let token = token();
        let state_dir = std::path::absolute(host.state().root())
            .map(|path| path.display().to_string())
            .unwrap_or_default();
        channel.send(&Message::Ready { token: token.clone(), state_dir }).await?;
        let data: OwnedFd = listener.data(&token).await?.into_fd(Direction::In).map_err(|error| {
            Error::new(Kind::Host, "migration.lost", "the guest's connection broke").caused_by(error)
        })?;
        let place = format!("a guest at {}", listener.address());
        let transfer = Some(Transfer::Input(Arc::new(data), place.into()));
        let context = DomainContext { transfer, ..self.context.clone() };
        let mut reading = std::pin::pin!(self.driver.receive_guest(&context));
        let gone = tokio::select! {
            read = &mut reading => return Ok(read?),
            said = channel.receive(COME_WAIT) => said,
        };
        // The sender has given up. The hypervisor waits for bytes that never come, and its driver for it.
        process::end(host, self.definition, END_WAIT).await?;
        let read = reading.await;
        Err(match (gone, read) {
            (Err(error), _) => error,
            (Ok(_), Err(error)) => error.into(),
            (Ok(_), Ok(())) => out_of_turn(),
        })
    }

    /// The guest is given to this side. It goes on, or never does.
    async fn go_on(&mut self, host: &Host) -> Result<(), Error> {
        let owner = host.owner()?;
        owner.journal().advance(self.intent, step::GOING)?;
        if self.taking.running {
            let context = host.context(self.definition, Purpose::Operate)?;
            if let Err(error) = self.driver.resume(&context).await {
                owner.journal().advance(self.intent, step::REFUSING)?;
                return Err(error.into());
            }
        }
        let stored = host.state().definition_by_uuid(self.definition.uuid)?;
        host.keep_taken(stored.as_ref().unwrap_or(self.definition), self.taking)
    }
}

fn out_of_turn() -> Error {
    Error::new(Kind::Invalid, "migration.protocol", "the sender of the guest spoke out of turn")
}

/// What a guest would go on beside that can only go on in its place.
pub(crate) fn saved_guest(definition: &Definition) -> Error {
    let name = &definition.name;
    let message = format!("the domain '{name}' has a guest of its own here, which was saved");
    Error::new(Kind::Conflict, "domain.saved", message)
        .about("domain", name)
        .hint_command("bring it back and switch it off first", command("start", name))
}
