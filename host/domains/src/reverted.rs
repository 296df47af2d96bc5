//! The guest of a snapshot that a domain was taken back to: its next start brings it back.

use std::io::Write as _;

use hostler_runtime::KeptWithin;
use hostler_state::Uuid;
use hostler_storage::{Draft, PoolRoot};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};
use crate::host::Host;

/// The name of the record in a domain's own directory.
pub(crate) const REVERTED: &str = "reverted-guest";
/// The longest record, in bytes: a document, and a little.
const MAX_BYTES: u64 = 32 << 20;

/// Where the guest is, and what it runs with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RevertedGuest {
    /// The document that it is started with.
    pub(crate) xml: String,
    /// Whether its processors are to run.
    pub(crate) running: bool,
    /// Where it is kept.
    pub(crate) kept: Kept,
}

/// Where a guest is kept with its memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kept {
    /// In a file of the domain's directory, of this name.
    File(String),
    /// Within the images of its disks.
    Within(KeptWithin),
}

impl Host {
    /// The guest that the domain's next start brings back.
    ///
    /// # Errors
    /// [`Kind::Host`] for a record that cannot be read.
    pub(crate) fn reverted_guest(&self, domain: Uuid) -> Result<Option<RevertedGuest>, Error> {
        let directory = self.state().domain_dir(domain);
        if !directory.join(REVERTED).exists() {
            return Ok(None);
        }
        let unread = |error: std::io::Error| {
            let message = "what is known of the guest that a snapshot has kept cannot be read";
            Error::new(Kind::Host, "snapshot.reverted", message)
                .hint("'hostler start --force-boot' boots without that guest")
                .caused_by(error)
        };
        let file = PoolRoot::open_at(&directory)?.open_file(REVERTED)?;
        let read = serde_json::from_reader(std::io::Read::take(file, MAX_BYTES));
        read.map(Some).map_err(|error| unread(error.into()))
    }

    /// Notes that the domain's next start brings this guest back; durable when this returns.
    ///
    /// # Errors
    /// What writing says.
    pub(crate) fn put_reverted(&self, domain: Uuid, guest: &RevertedGuest) -> Result<(), Error> {
        let unwritten = |error: std::io::Error| {
            let message = "which guest the next start brings back cannot be noted";
            Error::new(Kind::Host, "snapshot.reverted", message).caused_by(error)
        };
        let root = PoolRoot::open_at(&self.state().domain_dir(domain))?;
        let text = serde_json::to_vec(guest).map_err(|error| unwritten(error.into()))?;
        let draft = Draft::nameless(&root)?;
        draft.file().write_all(&text).map_err(unwritten)?;
        draft.finish()?;
        Ok(draft.replace(REVERTED)?)
    }
}
