//! What a domain is doing, asked of whoever runs it.

use std::time::{Duration, Instant};

use hostler_state::{Definition, Headline, RunDir};

use crate::error::Error;
use crate::host::Host;
use crate::known::{Answer, Heard};
use crate::process;
use crate::reference::DomainRef;
use crate::summary::RunState;

/// How long a domain that cannot be reached may be on its way up or down before it counts as quarantined.
const SETTLE_WAIT: Duration = Duration::from_millis(500);
/// How often such a domain is looked at again.
const SETTLE_STEP: Duration = Duration::from_millis(20);

/// What a driver says of a guest that stands still, among its statistics.
const CAUSE: &str = "standing.cause";

/// What a domain is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it is doing.
    pub state: RunState,
    /// Why, where it is not plain.
    pub reason: Option<String>,
    /// When that was so, in milliseconds since 1970, if its hypervisor does not answer now.
    pub as_of_unix_ms: Option<u64>,
    /// The hypervisor's process.
    pub pid: Option<u32>,
    /// When that process was started, in milliseconds since 1970.
    pub started_unix_ms: Option<u64>,
}

impl Standing {
    fn off(reason: Option<String>) -> Self {
        Self { state: RunState::Off, reason, as_of_unix_ms: None, pid: None, started_unix_ms: None }
    }
}

impl Host {
    /// What a domain is doing. Its document is not looked at.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`]; [`crate::Kind::Host`] when the state directory cannot be read.
    pub async fn standing(&self, wanted: &DomainRef) -> Result<Standing, Error> {
        let Some(headline) = self.look_up(wanted)? else { return Err(self.no_such_domain(wanted)) };
        if let Some(standing) = self.standing_off(&headline)? {
            return Ok(standing);
        }
        let definition = self.find(wanted)?;
        let mut standing = self.standing_of(&definition).await?;
        standing.reason = self.reason_of(&definition, standing.state, standing.reason).await;
        Ok(standing)
    }

    /// Why a domain does what it does: what is known, or else why a guest's processors stand still, which is a word of its
    /// driver's where nobody asked for that.
    pub(crate) async fn reason_of(
        &self,
        definition: &Definition,
        state: RunState,
        known: Option<String>,
    ) -> Option<String> {
        if known.is_some() || state != RunState::Paused {
            return known;
        }
        let counters = self.hypervisor_counters(definition).await.inspect_err(|error| {
            tracing::debug!(domain = definition.name, %error, "why it stands still is not known");
        });
        counters.ok()?.into_iter().find_map(|(name, value)| (name == CAUSE).then_some(value))
    }

    /// How a domain stands of which nothing lives; nothing when something may.
    pub(crate) fn standing_off(&self, headline: &Headline) -> Result<Option<Standing>, Error> {
        let lives = self.state().is_held(headline.uuid)?
            || self.runs_without_process(headline.uuid, &headline.driver)?;
        Ok((!lives).then(|| self.off(&self.state().run_dir(headline.uuid))))
    }

    fn off(&self, run: &RunDir) -> Standing {
        let saved = self.has_saved_guest(run.domain()).then(|| "saved".to_owned());
        Standing::off(saved.or_else(|| process::last_ending(run)))
    }

    /// Finds out what it is doing. Between two questions it may begin or end, so a domain that cannot be reached
    /// is looked at again until it is off, or answers, or has had its time.
    pub(crate) async fn standing_of(&self, definition: &Definition) -> Result<Standing, Error> {
        let run = self.state().run_dir(definition.uuid);
        // From the first failure, which may itself have waited long for an answer that never came.
        let mut deadline = None;
        loop {
            let mut standing = Standing::off(None);
            let Err(error) = self.look_once(definition, &run, &mut standing).await? else {
                return Ok(standing);
            };
            if Instant::now() >= *deadline.get_or_insert_with(|| Instant::now() + SETTLE_WAIT) {
                (standing.state, standing.reason) = (RunState::Quarantined, Some(error.to_string()));
                return Ok(standing);
            }
            let run = self.state().run_dir(definition.uuid);
            process::blocking(move || run.wait_released(SETTLE_STEP)).await??;
        }
    }

    /// One look: the run lock says whether a process lives, the driver says what it does, or what is known does. Inside is
    /// why a process that lives cannot be reached.
    async fn look_once(
        &self,
        definition: &Definition,
        run: &RunDir,
        standing: &mut Standing,
    ) -> Result<Result<(), Error>, Error> {
        let held = run.is_held()?;
        if !held && !self.runs_without_process(definition.uuid, &definition.driver)? {
            *standing = self.off(run);
            return Ok(Ok(()));
        }
        let mut heard = None;
        if held {
            match process::status(self, definition).await {
                Ok(status) => {
                    standing.pid = Some(status.pid);
                    standing.started_unix_ms = Some(status.started_unix_ms);
                    heard = Heard::of(&status);
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(self.ask(definition, heard).await.map(|Answer { state, as_of_unix_ms }| {
            standing.state = if held && state == RunState::Off { RunState::Starting } else { state };
            standing.as_of_unix_ms = as_of_unix_ms;
            if as_of_unix_ms.is_some() {
                standing.reason = Some("its hypervisor does not answer".to_owned());
            }
            if self.given_away(definition).is_ok_and(|given| given.is_some()) {
                standing.reason = Some("given away, and not known to be there".to_owned());
            }
        }))
    }
}
