//! `shutdown`, `destroy`, `suspend`, `resume`, `reboot`, `reset`: one call of the driver each.

use std::sync::Arc;
use std::time::Duration;

use hostler_runtime::{Driver, RuntimeError};
use hostler_state::Definition;

use crate::context::Purpose;
use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::process;
use crate::recovery;
use crate::reference::DomainRef;
use crate::summary::{DomainSummary, RunState};
use crate::verbs::agent::AskBy;

/// How long a hypervisor that is destroyed may take before it is killed, and then to be gone.
const DESTROY_WAIT: Duration = Duration::from_secs(10);

/// How long a driver may take over it when the host can do it too.
const DRIVER_WAIT: Duration = Duration::from_secs(2);

impl Host {
    /// Asks the guest to switch itself off, and returns when it has been asked.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it does not run, or what the driver answers.
    pub async fn shutdown(&self, wanted: &DomainRef, by: AskBy) -> Result<DomainSummary, Error> {
        if by == AskBy::Agent {
            return self.ask_by_agent(wanted, "powerdown").await;
        }
        let definition = self.active(wanted).await?;
        let driver = self.drivers.by_name(&definition.driver)?;
        driver.shutdown(&self.context(&definition, Purpose::Operate)?).await?;
        self.after_end(&definition).await
    }

    /// Waits until nothing of the domain runs. Needs no owner: nobody is kept waiting by it.
    ///
    /// # Errors
    /// [`Kind::TimedOut`] when it still runs after `wait`.
    pub async fn wait_off(&self, wanted: &DomainRef, wait: Duration) -> Result<DomainSummary, Error> {
        let definition = self.find(wanted)?;
        process::wait(self, &definition, wait).await?;
        self.summarise(&definition).await
    }

    /// Ends the domain now. A process that its driver cannot reach any more is ended by the host.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it does not run; [`Kind::Host`] when it will not end.
    pub async fn destroy(&self, wanted: &DomainRef) -> Result<DomainSummary, Error> {
        let (definition, _) = self.alive(wanted).await?;
        if !self.state().run_dir(definition.uuid).is_held()? {
            // Nobody else can.
            self.destroy_by_driver(&definition).await?;
            return self.after_end(&definition).await;
        }
        let by_driver = tokio::time::timeout(DRIVER_WAIT, self.destroy_by_driver(&definition)).await;
        let by_driver = by_driver.unwrap_or_else(|_| {
            let message = format!("the driver has not ended it within {} s", DRIVER_WAIT.as_secs());
            Err(Error::new(Kind::TimedOut, "destroy.driver", message))
        });
        if let Err(error) = by_driver {
            tracing::warn!(domain = definition.name, %error, "the driver could not destroy it");
        }
        // A driver that has not come back may have ended it all the same.
        if self.state().run_dir(definition.uuid).is_held()? {
            process::end(self, &definition, DESTROY_WAIT).await?;
        }
        self.after_end(&definition).await
    }

    async fn destroy_by_driver(&self, definition: &Definition) -> Result<(), Error> {
        let driver = self.drivers.by_name(&definition.driver)?;
        Ok(driver.destroy(&self.context(definition, Purpose::Operate)?).await?)
    }

    /// Stops the guest's processors.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it does not run, or what the driver answers.
    pub async fn suspend(&self, wanted: &DomainRef) -> Result<DomainSummary, Error> {
        let definition = self.active(wanted).await?;
        let driver = self.drivers.by_name(&definition.driver)?;
        self.done(&definition, driver.suspend(&self.context(&definition, Purpose::Operate)?).await).await
    }

    /// Lets the guest's processors go on.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it does not run, or what the driver answers.
    pub async fn resume(&self, wanted: &DomainRef) -> Result<DomainSummary, Error> {
        let definition = self.active(wanted).await?;
        let driver = self.drivers.by_name(&definition.driver)?;
        driver.resume(&self.context(&definition, Purpose::Operate)?).await?;
        self.give_back_descriptors(&definition).await;
        self.done(&definition, Ok(())).await
    }

    /// Asks the guest to switch itself off and begin again, and returns when it has been asked.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it does not run; [`Kind::Unsupported`] when its driver cannot; what the driver answers.
    pub async fn reboot(&self, wanted: &DomainRef, by: AskBy) -> Result<DomainSummary, Error> {
        if by == AskBy::Agent {
            return self.ask_by_agent(wanted, "reboot").await;
        }
        let definition = self.active(wanted).await?;
        let driver = self.with_ability(&definition, "reboot")?;
        self.done(&definition, driver.reboot(&self.context(&definition, Purpose::Operate)?).await).await
    }

    /// The driver of a domain, which has to have an optional interface.
    pub(crate) fn with_ability(&self, definition: &Definition, ability: &str) -> Result<Arc<Driver>, Error> {
        let driver = self.drivers.by_name(&definition.driver)?;
        if driver.has(ability) {
            return Ok(driver);
        }
        let message = format!("the driver '{}' cannot do that: it has no '{ability}'", definition.driver);
        Err(Error::new(Kind::Unsupported, "driver.no-ability", message)
            .about("domain", &definition.name)
            .hint_command("see what it can do", format!("hostler driver show {}", definition.driver)))
    }

    /// Presses the reset button.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it does not run, or what the driver answers.
    pub async fn reset(&self, wanted: &DomainRef) -> Result<DomainSummary, Error> {
        let definition = self.active(wanted).await?;
        let driver = self.drivers.by_name(&definition.driver)?;
        self.done(&definition, driver.reset(&self.context(&definition, Purpose::Operate)?).await).await
    }

    async fn done(
        &self,
        definition: &Definition,
        result: Result<(), RuntimeError>,
    ) -> Result<DomainSummary, Error> {
        result?;
        self.summarise(definition).await
    }

    /// The definition of a domain whose guest is here; only an owner gets it.
    pub(crate) async fn active(&self, wanted: &DomainRef) -> Result<Definition, Error> {
        Ok(self.active_and_runs(wanted).await?.0)
    }

    /// The same, with whether the hypervisor has just said that the guest runs.
    pub(crate) async fn active_and_runs(&self, wanted: &DomainRef) -> Result<(Definition, bool), Error> {
        let (definition, summary) = self.alive(wanted).await?;
        self.require_not_given_away(&definition)?;
        let runs = summary.state == RunState::Running && summary.as_of_unix_ms.is_none();
        Ok((definition, runs))
    }

    /// The definition of a domain of which something lives; only an owner gets it.
    async fn alive(&self, wanted: &DomainRef) -> Result<(Definition, DomainSummary), Error> {
        self.owner()?;
        let definition = self.find(wanted)?;
        let summary = self.summarise(&definition).await?;
        if summary.state.is_active() {
            return Ok((definition, summary));
        }
        Err(Error::new(Kind::Conflict, "domain.off", format!("the domain '{}' is off", definition.name))
            .about("domain", &definition.name)
            .hint_command("start it", command("start", &definition.name)))
    }

    /// How the domain stands after something that may have ended it. A transient one is forgotten then.
    pub(crate) async fn after_end(&self, definition: &Definition) -> Result<DomainSummary, Error> {
        let summary = self.summarise(definition).await?;
        if summary.state == RunState::Off && !definition.persistent {
            recovery::remove_transient(self, definition.uuid)?;
        }
        Ok(summary)
    }
}
