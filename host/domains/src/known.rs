//! What is known of a domain whose hypervisor does not answer: how it stood when it last did.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hostler_state::{Definition, RunRecord, Uuid, unix_ms};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::host::{Held, Host};
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
}

/// What a domain is doing, and since when that is not known any better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) state: RunState,
    /// When it was so, if its hypervisor does not answer now.
    pub(crate) as_of_unix_ms: Option<u64>,
}

impl Host {
    /// What a domain is doing, asked of its hypervisor; of one that does not answer, how it stood when it last did.
    ///
    /// # Errors
    /// What the driver answers; that nothing was answered, and nothing is known.
    pub(crate) async fn ask(&self, definition: &Definition) -> Result<Answer, Error> {
        // While one waits for a hypervisor that was silent before, the others do not wait with it.
        let Some(asking) = self.silent.ask(definition.uuid) else { return self.as_known(definition) };
        let answered = tokio::time::timeout(ANSWER_WAIT, self.query(definition)).await;
        asking.ended(answered.is_err());
        match answered {
            Ok(Ok(state)) => {
                self.remember(definition, state);
                Ok(Answer { state, as_of_unix_ms: None })
            }
            Ok(Err(error)) => Err(error),
            Err(_) => self.as_known(definition),
        }
    }

    /// How a domain stood when its hypervisor answered last.
    fn as_known(&self, definition: &Definition) -> Result<Answer, Error> {
        let run = self.state().run_dir(definition.uuid);
        let known = run.is_held()?.then(|| run.read::<Known>(RunRecord::State)).transpose()?.flatten();
        // A guest of which nothing was ever told has begun, and that is all.
        let known = known.unwrap_or(Known { state: RunState::Starting, at_unix_ms: unix_ms() });
        Ok(Answer { state: known.state, as_of_unix_ms: Some(known.at_unix_ms) })
    }

    /// Notes how it stands. Only an owner writes; that it could not costs nobody more than an older answer.
    fn remember(&self, definition: &Definition, state: RunState) {
        if !matches!(self.held(), Held::Owner(_)) || !state.is_active() {
            return;
        }
        let run = self.state().run_dir(definition.uuid);
        let noted = run.is_held().and_then(|held| match held {
            true => run.write(RunRecord::State, &Known { state, at_unix_ms: unix_ms() }),
            false => Ok(()),
        });
        if let Err(error) = noted {
            tracing::debug!(domain = definition.name, %error, "how it stands is not noted");
        }
    }
}

/// Hypervisors that did not answer when they were asked last, and whether somebody asks one again.
#[derive(Default)]
pub(crate) struct Silent(Mutex<HashMap<Uuid, bool>>);

/// The right to ask a hypervisor; given back whatever comes of it.
struct Asking<'a> {
    silent: &'a Silent,
    domain: Uuid,
    /// Whether it was silent before, so that others rely on this one.
    alone: bool,
}

impl Silent {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing while somebody asks one that was silent before.
    fn ask(&self, domain: Uuid) -> Option<Asking<'_>> {
        match self.lock().get_mut(&domain) {
            None => Some(Asking { silent: self, domain, alone: false }),
            Some(true) => None,
            Some(asked) => {
                *asked = true;
                Some(Asking { silent: self, domain, alone: true })
            }
        }
    }
}

impl Asking<'_> {
    fn ended(self, silent: bool) {
        let mut known = self.silent.lock();
        if silent {
            // Whether somebody asks it is set back by the drop.
            known.entry(self.domain).or_insert(false);
        } else {
            known.remove(&self.domain);
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if self.alone
            && let Some(asked) = self.silent.lock().get_mut(&self.domain)
        {
            *asked = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_hypervisor_is_asked_by_one_at_a_time_until_it_answers() {
        let (silent, domain) = (Silent::default(), Uuid::from_u128(1));
        let (first, second) = (silent.ask(domain).unwrap(), silent.ask(domain).unwrap());
        first.ended(true);
        second.ended(true);
        let alone = silent.ask(domain).unwrap();
        assert!(silent.ask(domain).is_none() && silent.ask(Uuid::from_u128(2)).is_some());
        // One that is given up asks no more.
        drop(alone);
        let again = silent.ask(domain).unwrap();
        again.ended(true);
        silent.ask(domain).unwrap().ended(false);
        assert!(silent.ask(domain).is_some() && silent.lock().is_empty());
    }
}
