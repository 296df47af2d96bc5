//! `list`: what the domains are doing, asked of whoever runs them.

use hostler_state::{Definition, Figures, Headline, Uuid};

use crate::context::Purpose;
use crate::error::Error;
use crate::host::Host;
use crate::process;
use crate::standing::Standing;
use crate::summary::{DomainSummary, RunState};

impl Host {
    /// Every domain, sorted by name. One that cannot be looked into is in the list, with the reason.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when the state directory cannot be read.
    pub async fn list(&self) -> Result<Vec<DomainSummary>, Error> {
        let mut summaries = Vec::new();
        for headline in self.headlines()? {
            // One that has gone meanwhile is not there any more.
            let Some(summary) = self.summarise_known(&headline).await? else { continue };
            // Its process has ended and the next owner will forget it: it is gone already.
            if headline.persistent || summary.state.is_active() {
                summaries.push(summary);
            }
        }
        Ok(summaries)
    }

    /// The line about one domain.
    pub(crate) async fn summarise(&self, definition: &Definition) -> Result<DomainSummary, Error> {
        let headline = Headline::of(definition);
        let figures = figures(&self.shown_xml(definition));
        self.summary_of(&headline, &figures, self.standing_of(definition).await?)
    }

    /// The same of a domain that is listed. Of one that is off, the document is read once for as long as it stands. Nothing
    /// of one that has gone.
    pub(crate) async fn summarise_known(&self, headline: &Headline) -> Result<Option<DomainSummary>, Error> {
        let off = self.standing_off(headline)?;
        if let (Some(standing), Some(figures)) = (&off, headline.figures()) {
            return self.summary_of(headline, figures, standing.clone()).map(Some);
        }
        let Some(definition) = self.definition(headline.uuid)? else { return Ok(None) };
        match off {
            None => self.summarise(&definition).await.map(Some),
            // A headline goes with its definition, so what is kept in it is never older than that.
            Some(standing) => {
                self.summary_of(headline, headline.keep_figures(figures(&definition.xml)), standing).map(Some)
            }
        }
    }

    fn summary_of(
        &self,
        headline: &Headline,
        figures: &Figures,
        standing: Standing,
    ) -> Result<DomainSummary, Error> {
        // Stored by another version, perhaps: it is listed all the same, and never dropped.
        let unread = figures.problem.clone();
        let Standing { state, reason, as_of_unix_ms, pid, started_unix_ms } = standing;
        Ok(DomainSummary {
            name: headline.name.clone(),
            uuid: headline.uuid,
            state,
            reason: if state.is_active() { reason.or(unread) } else { unread.or(reason) },
            as_of_unix_ms,
            persistent: headline.persistent,
            // A transient one ends with the boot, whatever was wanted of it before.
            autostart: headline.persistent && self.state().autostart(headline.uuid)?,
            driver: headline.driver.to_string(),
            pid,
            started_unix_ms,
            memory_bytes: figures.memory_bytes,
            current_memory_bytes: figures.current_memory_bytes,
            vcpus: figures.vcpus,
            current_vcpus: figures.current_vcpus,
        })
    }

    /// The document to show a domain by. What cannot be read of a run is told where its state is asked for; the
    /// domain is shown all the same, by what is stored.
    pub(crate) fn shown_xml(&self, definition: &Definition) -> String {
        self.current_xml(definition).unwrap_or_else(|_| definition.xml.clone())
    }

    pub(crate) async fn query(&self, definition: &Definition) -> Result<RunState, Error> {
        let driver = self.drivers.by_name(&definition.driver)?;
        Ok(driver.query(&self.context(definition, Purpose::Operate)?).await?.into())
    }

    /// Whether a domain of this driver may be running although the host holds no process for it: a hypervisor that keeps its
    /// own.
    pub(crate) fn runs_without_process(&self, domain: Uuid, driver: &str) -> Result<bool, Error> {
        if !self.state().has_driver_state(domain)? {
            return Ok(false);
        }
        Ok(self.drivers.by_name(driver).is_ok_and(|driver| !process::is_ours(&driver)))
    }
}

/// What a line about a domain has of its document.
fn figures(xml: &str) -> Figures {
    match hostler_domain::Domain::parse(xml) {
        Ok(domain) => Figures {
            memory_bytes: domain.memory.0,
            current_memory_bytes: domain.current_memory.0,
            vcpus: domain.vcpus.maximum,
            current_vcpus: domain.vcpus.at_start(),
            problem: None,
        },
        Err(error) => {
            let problem = Some(format!("its document cannot be read: {error}"));
            Figures { memory_bytes: 0, current_memory_bytes: 0, vcpus: 0, current_vcpus: 0, problem }
        }
    }
}
