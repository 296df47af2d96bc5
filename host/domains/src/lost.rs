//! Domains that run although their definition is lost: its record was damaged, or removed by hand.

use std::collections::HashSet;
use std::sync::Arc;

use hostler_domain::Domain;
use hostler_domain::of_a_run::without_run;
use hostler_runtime::RunDocument;
use hostler_state::{Definition, Headline, RunDir, RunRecord, Uuid, unix_ms};

use crate::error::Error;
use crate::host::Host;

impl Host {
    /// Every definition, sorted by name, with those that only the run directory of a living process still tells of.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when the state directory cannot be read.
    pub(crate) fn definitions(&self) -> Result<Vec<Definition>, Error> {
        let mut definitions = self.state().definitions()?;
        for run in self.state().run_dirs()? {
            if definitions.iter().any(|known| known.uuid == run.domain()) || !run.is_held()? {
                continue;
            }
            match self.state().definition_by_uuid(run.domain()) {
                // It was made since the definitions were read.
                Ok(Some(definition)) => definitions.push(definition),
                Err(error) if error.kind != hostler_state::Kind::Corrupt => return Err(error.into()),
                _ => {
                    let recovered = self.recovered(&run, &definitions);
                    definitions.push(recovered);
                }
            }
        }
        definitions.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(definitions)
    }

    /// The same without the documents. An owner reads no file for it, unless there is one whose definition is lost.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when the state directory cannot be read.
    pub(crate) fn headlines(&self) -> Result<Vec<Arc<Headline>>, Error> {
        Ok(self.headlines_and_life()?.into_iter().map(|(headline, _)| headline).collect())
    }

    /// The same, each with whether something of the domain may live.
    ///
    /// # Errors
    /// As [`Host::headlines`].
    pub(crate) fn headlines_and_life(&self) -> Result<Vec<(Arc<Headline>, bool)>, Error> {
        let headlines = self.state().headlines_and_life()?;
        let runs = self.state().runs()?;
        if runs.is_empty() {
            return Ok(headlines);
        }
        let known: HashSet<Uuid> = headlines.iter().map(|(headline, _)| headline.uuid).collect();
        for domain in runs {
            if !known.contains(&domain) && self.state().is_held(domain)? {
                let all = self.definitions()?;
                return Ok(all.iter().map(|found| (Arc::new(Headline::of(found)), true)).collect());
            }
        }
        Ok(headlines)
    }

    /// What a run directory says of the domain it was made for: enough to show it and to end it. It goes by its
    /// identifier when its name is not known, or has been given to another domain meanwhile.
    fn recovered(&self, run: &RunDir, others: &[Definition]) -> Definition {
        let xml = run.read::<RunDocument>(RunRecord::Document).ok().flatten().map(|document| document.xml);
        let domain = xml.as_deref().and_then(|xml| Domain::parse(xml).ok());
        let driver = domain.as_ref().and_then(|domain| self.drivers.for_type(domain.kind.as_str()).ok());
        let name = domain.map(|domain| domain.name.as_str().to_owned());
        Definition {
            uuid: run.domain(),
            name: name
                .filter(|name| others.iter().all(|other| other.name != *name))
                .unwrap_or_else(|| run.domain().to_string()),
            xml: xml.map(|xml| without_run(xml.clone()).unwrap_or(xml)).unwrap_or_default(),
            driver: driver.map_or_else(String::new, |driver| driver.manifest().name.clone()),
            // What a transient domain leaves can be undefined; what a forgotten one had is gone.
            persistent: true,
            generation: 1,
            created_unix_ms: unix_ms(),
            changed_unix_ms: unix_ms(),
        }
    }

    /// Stores what runs as the definition of it where that is lost, so that it outlives the run. One whose document
    /// or driver is not to be had is left as it is.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when the state directory cannot be read or written.
    pub(crate) fn keep_lost(&self) -> Result<(), Error> {
        for headline in self.headlines()? {
            if self.state().headline(headline.uuid)?.is_some() {
                continue;
            }
            let Some(definition) = self.definition(headline.uuid)? else { continue };
            if !definition.xml.is_empty() && !definition.driver.is_empty() {
                tracing::warn!(domain = definition.name, "its definition is lost; what runs takes its place");
                self.owner()?.put_definition(&definition)?;
            }
        }
        Ok(())
    }

    /// The definition of a domain that is listed, lost or not; nothing when it has gone meanwhile.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when the state directory cannot be read.
    pub(crate) fn definition(&self, domain: Uuid) -> Result<Option<Definition>, Error> {
        match self.state().definition_by_uuid(domain) {
            Ok(Some(found)) => return Ok(Some(found)),
            Err(error) if error.kind != hostler_state::Kind::Corrupt => return Err(error.into()),
            _ => {}
        }
        match self.state().is_held(domain)? {
            true => Ok(self.definitions()?.into_iter().find(|found| found.uuid == domain)),
            false => Ok(None),
        }
    }
}
