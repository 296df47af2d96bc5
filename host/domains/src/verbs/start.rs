//! `start`: runs a defined domain's hypervisor.

use std::time::Duration;

use hostler_domain::Domain;
use hostler_state::Definition;
use serde_json::{Value, json};

use crate::chain;
use crate::context::Purpose;
use crate::error::{Error, Kind, command};
use crate::firmware;
use crate::firmware_summary::StoreReport;
use crate::host::Host;
use crate::process;
use crate::recovery::{self, verb};
use crate::reference::DomainRef;
use crate::summary::{RunState, Started, Warning};
use crate::variable_store::StoreWork;

/// How long what a failed start has launched may take to end.
const UNDO_WAIT: Duration = Duration::from_secs(5);

/// How a domain is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct StartOptions {
    /// Leave the guest's processors stopped.
    pub paused: bool,
    /// Make the variable store anew from its pristine template first.
    pub reset_nvram: bool,
}

impl Host {
    /// Starts a defined domain. When this returns its guest runs (or is paused, if that was asked for).
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it runs already; whatever image rules, firmware, driver, policy or hypervisor
    /// refuse. Nothing of it runs then, and the variable store is as it was.
    pub async fn start(&self, wanted: &DomainRef, options: StartOptions) -> Result<Started, Error> {
        let definition = self.find(wanted)?;
        self.start_definition(&definition, options).await
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
        let (work, mut warnings) = self.store_work_of(definition, options.reset_nvram)?;
        let note = work.as_ref().map_or(Value::Null, |work| json!({"store": work.note()}));
        let intent = owner.journal().begin(verb::START, definition.uuid, "begun", note)?;
        let result = self.start_with_store(definition, options, work.clone()).await;
        match (result, work) {
            (Ok(started), work) => {
                if let Some(work) = work {
                    warnings.extend(settle(work).await?);
                }
                owner.journal().finish(&intent)?;
                Ok(Started { warnings: [started.warnings, warnings].concat(), ..started })
            }
            (Err(error), work) => {
                // With the intent still pending the next owner tries again.
                if let Err(left) = self.undo(definition, work).await {
                    return Err(error.hint(format!(
                        "not all of it could be undone, the next command tries again: {left}"
                    )));
                }
                owner.journal().finish(&intent)?;
                Err(error)
            }
        }
    }

    /// What the variable store takes, of a domain whose driver has firmware from this host. That there is nothing to
    /// reset is worth a word, and no reason not to start.
    fn store_work_of(
        &self,
        definition: &Definition,
        reset: bool,
    ) -> Result<(Option<StoreWork>, Vec<Warning>), Error> {
        let driver = self.drivers.by_name(&definition.driver)?;
        let work = match firmware::has_firmware_of_ours(&driver) {
            true => self.store_work(&Domain::parse(&definition.xml)?, definition.uuid, reset)?,
            false => None,
        };
        let nothing_to_reset = reset && work.is_none();
        let warnings = nothing_to_reset.then(|| Warning {
            message: format!("'{}' has no variable store, so there is none to make anew", definition.name),
        });
        Ok((work, warnings.into_iter().collect()))
    }

    async fn start_with_store(
        &self,
        definition: &Definition,
        options: StartOptions,
        work: Option<StoreWork>,
    ) -> Result<Started, Error> {
        let prepared = match work {
            Some(work) => Some(process::blocking(move || work.prepare()).await??),
            None => None,
        };
        let (report, warnings) =
            prepared.map_or((None, Vec::new()), |(report, warnings)| (Some(report), warnings));
        let started = self.start_by_driver(definition, options, report).await?;
        Ok(Started { warnings, ..started })
    }

    async fn start_by_driver(
        &self,
        definition: &Definition,
        options: StartOptions,
        variable_store: Option<StoreReport>,
    ) -> Result<Started, Error> {
        let driver = self.drivers.by_name(&definition.driver)?;
        let mut context = self.context(definition, Purpose::Operate)?;
        context.numeric_id = self.next_numeric_id()?;
        let facts = if options.paused { vec![("paused".to_owned(), "yes".to_owned())] } else { Vec::new() };
        driver.start(&context, &facts).await?;
        Ok(Started {
            summary: self.summarise(definition).await?,
            chains: chain::of_domain(&Domain::parse(&definition.xml)?, &context.roots, &context.volumes),
            confinement: process::confinement(self, definition)?,
            driver: self.driver_summary(&driver).await?,
            variable_store,
            warnings: Vec::new(),
        })
    }

    /// Refuses what its tenant has no room for, or what lies where the tenant may not reach; both may have changed since it
    /// was defined.
    pub(crate) async fn require_allowed_to_start(&self, definition: &Definition) -> Result<(), Error> {
        if self.tenant().is_some() {
            self.require_within_roots(&Domain::parse(&definition.xml)?)?;
        }
        self.require_room_to_start(definition).await
    }

    /// Refuses a domain of which something lives.
    async fn require_off(&self, definition: &Definition) -> Result<(), Error> {
        let summary = self.summarise(definition).await?;
        if summary.state == RunState::Off {
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
    async fn undo(&self, definition: &Definition, work: Option<StoreWork>) -> Result<(), Error> {
        if self.state().run_dir(definition.uuid).is_held()? {
            process::end(self, definition, UNDO_WAIT).await?;
        }
        if let Some(work) = work {
            process::blocking(move || work.undo()).await??;
        }
        recovery::undo_start(self, definition)
    }
}

/// What the store was before a reset becomes its last good copy. The guest runs, whatever comes of that.
async fn settle(work: StoreWork) -> Result<Vec<Warning>, Error> {
    let settled = process::blocking(move || work.settle()).await?;
    let warn = |error: Error| Warning {
        message: format!("the store before the reset stays beside the new one: {error}"),
    };
    Ok(settled.err().map(warn).into_iter().collect())
}
