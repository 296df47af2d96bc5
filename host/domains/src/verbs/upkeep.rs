//! Small services on a guest that runs: questions to its hypervisor, interrupts, thresholds, measurements.

use std::sync::Arc;
use std::time::Duration;

use hostler_runtime::{DomainContext, Driver};
use hostler_state::Definition;

use crate::context::Purpose;
use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::reference::DomainRef;

/// How long a hypervisor may take for an answer to a question.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

impl Host {
    /// Asks the hypervisor of a domain a question in its own words: for QEMU the name of a command that only reads, and its
    /// arguments as a JSON object or nothing. Its answer, as JSON; untrusted. Takes no lock.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the domain is off; [`Kind::Denied`] for what is no question; [`Kind::TimedOut`];
    /// what the hypervisor says.
    pub async fn ask_hypervisor(
        &self,
        wanted: &DomainRef,
        question: &str,
        arguments: &str,
    ) -> Result<String, Error> {
        let (definition, driver, context) = self.tended(wanted)?;
        let asked = driver.ask(&context, question, arguments);
        match tokio::time::timeout(ANSWER_WAIT, asked).await {
            Ok(answer) => Ok(answer?),
            Err(_) => {
                let message = format!(
                    "the hypervisor of '{}' did not answer within {} s",
                    definition.name,
                    ANSWER_WAIT.as_secs()
                );
                Err(Error::new(Kind::TimedOut, "upkeep.no-answer", message).about("domain", &definition.name))
            }
        }
    }

    /// Interrupts the processors of a guest in a way that it cannot mask.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the domain is off; [`Kind::Unsupported`] when its driver cannot; what the hypervisor says.
    pub async fn interrupt(&self, wanted: &DomainRef) -> Result<(), Error> {
        let definition = self.active(wanted).await?;
        let (_, driver, context) = self.tended(wanted)?;
        driver.interrupt(&context).await?;
        self.tell(&definition, "interrupted");
        Ok(())
    }

    /// Wakes a guest that sleeps.
    ///
    /// # Errors
    /// As for [`Host::interrupt`]; [`Kind::Conflict`] for a guest that does not sleep.
    pub async fn wake(&self, wanted: &DomainRef) -> Result<(), Error> {
        self.active(wanted).await?;
        let (_, driver, context) = self.tended(wanted)?;
        Ok(driver.wake(&context).await?)
    }

    /// How often a guest tells how it uses its memory, in seconds; 0 for never. [`Host::stats`] has what it told last.
    ///
    /// # Errors
    /// As for [`Host::interrupt`].
    pub async fn count_memory(&self, wanted: &DomainRef, seconds: u32) -> Result<(), Error> {
        self.active(wanted).await?;
        let (_, driver, context) = self.tended(wanted)?;
        Ok(driver.count_memory(&context, seconds).await?)
    }

    /// Has an event told, once, when something is written to a layer of a disk behind so many bytes; 0 for never. Layers are
    /// counted from the active one, 0.
    ///
    /// # Errors
    /// As for [`Host::interrupt`]; [`Kind::NotFound`] for a disk or layer that there is not.
    pub async fn watch_writes(
        &self,
        wanted: &DomainRef,
        (target, layer): (&str, u32),
        bytes: u64,
    ) -> Result<(), Error> {
        self.active(wanted).await?;
        let (_, driver, context) = self.tended(wanted)?;
        Ok(driver.watch_writes(&context, target, layer, bytes).await?)
    }

    /// Begins to measure how fast a guest changes its memory. [`Host::stats`] has the outcome.
    ///
    /// # Errors
    /// As for [`Host::interrupt`]; [`Kind::Invalid`] for a time that is not measured.
    pub async fn measure_writes(&self, wanted: &DomainRef, seconds: u32) -> Result<(), Error> {
        self.active(wanted).await?;
        let (_, driver, context) = self.tended(wanted)?;
        Ok(driver.measure_writes(&context, seconds).await?)
    }

    /// Gives up what the hypervisor writes out of a guest, if it does: whoever waits for it is told that it failed, and the guest
    /// goes on.
    ///
    /// # Errors
    /// As for [`Host::interrupt`].
    pub async fn abandon_transfer(&self, wanted: &DomainRef) -> Result<(), Error> {
        let definition = self.active(wanted).await?;
        let driver = self.drivers.by_name(&definition.driver)?;
        Ok(driver.abandon_save(&self.context(&definition, Purpose::Operate)?).await?)
    }

    fn tended(&self, wanted: &DomainRef) -> Result<(Definition, Arc<Driver>, DomainContext), Error> {
        let definition = self.find(wanted)?;
        if !self.state().run_dir(definition.uuid).is_held()? {
            let message = format!("the domain '{}' is off", definition.name);
            return Err(Error::new(Kind::Conflict, "domain.off", message)
                .about("domain", &definition.name)
                .hint_command("start it", command("start", &definition.name)));
        }
        let driver = self.with_ability(&definition, "upkeep")?;
        let context = self.context(&definition, Purpose::Operate)?;
        Ok((definition, driver, context))
    }
}
