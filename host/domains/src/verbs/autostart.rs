//! `autostart`: domains that are started after a boot of the machine.

use std::collections::BTreeMap;

use hostler_state::{Definition, boot_id};
use serde::Serialize;

use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::reference::DomainRef;
use crate::summary::{DomainSummary, RunState};
use crate::verbs::StartOptions;

/// The event of a domain that could not be started by itself; with the code and the sentence of the error.
const FAILED: &str = "autostart-failed";

/// What came of starting one domain that is started by itself.
#[derive(Debug, Serialize)]
pub struct Autostarted {
    /// Its name.
    pub name: String,
    /// What it is doing now.
    pub state: RunState,
    /// The code of the error that kept it from being started.
    pub code: Option<String>,
    /// Why it could not be started.
    pub problem: Option<String>,
}

impl Host {
    /// Sets whether the first owner after a boot starts a domain.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Conflict`] for a domain that is forgotten when it ends.
    pub async fn set_autostart(&self, wanted: &DomainRef, on: bool) -> Result<DomainSummary, Error> {
        let definition = self.find(wanted)?;
        if on && !definition.persistent {
            let name = &definition.name;
            let message = format!("'{name}' is not defined, so it is not there after a boot");
            return Err(Error::new(Kind::Conflict, "domain.transient", message)
                .about("domain", name)
                .hint_command(
                    "define it from its own document",
                    format!("{} > domain.xml && hostler define domain.xml", command("xml", name)),
                ));
        }
        if self.state().autostart(definition.uuid)? != on {
            self.owner()?.set_autostart(definition.uuid, on)?;
        }
        self.summarise(&definition).await
    }

    /// Starts every domain that is started by itself and is off. What fails is told, and holds up none of the others.
    ///
    /// # Errors
    /// When the state directory cannot be read.
    pub async fn autostart_all(&self) -> Result<Vec<Autostarted>, Error> {
        self.owner()?;
        let mut done = Vec::new();
        for headline in self.state().headlines()? {
            if headline.persistent
                && self.state().autostart(headline.uuid)?
                && let Some(definition) = self.state().definition_by_uuid(headline.uuid)?
            {
                done.push(self.autostart_one(&definition).await);
            }
        }
        Ok(done)
    }

    async fn autostart_one(&self, definition: &Definition) -> Autostarted {
        let name = definition.name.clone();
        let started = match self.summarise(definition).await {
            Ok(summary) if summary.state == RunState::Off => {
                // Boxed, for an owner that settles things may have to start one.
                let options = StartOptions::default();
                Box::pin(self.start(&DomainRef::new(definition.uuid.to_string()), options))
                    .await
                    .map(|started| started.summary.state)
            }
            Ok(summary) => Ok(summary.state),
            Err(error) => Err(error),
        };
        match started {
            Ok(state) => Autostarted { name, state, code: None, problem: None },
            Err(error) => {
                self.tell_failed(definition, &error);
                let (code, problem) = (Some(error.code().to_owned()), Some(error.to_string()));
                Autostarted { name, state: RunState::Off, code, problem }
            }
        }
    }

    fn tell_failed(&self, definition: &Definition, error: &Error) {
        tracing::warn!(domain = definition.name, %error, "the domain cannot be started by itself");
        let detail = BTreeMap::from([
            ("code".to_owned(), error.code().to_owned()),
            ("reason".to_owned(), error.to_string()),
        ]);
        self.tell_with(definition, FAILED, detail);
    }

    /// What the first owner after a boot does. One that is stopped in between is followed by one that goes on; a domain
    /// that could not be started is not tried again in this boot, for each attempt may take its time.
    pub(crate) async fn settle_autostart(&self) -> Result<(), Error> {
        let boot = boot_id();
        if self.state().is_autostarted(&boot)? {
            return Ok(());
        }
        self.autostart_all().await?;
        Ok(self.owner()?.put_autostarted(&boot)?)
    }
}
