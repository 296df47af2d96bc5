//! What a new owner does about a guest that was on its way to or from here.

use std::time::Duration;

use hostler_launch::StopReason;
use hostler_state::{Definition, Intent, MigrationOutcome};

use super::record::{Given, Taking, step};
use crate::context::Purpose;
use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::process;
use crate::recovery::{self, verb};
use crate::reference::DomainRef;
use crate::summary::RunState;
use crate::variable_store;
use crate::verbs::UndefineOptions;

/// How long a hypervisor whose guest is elsewhere may take to end.
const END_WAIT: Duration = Duration::from_secs(10);

/// Settles a guest that was sent. Whether that could be done; one in doubt is looked at by every owner anew.
pub(crate) async fn settle_send(host: &Host, intent: &mut Intent) -> bool {
    match settle_sent(host, intent).await {
        Ok(settled) => settled,
        Err(error) => {
            tracing::warn!(domain = %intent.domain, %error, "a migration cannot be settled; the next owner tries again");
            false
        }
    }
}

async fn settle_sent(host: &Host, intent: &mut Intent) -> Result<bool, Error> {
    let Some(definition) = host.state().definition_by_uuid(intent.domain)? else { return Ok(true) };
    let given = Given::of(intent)?;
    if intent.step == step::GIVEN {
        if !host.state().run_dir(definition.uuid).is_held()? {
            // Whoever ended it here has decided.
            return Ok(true);
        }
        match given.outcome() {
            Some(MigrationOutcome::Taken) => host.owner()?.journal().advance(intent, step::MOVED)?,
            Some(MigrationOutcome::Refused) => host.owner()?.journal().advance(intent, step::BEGUN)?,
            None => {
                let error = in_doubt(&definition, &given);
                tracing::warn!(domain = definition.name, "{error}");
                return Ok(false);
            }
        }
    }
    match intent.step.as_str() {
        step::MOVED => host.end_moved(&definition, &given).await?,
        _ => host.take_back(&definition).await?,
    }
    Ok(true)
}

/// Settles a guest that was on its way here. Whether that could be done.
pub(crate) async fn settle_receive(host: &Host, intent: &mut Intent) -> bool {
    match settle_received(host, intent).await {
        Ok(settled) => settled,
        Err(error) => {
            tracing::warn!(domain = %intent.domain, %error, "a guest that came cannot be settled; the next owner tries again");
            false
        }
    }
}

async fn settle_received(host: &Host, intent: &mut Intent) -> Result<bool, Error> {
    let definition = host.state().definition_by_uuid(intent.domain)?;
    let taking = Taking::of(intent)?;
    let Some(definition) = definition else {
        host.owner()?.put_migration(taking.id, intent.domain, MigrationOutcome::Refused)?;
        return Ok(true);
    };
    if intent.step == step::GOING && host.goes_on(&definition, &taking, intent).await? {
        host.keep_taken(&definition, &taking)?;
        variable_store::settle_noted(host, intent, Some(&definition))?;
        return Ok(true);
    }
    host.end_refused(&definition, &taking).await?;
    variable_store::undo_noted(host, intent, Some(&definition))?;
    recovery::undo_start(host, &definition)?;
    Ok(true)
}

impl Host {
    /// Lets a guest go on here whose migration came to nothing.
    pub(crate) async fn take_back(&self, definition: &Definition) -> Result<(), Error> {
        if !self.state().run_dir(definition.uuid).is_held()? {
            return Ok(());
        }
        let driver = self.drivers.by_name(&definition.driver)?;
        Ok(driver.abandon_migration(&self.context(definition, Purpose::Operate)?).await?)
    }

    /// Ends what is left here of a guest that went on elsewhere; done already is done.
    pub(crate) async fn end_moved(&self, definition: &Definition, given: &Given) -> Result<(), Error> {
        if self.state().run_dir(definition.uuid).is_held()? {
            process::end_because(self, definition, END_WAIT, StopReason::Migrated).await?;
            self.tell(definition, "migrated");
        }
        if !definition.persistent {
            return recovery::remove_transient(self, definition.uuid);
        }
        if given.undefine {
            let wanted = DomainRef::new(definition.uuid.to_string());
            Box::pin(self.undefine(&wanted, UndefineOptions::default())).await?;
        }
        Ok(())
    }

    /// Whether a guest that was to go on here does, made so if it is not yet. One that has ended since has gone on.
    async fn goes_on(
        &self,
        definition: &Definition,
        taking: &Taking,
        intent: &mut Intent,
    ) -> Result<bool, Error> {
        if !self.state().run_dir(definition.uuid).is_held()? {
            return Ok(true);
        }
        if !taking.running || self.query(definition).await? != RunState::Paused {
            return Ok(true);
        }
        let driver = self.drivers.by_name(&definition.driver)?;
        match driver.resume(&self.context(definition, Purpose::Operate)?).await {
            Ok(()) => Ok(true),
            Err(error) => {
                tracing::warn!(domain = definition.name, %error, "a guest that came cannot go on");
                self.owner()?.journal().advance(intent, step::REFUSING)?;
                Ok(false)
            }
        }
    }

    /// The guest is here: written down for whoever sent it.
    pub(crate) fn keep_taken(&self, definition: &Definition, taking: &Taking) -> Result<(), Error> {
        let owner = self.owner()?;
        if taking.persist && !definition.persistent {
            let mut kept = definition.clone();
            kept.persistent = true;
            owner.put_definition(&kept)?;
        }
        Ok(owner.put_migration(taking.id, definition.uuid, MigrationOutcome::Taken)?)
    }

    /// The guest is not here: nothing of it is left, and that is written down for whoever sent it.
    pub(crate) async fn end_refused(&self, definition: &Definition, taking: &Taking) -> Result<(), Error> {
        if self.state().run_dir(definition.uuid).is_held()? {
            process::end(self, definition, END_WAIT).await?;
        }
        Ok(self.owner()?.put_migration(taking.id, definition.uuid, MigrationOutcome::Refused)?)
    }

    /// Refuses what would let a guest go on that may have gone on elsewhere.
    pub(crate) fn require_not_given_away(&self, definition: &Definition) -> Result<(), Error> {
        match self.given_away(definition)? {
            Some(intent) => Err(in_doubt(definition, &Given::of(&intent)?)),
            None => Ok(()),
        }
    }

    /// What the journal has of a guest that was given away, and of which nobody knows what became of it.
    pub(crate) fn given_away(&self, definition: &Definition) -> Result<Option<Intent>, Error> {
        let is_one = |intent: &Intent| {
            intent.verb == verb::MIGRATE && intent.domain == definition.uuid && intent.step == step::GIVEN
        };
        Ok(self.state().pending()?.into_iter().find(is_one))
    }
}

/// Nobody can tell from here where the guest is.
pub(crate) fn in_doubt(definition: &Definition, given: &Given) -> Error {
    let name = &definition.name;
    let message = format!(
        "the guest of '{name}' was given away to {}, and whether it went on there cannot be seen from here",
        given.to
    );
    Error::new(Kind::TimedOut, "migration.in-doubt", message)
        .about("domain", name)
        .about("destination", &given.state_dir)
        .hint_command(
            "let the destination settle it; the next command here sees what it did",
            format!("hostler --state-dir {} events", hostler_image::shell_quote(&given.state_dir)),
        )
        .hint_command("if it runs there, end what is left of it here", command("destroy", name))
        .hint_command(
            "if it does not run there and never will, take it back",
            format!("{} --take-back", command("migrate", name)),
        )
}
