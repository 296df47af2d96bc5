//! What is known of a domain: how it stood when its hypervisor answered last. That is so still while its monitor has told of
//! nothing since, and it is all there is of a hypervisor that does not answer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hostler_launch::ShimStatus;
use hostler_state::{Definition, RunRecord, Uuid, unix_ms};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::host::{Held, Host};
use crate::process;
use crate::summary::RunState;

/// How long whoever asks what a domain is doing waits for its hypervisor. One that works answers within a millisecond; one
/// that has a core to share with many, within some hundreds.
const ANSWER_WAIT: Duration = Duration::from_millis(1_500);

/// The record of how a domain stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    state: RunState,
    /// When, in milliseconds since 1970.
    at_unix_ms: u64,
    /// What its monitor had told before it was asked; nothing where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heard: Option<Heard>,
}

/// How much the monitor of a run has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heard {
    /// Which run: when its hypervisor was started, in milliseconds since 1970.
    started_unix_ms: u64,
    /// The place of the newest event.
    cursor: u64,
}

impl Heard {
    /// Nothing where the end of a state would not be told of.
    pub(crate) fn of(status: &ShimStatus) -> Option<Self> {
        let ShimStatus { started_unix_ms, cursor, .. } = *status;
        (status.monitored && status.ended.is_none()).then_some(Self { started_unix_ms, cursor })
    }
}

impl Known {
    /// Whether it is so still, of a domain whose monitor has told this much. Into these two states and out of them a
    /// hypervisor goes with an event, which is told before the command that it comes of is answered.
    fn holds(&self, heard: Option<Heard>) -> bool {
        matches!(self.state, RunState::Running | RunState::Paused) && heard.is_some() && self.heard == heard
    }

    /// What to say of one that does not answer now.
    fn aged(self) -> Answer {
        Answer { state: self.state, as_of_unix_ms: Some(self.at_unix_ms) }
    }
}

/// What a domain is doing, and since when that is not known any better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) state: RunState,
    /// When it was so, if its hypervisor does not answer now.
    pub(crate) as_of_unix_ms: Option<u64>,
}

impl Host {
    /// What a domain is doing: as it is known, to an owner and while nothing was told since; else asked of its hypervisor; of
    /// one that does not answer, how it stood when it last did. Whoever only reads asks: nobody stays behind it to find out
    /// that a hypervisor does not answer any more.
    ///
    /// # Errors
    /// What the driver answers; that nothing was answered, and nothing is known.
    pub(crate) async fn ask(&self, definition: &Definition, heard: Option<Heard>) -> Result<Answer, Error> {
        if matches!(self.held(), Held::Owner(_))
            && let Some(known) = self.known(definition)?.filter(|known| known.holds(heard))
        {
            let silent = self.silent.is(definition.uuid, heard);
            let tended = self.unverified.told(definition.uuid);
            if !silent {
                return Ok(Answer { state: known.state, as_of_unix_ms: None });
            }
            if tended {
                return Ok(known.aged());
            }
        }
        self.ask_now(definition, heard).await
    }

    /// The same, whatever is known.
    async fn ask_now(&self, definition: &Definition, heard: Option<Heard>) -> Result<Answer, Error> {
        // While one waits for a hypervisor that was silent before, the others do not wait with it.
        let Some(asking) = self.silent.ask(definition.uuid, heard) else { return self.as_known(definition) };
        let answered = tokio::time::timeout(ANSWER_WAIT, self.query(definition)).await;
        asking.ended(answered.is_err());
        match answered {
            Ok(Ok(state)) => {
                self.remember(definition, state, heard);
                Ok(Answer { state, as_of_unix_ms: None })
            }
            Ok(Err(error)) => Err(error),
            Err(_) => self.as_known(definition),
        }
    }

    /// Waits for a domain of which was told what is known, for [`Host::verify`]. Whoever waits says so by it: of a hypervisor
    /// that does not answer, nobody but the verifier waits for an answer from then on. May be dropped at any time.
    pub async fn next_unverified(&self) -> Uuid {
        self.unverified.next().await
    }

    /// Asks the hypervisor of such a domain: how it stands is known anew then, or that it does not answer.
    ///
    /// # Errors
    /// What its shim or its driver answers; what is known stays as it was.
    pub async fn verify(&self, domain: Uuid) -> Result<(), Error> {
        let (Some(definition), true) = (self.definition(domain)?, self.state().is_held(domain)?) else {
            self.unverified.forget(domain);
            return Ok(());
        };
        let heard = Heard::of(&process::status(self, &definition).await?);
        self.ask_now(&definition, heard).await.map(drop)
    }

    /// How a domain stood when its hypervisor answered last.
    fn as_known(&self, definition: &Definition) -> Result<Answer, Error> {
        // A guest of which nothing was ever told has begun, and that is all.
        let begun = Known { state: RunState::Starting, at_unix_ms: unix_ms(), heard: None };
        Ok(self.known(definition)?.unwrap_or(begun).aged())
    }

    fn known(&self, definition: &Definition) -> Result<Option<Known>, Error> {
        let run = self.state().run_dir(definition.uuid);
        Ok(run.is_held()?.then(|| run.read::<Known>(RunRecord::State)).transpose()?.flatten())
    }

    /// Notes how it stands. Only an owner writes; that it could not costs nobody more than an older answer.
    fn remember(&self, definition: &Definition, state: RunState, heard: Option<Heard>) {
        if !matches!(self.held(), Held::Owner(_)) || !state.is_active() {
            return;
        }
        let run = self.state().run_dir(definition.uuid);
        let noted = run.is_held().and_then(|held| match held {
            true => run.write(RunRecord::State, &Known { state, at_unix_ms: unix_ms(), heard }),
            false => Ok(()),
        });
        if let Err(error) = noted {
            tracing::debug!(domain = definition.name, %error, "how it stands is not noted");
        }
    }
}

/// Hypervisors that did not answer when they were asked last. One whose monitor has told of something since is none any more.
#[derive(Default)]
pub(crate) struct Silent(Mutex<HashMap<Uuid, Silence>>);

/// A hypervisor that did not answer.
#[derive(Clone, Copy, Default)]
struct Silence {
    /// Whether somebody asks it again.
    asked: bool,
    /// What its monitor had told before.
    heard: Option<Heard>,
}

/// The right to ask a hypervisor; given back whatever comes of it.
struct Asking<'a> {
    silent: &'a Silent,
    domain: Uuid,
    heard: Option<Heard>,
    /// Whether it was silent before, so that others rely on this one.
    alone: bool,
}

impl Silent {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Silence>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it did not answer when it was asked last, and has told of nothing since.
    fn is(&self, domain: Uuid, heard: Option<Heard>) -> bool {
        self.lock().get(&domain).is_some_and(|silence| silence.heard == heard)
    }

    /// Nothing while somebody asks one that was silent before.
    fn ask(&self, domain: Uuid, heard: Option<Heard>) -> Option<Asking<'_>> {
        let mut alone = false;
        if let Some(silence) = self.lock().get_mut(&domain).filter(|silence| silence.heard == heard) {
            if silence.asked {
                return None;
            }
            (silence.asked, alone) = (true, true);
        }
        Some(Asking { silent: self, domain, heard, alone })
    }
}

impl Asking<'_> {
    fn ended(self, silent: bool) {
        let mut known = self.silent.lock();
        if silent {
            // Whether somebody asks it is set back by the drop.
            known.entry(self.domain).or_default().heard = self.heard;
        } else {
            known.remove(&self.domain);
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if self.alone
            && let Some(silence) = self.silent.lock().get_mut(&self.domain)
        {
            silence.asked = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_state_holds_until_its_monitor_tells_of_something_and_for_that_run_alone() {
        let heard = |started_unix_ms, cursor| Some(Heard { started_unix_ms, cursor });
        let known = |state| Known { state, at_unix_ms: 5, heard: heard(1, 3) };
        assert!(known(RunState::Running).holds(heard(1, 3)) && known(RunState::Paused).holds(heard(1, 3)));
        assert!(!known(RunState::Running).holds(heard(1, 4)) && !known(RunState::Running).holds(heard(2, 3)));
        // On its way up or down it says nothing at each step.
        assert!(
            !known(RunState::Starting).holds(heard(1, 3)) && !known(RunState::Crashed).holds(heard(1, 3))
        );
        // Whoever cannot be told anything is asked.
        assert!(!known(RunState::Running).holds(None));
        assert!(!Known { heard: None, ..known(RunState::Running) }.holds(None));
    }

    #[test]
    fn only_a_monitor_that_works_tells_how_much_was_heard() {
        let status = ShimStatus { pid: 7, started_unix_ms: 1, cursor: 3, ended: None, monitored: true };
        assert_eq!(Heard::of(&status), Some(Heard { started_unix_ms: 1, cursor: 3 }));
        assert_eq!(Heard::of(&ShimStatus { monitored: false, ..status }), None);
    }

    #[test]
    fn silent_hypervisor_is_asked_by_one_at_a_time_until_it_answers() {
        let (silent, domain) = (Silent::default(), Uuid::from_u128(1));
        let (first, second) = (silent.ask(domain, None).unwrap(), silent.ask(domain, None).unwrap());
        first.ended(true);
        second.ended(true);
        let alone = silent.ask(domain, None).unwrap();
        assert!(silent.ask(domain, None).is_none() && silent.ask(Uuid::from_u128(2), None).is_some());
        // One that is given up asks no more.
        drop(alone);
        let again = silent.ask(domain, None).unwrap();
        again.ended(true);
        silent.ask(domain, None).unwrap().ended(false);
        assert!(silent.ask(domain, None).is_some() && silent.lock().is_empty());
    }

    #[test]
    fn silent_hypervisor_that_tells_of_something_is_silent_no_more() {
        let (silent, domain) = (Silent::default(), Uuid::from_u128(1));
        let heard = |cursor| Some(Heard { started_unix_ms: 1, cursor });
        silent.ask(domain, heard(3)).unwrap().ended(true);
        assert!(silent.is(domain, heard(3)) && !silent.is(domain, heard(4)));
        let alone = silent.ask(domain, heard(3)).unwrap();
        assert!(silent.ask(domain, heard(3)).is_none());
        let (first, second) = (silent.ask(domain, heard(4)), silent.ask(domain, heard(4)));
        assert!(first.is_some() && second.is_some(), "whoever knows that it lives does not rely on others");
        // Whoever asked before it spoke may still find it silent, of then.
        alone.ended(true);
        assert!(silent.is(domain, heard(3)) && !silent.is(domain, heard(4)));
    }
}
