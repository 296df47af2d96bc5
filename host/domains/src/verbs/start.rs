//! `start`: runs a defined domain's hypervisor.

use std::sync::Arc;
use std::time::Duration;

use hostler_domain::Domain;
use hostler_runtime::{DomainContext, Driver};
use hostler_state::{Definition, Intent};
use serde_json::json;

use crate::chain;
use crate::context::Purpose;
use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::process;
use crate::recovery::{self, verb};
use crate::reference::DomainRef;
use crate::summary::{RunState, Started};
use crate::variable_store::StoreOfStart;

/// How long what a failed start has launched may take to end.
const UNDO_WAIT: Duration = Duration::from_secs(5);

/// How a domain is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct StartOptions {
    /// Leave the guest's processors stopped.
    pub paused: bool,
    /// Make the variable store anew from its pristine template first.
    pub reset_nvram: bool,
    /// Boot, and lose the guest that was saved if one was.
    pub force_boot: bool,
}

impl Host {
    /// Starts a defined domain: with the guest that was saved, if one was. When this returns its guest runs (or is paused,
    /// if that was asked for, or it was when it was saved).
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it runs already; whatever image rules, firmware, driver, policy or hypervisor
    /// refuse. Nothing of it runs then, and the variable store is as it was.
    pub async fn start(&self, wanted: &DomainRef, options: StartOptions) -> Result<Started, Error> {
        let definition = self.find(wanted)?;
        self.owner()?;
        match self.start_saved(&definition, options).await? {
            Some(started) => Ok(started),
            None => self.start_definition(&definition, options).await,
        }
    }

    /// Starts what is stored under this definition, journalled.
    pub(crate) async fn start_definition(
        &self,
        definition: &Definition,
        options: StartOptions,
    ) -> Result<Started, Error> {
        let owner = self.owner()?;
        self.require_off(definition).await?;
        self.require_allowed_to_start(definition).await?;
        let mut store = self.store_of_start(definition, options.reset_nvram)?;
        let note = json!({"store": store.note()});
        let intent = owner.journal().begin(verb::START, definition.uuid, "begun", note)?;
        let result = self.start_by_driver(definition, options, &mut store).await;
        self.end_start(definition, &intent, result, store).await
    }

    /// The end of every kind of start: of one that came to be the variable store stays as it is, of another everything is
    /// undone.
    pub(crate) async fn end_start(
        &self,
        definition: &Definition,
        intent: &Intent,
        result: Result<Started, Error>,
        store: StoreOfStart,
    ) -> Result<Started, Error> {
        let owner = self.owner()?;
        match result {
            Ok(started) => {
                let started = store.settle(started).await?;
                owner.journal().finish(intent)?;
                Ok(started)
            }
            Err(error) => {
                // With the intent still pending the next owner tries again.
                if let Err(left) = self.undo(definition, store).await {
                    let hint = format!("not all of it could be undone, the next command tries again: {left}");
                    return Err(error.hint(hint));
                }
                owner.journal().finish(intent)?;
                Err(error)
            }
        }
    }

    async fn start_by_driver(
        &self,
        definition: &Definition,
        options: StartOptions,
        store: &mut StoreOfStart,
    ) -> Result<Started, Error> {
        let (driver, context) = self.prepare_start(definition, store).await?;
        let facts = if options.paused { vec![("paused".to_owned(), "yes".to_owned())] } else { Vec::new() };
        driver.start(&context, &facts).await?;
        self.place_threads(definition).await?;
        self.started(definition, &driver, &context).await
    }

    /// What every kind of start begins with: the variable store in order, and a run with a number of its own.
    pub(crate) async fn prepare_start(
        &self,
        definition: &Definition,
        store: &mut StoreOfStart,
    ) -> Result<(Arc<Driver>, DomainContext), Error> {
        store.prepare().await?;
        let driver = self.drivers.by_name(&definition.driver)?;
        let numeric_id = self.next_numeric_id()?;
        let context = DomainContext { numeric_id, ..self.context(definition, Purpose::Operate)? };
        Ok((driver, context))
    }

    /// A domain that was just started, with what it was started with.
    pub(crate) async fn started(
        &self,
        definition: &Definition,
        driver: &Driver,
        context: &DomainContext,
    ) -> Result<Started, Error> {
        Ok(Started {
            summary: self.summarise(definition).await?,
            chains: chain::of_domain(&Domain::parse(&definition.xml)?, &context.roots, &context.volumes),
            confinement: process::confinement(self, definition)?,
            driver: self.driver_summary(driver).await?,
            variable_store: None,
            warnings: Vec::new(),
        })
    }

    /// Refuses what its tenant has no room for, or what lies where the tenant may not reach; both may have changed since it
    /// was defined.
    pub(crate) async fn require_allowed_to_start(&self, definition: &Definition) -> Result<(), Error> {
        if self.tenant().is_some() {
            self.require_allowed_to_tenant(&Domain::parse(&definition.xml)?)?;
        }
        self.require_room_to_start(definition).await
    }

    /// Refuses a domain of which something lives.
    pub(crate) async fn require_off(&self, definition: &Definition) -> Result<(), Error> {
        let summary = self.summarise(definition).await?;
        if summary.state == RunState::Off {
            self.require_no_unfinished_change(definition)?;
            return self.require_no_lost_run(definition).await;
        }
        let message = format!("the domain '{}' is {}", definition.name, summary.state.word());
        let error = Error::new(Kind::Conflict, "domain.active", message).about("domain", &definition.name);
        Err(match (summary.state, summary.reason) {
            (RunState::Quarantined, Some(reason)) => error.hint(reason).hint_command(
                "end what is left of it; a guest that still runs is lost",
                command("destroy", &definition.name),
            ),
            _ => error,
        })
    }

    /// Refuses a domain whose run directory somebody removed while it ran: its lock went with it, so nothing else
    /// tells that it runs. Asked only where there is no run directory, for it means looking at every process.
    async fn require_no_lost_run(&self, definition: &Definition) -> Result<(), Error> {
        let run = self.state().run_dir(definition.uuid);
        if run.path().exists() {
            return Ok(());
        }
        let failed =
            |error| Error::new(Kind::Host, "host.processes", "cannot look at the processes").caused_by(error);
        let lock = run.lock_path();
        let holder =
            process::blocking(move || hostler_launch::holder_of_removed(&lock)).await?.map_err(failed)?;
        let Some(pid) = holder else { return Ok(()) };
        let message =
            format!("process {pid} of '{}' runs, and its run directory was removed", definition.name);
        Err(Error::new(Kind::Conflict, "domain.run-lost", message)
            .about("domain", &definition.name)
            .hint_command("end it; what its guest has not written is lost", format!("kill {pid}")))
    }

    /// Ends whatever a failed start has launched, and gives its variable store back as it was.
    async fn undo(&self, definition: &Definition, store: StoreOfStart) -> Result<(), Error> {
        if self.state().run_dir(definition.uuid).is_held()? {
            process::end(self, definition, UNDO_WAIT).await?;
        }
        store.undo().await?;
        recovery::undo_start(self, definition)
    }
}
