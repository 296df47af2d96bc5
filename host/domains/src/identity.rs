//! What a domain is called and whether it runs, without asking anybody what it is doing.

use hostler_runtime::RunDocument;
use hostler_state::{Definition, RunRecord, Uuid};

use crate::error::Error;
use crate::host::Host;
use crate::reference::DomainRef;
use crate::summary::{DomainSummary, RunState};

/// What a domain is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainIdentity {
    /// Its name.
    pub name: String,
    /// Its identifier.
    pub uuid: Uuid,
    /// The number of its run; nothing when nothing of it lives.
    pub run_number: Option<u32>,
    /// Whether it stays defined when it is off.
    pub persistent: bool,
    /// The name of the driver that runs it.
    pub driver: String,
}

impl Host {
    /// What every domain is called, sorted by name. Of those that run, no hypervisor is asked.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when the state directory cannot be read.
    pub async fn identities(&self) -> Result<Vec<DomainIdentity>, Error> {
        let mut found = Vec::new();
        for definition in self.definitions()? {
            let identity = self.identify(definition).await?;
            // What is left of a transient domain that has ended is forgotten any moment.
            if identity.persistent || identity.run_number.is_some() {
                found.push(identity);
            }
        }
        Ok(found)
    }

    /// What one domain is called.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`].
    pub async fn identity(&self, wanted: &DomainRef) -> Result<DomainIdentity, Error> {
        self.identify(self.find(wanted)?).await
    }

    /// The line about one domain, as [`Host::list`] has it.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`]; [`crate::Kind::Host`] when the state directory cannot be read.
    pub async fn summary(&self, wanted: &DomainRef) -> Result<DomainSummary, Error> {
        self.summarise(&self.find(wanted)?).await
    }

    /// The name of the driver that takes domains of this type.
    ///
    /// # Errors
    /// [`crate::Kind::Unsupported`] when none does; whatever keeps it from being loaded.
    pub fn driver_for(&self, domain_type: &str) -> Result<String, Error> {
        Ok(self.drivers.for_type(domain_type)?.manifest().name.clone())
    }

    async fn identify(&self, definition: Definition) -> Result<DomainIdentity, Error> {
        let run_number = self.run_number(&definition).await?;
        let Definition { name, uuid, persistent, driver, .. } = definition;
        Ok(DomainIdentity { name, uuid, run_number, persistent, driver })
    }

    async fn run_number(&self, definition: &Definition) -> Result<Option<u32>, Error> {
        let run = self.state().run_dir(definition.uuid);
        if run.is_held()? {
            let document: Option<RunDocument> = run.read(RunRecord::Document)?;
            // Its record comes a moment after its lock.
            return Ok(Some(document.map_or(0, |document| document.numeric_id)));
        }
        if !self.runs_without_process(definition)? {
            return Ok(None);
        }
        let runs = self.ask(definition).await.is_ok_and(|answer| answer.state != RunState::Off);
        Ok(runs.then(|| number_of(definition.uuid)))
    }
}

/// A number for a run that the host holds no process of, above all that it counts.
fn number_of(uuid: Uuid) -> u32 {
    const BEYOND_COUNTED: u32 = 1 << 30;
    let (_, low) = uuid.as_u64_pair();
    BEYOND_COUNTED | u32::try_from(low & u64::from(BEYOND_COUNTED - 1)).unwrap_or(0)
}
