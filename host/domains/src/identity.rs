//! What a domain is called and whether it runs, without asking anybody what it is doing.

use std::sync::Arc;

use hostler_runtime::RunDocument;
use hostler_state::{Headline, RunRecord, Uuid};

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
    pub driver: Arc<str>,
}

impl Host {
    /// What every domain is called, sorted by name. Of those that run, no hypervisor is asked.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when the state directory cannot be read.
    pub async fn identities(&self) -> Result<Vec<DomainIdentity>, Error> {
        let headlines = self.headlines_and_life()?;
        let mut found = Vec::with_capacity(headlines.len());
        for (headline, may_live) in headlines {
            let run_number = if may_live { self.run_number(&headline).await? } else { None };
            let identity = identified(&headline, run_number);
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
        let found = self.identity_if_there(wanted).await?;
        found.ok_or_else(|| self.no_such_domain(wanted))
    }

    /// The same; nothing when there is none, for those who ask whether there is one.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when the state directory cannot be read.
    pub async fn identity_if_there(&self, wanted: &DomainRef) -> Result<Option<DomainIdentity>, Error> {
        match self.look_up(wanted)? {
            Some(headline) => self.identify(&headline).await.map(Some),
            None => Ok(None),
        }
    }

    /// The line about one domain, as [`Host::list`] has it.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`]; [`crate::Kind::Host`] when the state directory cannot be read.
    pub async fn summary(&self, wanted: &DomainRef) -> Result<DomainSummary, Error> {
        let summary = match self.look_up(wanted)? {
            Some(headline) => self.summarise_known(&headline).await?,
            None => None,
        };
        summary.ok_or_else(|| self.no_such_domain(wanted))
    }

    /// The name of the driver that takes domains of this type.
    ///
    /// # Errors
    /// [`crate::Kind::Unsupported`] when none does; whatever keeps it from being loaded.
    pub fn driver_for(&self, domain_type: &str) -> Result<String, Error> {
        Ok(self.drivers.for_type(domain_type)?.manifest().name.clone())
    }

    async fn identify(&self, headline: &Headline) -> Result<DomainIdentity, Error> {
        Ok(identified(headline, self.run_number(headline).await?))
    }

    async fn run_number(&self, headline: &Headline) -> Result<Option<u32>, Error> {
        let uuid = headline.uuid;
        if self.state().is_held(uuid)? {
            let document: Option<RunDocument> = self.state().run_dir(uuid).read(RunRecord::Document)?;
            // Its record comes a moment after its lock.
            return Ok(Some(document.map_or(0, |document| document.numeric_id)));
        }
        if !self.runs_without_process(uuid, &headline.driver)? {
            return Ok(None);
        }
        let Some(definition) = self.definition(uuid)? else { return Ok(None) };
        let runs = self.ask(&definition, None).await.is_ok_and(|answer| answer.state != RunState::Off);
        Ok(runs.then(|| number_of(uuid)))
    }
}

fn identified(headline: &Headline, run_number: Option<u32>) -> DomainIdentity {
    let Headline { name, uuid, persistent, driver, .. } = headline;
    let (name, driver) = (name.clone(), Arc::clone(driver));
    DomainIdentity { name, uuid: *uuid, run_number, persistent: *persistent, driver }
}

/// A number for a run that the host holds no process of, above all that it counts.
fn number_of(uuid: Uuid) -> u32 {
    const BEYOND_COUNTED: u32 = 1 << 30;
    let (_, low) = uuid.as_u64_pair();
    BEYOND_COUNTED | u32::try_from(low & u64::from(BEYOND_COUNTED - 1)).unwrap_or(0)
}
