//! `list`: what the domains are doing, asked of whoever runs them.

use hostler_state::Definition;

use crate::context::Purpose;
use crate::error::Error;
use crate::host::Host;
use crate::process;
use crate::summary::{DomainSummary, RunState};

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
        let document = hostler_domain::Domain::parse(&definition.xml);
        let mut summary = DomainSummary {
            name: definition.name.clone(),
            uuid: definition.uuid,
            state: RunState::Off,
            // Stored by another version, perhaps: it is listed all the same, and never dropped.
            reason: document.as_ref().err().map(|error| format!("its document cannot be read: {error}")),
            persistent: definition.persistent,
            driver: definition.driver.clone(),
            pid: None,
            started_unix_ms: None,
            memory_bytes: document.as_ref().map_or(0, |domain| domain.memory.0),
            vcpus: document.as_ref().map_or(0, |domain| domain.vcpus.maximum),
        };
        self.look(definition, &mut summary).await?;
        Ok(summary)
    }

    /// Finds out what it is doing. The run lock says whether a process lives; the driver says what it does.
    async fn look(&self, definition: &Definition, summary: &mut DomainSummary) -> Result<(), Error> {
        let run = self.state().run_dir(definition.uuid);
        let held = run.is_held()?;
        if !held && !self.runs_without_process(definition)? {
            summary.reason = summary.reason.take().or_else(|| process::last_ending(&run));
            return Ok(());
        }
        if held {
            match process::status(self, definition).await {
                Ok(status) => {
                    summary.pid = Some(status.pid);
                    summary.started_unix_ms = Some(status.started_unix_ms);
                }
                Err(error) => {
                    quarantine(summary, &error);
                    return Ok(());
                }
            }
        }
        match self.query(definition).await {
            Ok(RunState::Off) if held => summary.state = RunState::Starting,
            Ok(state) => summary.state = state,
            Err(error) => quarantine(summary, &error),
        }
        Ok(())
    }

    async fn query(&self, definition: &Definition) -> Result<RunState, Error> {
        let driver = self.drivers.by_name(&definition.driver)?;
        Ok(driver.query(&self.context(definition, Purpose::Operate)?).await?.into())
    }

    /// Whether it may be running although the host holds no process for it: a hypervisor that keeps its own.
    fn runs_without_process(&self, definition: &Definition) -> Result<bool, Error> {
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
