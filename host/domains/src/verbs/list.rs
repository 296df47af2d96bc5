//! `list`: what the domains are doing, asked of whoever runs them.

use std::time::{Duration, Instant};

use hostler_state::{Definition, RunDir};

use crate::context::Purpose;
use crate::error::Error;
use crate::host::Host;
use crate::known::Answer;
use crate::process;
use crate::summary::{DomainSummary, RunState};

/// How long a domain that cannot be reached may be on its way up or down before it counts as quarantined.
const SETTLE_WAIT: Duration = Duration::from_millis(500);
/// How often such a domain is looked at again.
const SETTLE_STEP: Duration = Duration::from_millis(20);

impl Host {
    /// Every domain, sorted by name. One that cannot be looked into is in the list, with the reason.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when the state directory cannot be read.
    pub async fn list(&self) -> Result<Vec<DomainSummary>, Error> {
        let mut summaries = Vec::new();
        for definition in self.definitions()? {
            let summary = self.summarise(&definition).await?;
            // Its process has ended and the next owner will forget it: it is gone already.
            if definition.persistent || summary.state.is_active() {
                summaries.push(summary);
            }
        }
        Ok(summaries)
    }

    /// The line about one domain.
    pub(crate) async fn summarise(&self, definition: &Definition) -> Result<DomainSummary, Error> {
        let document = hostler_domain::Domain::parse(&self.shown_xml(definition));
        let mut summary = DomainSummary {
            name: definition.name.clone(),
            uuid: definition.uuid,
            state: RunState::Off,
            // Stored by another version, perhaps: it is listed all the same, and never dropped.
            reason: document.as_ref().err().map(|error| format!("its document cannot be read: {error}")),
            as_of_unix_ms: None,
            persistent: definition.persistent,
            // A transient one ends with the boot, whatever was wanted of it before.
            autostart: definition.persistent && self.state().autostart(definition.uuid)?,
            driver: definition.driver.clone(),
            pid: None,
            started_unix_ms: None,
            memory_bytes: document.as_ref().map_or(0, |domain| domain.memory.0),
            vcpus: document.as_ref().map_or(0, |domain| domain.vcpus.maximum),
        };
        self.look(definition, &mut summary).await?;
        Ok(summary)
    }

    /// The document to show a domain by. What cannot be read of a run is told where its state is asked for; the
    /// domain is shown all the same, by what is stored.
    pub(crate) fn shown_xml(&self, definition: &Definition) -> String {
        self.current_xml(definition).unwrap_or_else(|_| definition.xml.clone())
    }

    /// Finds out what it is doing. Between two questions it may begin or end, so a domain that cannot be reached
    /// is looked at again until it is off, or answers, or has had its time.
    async fn look(&self, definition: &Definition, summary: &mut DomainSummary) -> Result<(), Error> {
        let run = self.state().run_dir(definition.uuid);
        // From the first failure, which may itself have waited long for an answer that never came.
        let mut deadline = None;
        while let Err(error) = self.look_once(definition, &run, summary).await? {
            if Instant::now() >= *deadline.get_or_insert_with(|| Instant::now() + SETTLE_WAIT) {
                quarantine(summary, &error);
                break;
            }
            let run = self.state().run_dir(definition.uuid);
            process::blocking(move || run.wait_released(SETTLE_STEP)).await??;
        }
        Ok(())
    }

    /// One look: the run lock says whether a process lives, the driver says what it does. Inside is why a process
    /// that lives cannot be reached.
    async fn look_once(
        &self,
        definition: &Definition,
        run: &RunDir,
        summary: &mut DomainSummary,
    ) -> Result<Result<(), Error>, Error> {
        let held = run.is_held()?;
        (summary.pid, summary.started_unix_ms) = (None, None);
        if !held && !self.runs_without_process(definition)? {
            let saved = self.has_saved_guest(definition.uuid).then(|| "saved".to_owned());
            summary.reason = summary.reason.take().or(saved).or_else(|| process::last_ending(run));
            return Ok(Ok(()));
        }
        if held {
            match process::status(self, definition).await {
                Ok(status) => {
                    summary.pid = Some(status.pid);
                    summary.started_unix_ms = Some(status.started_unix_ms);
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(self.ask(definition).await.map(|Answer { state, as_of_unix_ms }| {
            summary.state = if held && state == RunState::Off { RunState::Starting } else { state };
            summary.as_of_unix_ms = as_of_unix_ms;
            if as_of_unix_ms.is_some() {
                summary.reason = Some("its hypervisor does not answer".to_owned());
            }
            if self.given_away(definition).is_ok_and(|given| given.is_some()) {
                summary.reason = Some("given away, and not known to be there".to_owned());
            }
        }))
    }

    pub(crate) async fn query(&self, definition: &Definition) -> Result<RunState, Error> {
        let driver = self.drivers.by_name(&definition.driver)?;
        Ok(driver.query(&self.context(definition, Purpose::Operate)?).await?.into())
    }

    /// Whether it may be running although the host holds no process for it: a hypervisor that keeps its own.
    pub(crate) fn runs_without_process(&self, definition: &Definition) -> Result<bool, Error> {
        if self.state().driver_state(definition.uuid)?.is_none_or(|notes| notes.is_empty()) {
            return Ok(false);
        }
        Ok(self.drivers.by_name(&definition.driver).is_ok_and(|driver| !process::is_ours(&driver)))
    }
}

fn quarantine(summary: &mut DomainSummary, error: &Error) {
    summary.state = RunState::Quarantined;
    summary.reason = Some(error.to_string());
}
