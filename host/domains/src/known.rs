//! What is known of a domain whose hypervisor does not answer: how it stood when it last did.

use std::time::Duration;

use hostler_state::{Definition, RunRecord, unix_ms};
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
        let answered = tokio::time::timeout(ANSWER_WAIT, self.query(definition)).await;
        let run = self.state().run_dir(definition.uuid);
        match answered {
            Ok(Ok(state)) => {
                self.remember(definition, state);
                Ok(Answer { state, as_of_unix_ms: None })
            }
            Ok(Err(error)) => Err(error),
            Err(_) => {
                let known =
                    run.is_held()?.then(|| run.read::<Known>(RunRecord::State)).transpose()?.flatten();
                // A guest of which nothing was ever told has begun, and that is all.
                let known = known.unwrap_or(Known { state: RunState::Starting, at_unix_ms: unix_ms() });
                Ok(Answer { state: known.state, as_of_unix_ms: Some(known.at_unix_ms) })
            }
        }
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
