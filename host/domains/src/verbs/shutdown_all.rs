//! `shutdown --all`: every guest is asked to switch itself off, as before the host is.

use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::DomainRef;
use crate::summary::DomainSummary;
use crate::verbs::agent::AskBy;

/// How long one of them may keep the others waiting.
const ASK_WAIT: Duration = Duration::from_secs(5);

/// What came of asking one guest.
#[derive(Debug, Serialize)]
pub struct AskedOff {
    /// The domain, as it was then.
    #[serde(flatten)]
    pub summary: DomainSummary,
    /// The code of the error when it could not be asked.
    pub code: Option<String>,
    /// Why it could not be asked.
    pub problem: Option<String>,
}

impl Host {
    /// Asks the guest of every domain that is not off to switch itself off. What cannot be asked is told, and holds up none of
    /// the others.
    ///
    /// # Errors
    /// When the state directory cannot be read.
    pub async fn shutdown_all(&self, by: AskBy) -> Result<Vec<AskedOff>, Error> {
        self.owner()?;
        let mut done = Vec::new();
        for summary in self.list().await?.into_iter().filter(|summary| summary.state.is_active()) {
            match self.ask_off(&summary, by).await {
                Ok(summary) => done.push(AskedOff { summary, code: None, problem: None }),
                // It has gone meanwhile.
                Err(error) if error.kind == Kind::NotFound => {}
                Err(error) => {
                    let (code, problem) = (Some(error.code().to_owned()), Some(error.to_string()));
                    done.push(AskedOff { summary, code, problem });
                }
            }
        }
        Ok(done)
    }

    async fn ask_off(&self, summary: &DomainSummary, by: AskBy) -> Result<DomainSummary, Error> {
        let wanted = DomainRef::new(summary.uuid.to_string());
        match timeout(ASK_WAIT, self.shutdown(&wanted, by)).await {
            Ok(asked) => asked,
            Err(_) => {
                let message = format!("it was not asked within {} s", ASK_WAIT.as_secs());
                Err(Error::new(Kind::TimedOut, "shutdown.no-answer", message).about("domain", &summary.name))
            }
        }
    }
}
