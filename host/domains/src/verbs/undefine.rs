//! `undefine`: forgets a domain, and its variable store unless that is to be kept.

use std::path::{Path, PathBuf};

use hostler_state::Uuid;
use serde_json::Value;

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::recovery::verb;
use crate::reference::DomainRef;
use crate::summary::{RunState, Undefined};
use crate::verbs::restore;

/// Where kept variable stores go, under the state directory.
pub(crate) const KEPT: &str = "kept-nvram";

/// How a domain is forgotten.
#[derive(Clone, Copy, Debug, Default)]
pub struct UndefineOptions {
    /// Keep the variable store; the answer says where.
    pub keep_nvram: bool,
    /// Forget a guest that was saved with it.
    pub saved_guest: bool,
}

impl Host {
    /// Removes a definition. A domain that runs goes on as a transient one, and is forgotten when it ends.
    /// Images are never touched.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Host`] when it cannot be removed: it is there as before.
    pub async fn undefine(&self, wanted: &DomainRef, options: UndefineOptions) -> Result<Undefined, Error> {
        let mut definition = self.find(wanted)?;
        let owner = self.owner()?;
        if !options.saved_guest {
            restore::require_no_saved_guest(self, &definition)?;
        }
        let mut answer =
            Undefined { name: definition.name.clone(), uuid: definition.uuid, kept_variable_store: None };
        if options.keep_nvram {
            answer.kept_variable_store = self.keep_store(definition.uuid, &definition.name)?;
        }
        if self.summarise(&definition).await?.state != RunState::Off {
            definition.persistent = false;
            definition.generation += 1;
            owner.put_definition(&definition)?;
        } else {
            let intent = owner.journal().begin(verb::UNDEFINE, definition.uuid, "begun", Value::Null)?;
            remove(self, definition.uuid)?;
            owner.journal().finish(&intent)?;
        }
        self.tell(&definition, "undefined");
        Ok(answer)
    }

    /// Links the store to a place of its own, so that it is there before the definition goes. It is the same file:
    /// what a guest that still runs writes to it is kept too.
    fn keep_store(&self, uuid: Uuid, name: &str) -> Result<Option<PathBuf>, Error> {
        let store = self.state().variable_store_path(uuid);
        if !store.exists() {
            return Ok(None);
        }
        let directory = self.state().root().join(KEPT);
        let kept = directory.join(format!("{name}-{uuid}.fd"));
        link(&store, &directory, &kept).map_err(|error| {
            let message = format!("cannot keep the variable store as '{}'", kept.display());
            Error::new(Kind::Host, "nvram.keep", message)
                .caused_by(error)
                .hint("if one is kept there already, move it away first")
        })?;
        Ok(Some(kept))
    }
}

fn link(store: &Path, directory: &Path, kept: &Path) -> std::io::Result<()> {
    match std::fs::create_dir(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    std::fs::hard_link(store, kept)?;
    std::fs::File::open(directory)?.sync_all()
}

/// Removes what the state directory has of a domain; done already is done.
pub(crate) fn remove(host: &Host, uuid: Uuid) -> Result<(), Error> {
    let owner = host.owner()?;
    owner.remove_run_dir(uuid)?;
    match owner.remove_definition(uuid) {
        Err(error) if error.kind == hostler_state::Kind::NotFound => Ok(()),
        removed => Ok(removed?),
    }
}
