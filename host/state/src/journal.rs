//! The journal: what an operation set out to do and how far it came, for the next owner to finish or undo.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock;
use crate::error::{Kind, StateError};
use crate::files::Keep;
use crate::layout::StateDir;
use crate::owner::Owner;

/// An operation under way. Each state of it that [`Journal`] acknowledged is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Identifies the operation; later ones have larger ids.
    pub id: u64,
    /// What is done: `start`, `undefine`, …
    pub verb: String,
    /// To which domain; for verbs of pools and volumes, to which pool.
    pub domain: Uuid,
    /// How far it came; the verb defines the steps.
    pub step: String,
    /// What the verb needs to finish or undo it.
    pub payload: serde_json::Value,
    /// When it began, in milliseconds since 1970.
    pub started_unix_ms: u64,
}

/// Writes the journal of one owner.
#[derive(Debug)]
pub struct Journal<'a> {
    owner: &'a Owner,
}

impl<'a> Journal<'a> {
    pub(crate) fn of(owner: &'a Owner) -> Self {
        Self { owner }
    }

    /// Records that an operation begins, before its first effect.
    ///
    /// # Errors
    /// [`Kind::TooLarge`], [`Kind::Full`], [`Kind::Io`] or [`Kind::ReadOnly`]: then do not begin.
    pub fn begin(
        &self,
        verb: &str,
        domain: Uuid,
        step: &str,
        payload: serde_json::Value,
    ) -> Result<Intent, StateError> {
        let id = self.owner.next_intent.fetch_add(1, Ordering::Relaxed);
        let (verb, step) = (verb.to_owned(), step.to_owned());
        let intent = Intent { id, verb, domain, step, payload, started_unix_ms: clock::unix_ms() };
        self.write(&intent)?;
        Ok(intent)
    }

    /// Records the next step (and the payload, which the caller may have changed). After an error the
    /// intent still has its old step, in memory as on disk.
    ///
    /// # Errors
    /// As [`Journal::begin`].
    pub fn advance(&self, intent: &mut Intent, step: &str) -> Result<(), StateError> {
        let mut next = intent.clone();
        step.clone_into(&mut next.step);
        self.write(&next)?;
        *intent = next;
        Ok(())
    }

    /// Records that the operation is over: finished, or undone.
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::ReadOnly`]: then the next owner will find the intent pending.
    pub fn finish(&self, intent: &Intent) -> Result<(), StateError> {
        self.owner.files.remove(&self.owner.intent_path(intent.id))
    }

    fn write(&self, intent: &Intent) -> Result<(), StateError> {
        let path = self.owner.intent_path(intent.id);
        let payload = serde_json::to_vec(intent)
            .map_err(|error| StateError::io(&path, "encode the intent", io::Error::from(error)))?;
        self.owner.files.replace(&path, &payload, Keep::OnlyCurrent)
    }
}

impl StateDir {
    /// The operations that were begun and not finished, oldest first. A damaged intent is left out and found
    /// in [`StateDir::damage`].
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::TooNew`].
    pub fn pending(&self) -> Result<Vec<Intent>, StateError> {
        let mut intents = Vec::new();
        for id in self.intent_ids()? {
            let path = self.intent_path(id);
            let payload = match self.files.load(&path) {
                Err(error) if error.kind == Kind::Corrupt => continue,
                loaded => loaded?,
            };
            let Some(payload) = payload else { continue };
            match serde_json::from_slice::<Intent>(&payload) {
                Ok(intent) if intent.id == id => intents.push(intent),
                _ => self.files.set_aside(&path, false)?,
            }
        }
        Ok(intents)
    }

    pub(crate) fn last_intent_id(&self) -> Result<u64, StateError> {
        Ok(self.intent_ids()?.last().copied().unwrap_or(0))
    }

    fn intent_ids(&self) -> Result<Vec<u64>, StateError> {
        let names = self.names_in(&self.root().join("journal"))?;
        let mut ids: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    fn intent_path(&self, id: u64) -> PathBuf {
        self.root().join("journal").join(id.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn next_owner_finds_the_last_step_until_it_is_finished() {
        let root = tempfile::tempdir().unwrap();
        let open = || StateDir::open_owner(root.path(), Duration::ZERO).unwrap();
        let domain = Uuid::new_v4();
        let (first, second) = {
            let owner = open();
            let journal = owner.journal();
            let mut first = journal.begin("start", domain, "planned", json!({"plan": 1})).unwrap();
            let second = journal.begin("undefine", domain, "begun", json!(null)).unwrap();
            first.payload = json!({"plan": 2});
            journal.advance(&mut first, "spawned").unwrap();
            (first, second)
        };
        assert!(first.id < second.id && first.step == "spawned");
        let owner = open();
        assert_eq!(owner.pending().unwrap(), [first.clone(), second.clone()]);
        owner.journal().finish(&first).unwrap();
        assert_eq!(
            StateDir::open_reader(root.path()).unwrap().pending().unwrap(),
            std::slice::from_ref(&second)
        );
        let third = owner.journal().begin("start", domain, "planned", json!(null)).unwrap();
        assert!(third.id > second.id);
    }

    #[test]
    fn damaged_intent_is_reported_and_the_others_are_found() {
        let root = tempfile::tempdir().unwrap();
        let owner = StateDir::open_owner(root.path(), Duration::ZERO).unwrap();
        let bad = owner.journal().begin("start", Uuid::nil(), "a", json!(null)).unwrap();
        let good = owner.journal().begin("start", Uuid::nil(), "a", json!(null)).unwrap();
        std::fs::copy(owner.intent_path(good.id), owner.intent_path(bad.id)).unwrap();
        assert_eq!(owner.pending().unwrap(), [good]);
        assert_eq!((owner.damage().len(), owner.set_aside().unwrap().len()), (1, 1));
    }
}
