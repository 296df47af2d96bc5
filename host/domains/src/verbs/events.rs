//! `events`: what has happened, and what happens.

use std::collections::BTreeMap;

use hostler_state::{Batch, Definition, EventLog, NewEvent};

use crate::error::Error;
use crate::host::Host;

impl Host {
    /// The events after `cursor` that are still kept, and the cursor to go on from.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when the log cannot be read.
    pub fn events(&self, cursor: u64) -> Result<Batch, Error> {
        Ok(self.event_log().read_since(cursor)?)
    }

    /// The log itself, to follow it: see [`EventLog::follow`].
    #[must_use]
    pub fn event_log(&self) -> EventLog {
        self.state().events()
    }

    /// Tells whoever listens. A log that cannot be written does not undo what has happened, so it is reported
    /// and no more.
    pub(crate) fn tell(&self, definition: &Definition, kind: &str) {
        self.tell_with(definition, kind, BTreeMap::new());
    }

    /// The same with what there is to say of it.
    pub(crate) fn tell_with(&self, definition: &Definition, kind: &str, detail: BTreeMap<String, String>) {
        let event = NewEvent {
            domain: definition.uuid,
            name: definition.name.clone(),
            kind: kind.to_owned(),
            detail,
        };
        if let Err(error) = self.event_log().append(event) {
            tracing::error!(domain = definition.name, kind, %error, "an event could not be recorded");
        }
    }
}
