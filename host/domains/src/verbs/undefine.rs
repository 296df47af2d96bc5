//! `undefine`: forgets a domain, and keeps its variable store unless another fate is chosen for it.

use std::path::{Path, PathBuf};

use hostler_domain::Domain;
use hostler_firmware::{StorePlace, VariableStore, store_place};
use hostler_state::{Definition, Intent, Uuid, unix_ms};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, command};
use crate::firmware_summary::{StoreFate, StoreLeft};
use crate::host::Host;
use crate::kept_stores;
use crate::recovery::verb;
use crate::reference::DomainRef;
use crate::snapshots::require_no_snapshots;
use crate::summary::{RunState, Undefined};
use crate::verbs::restore;

/// How a domain is forgotten.
#[derive(Clone, Copy, Debug, Default)]
pub struct UndefineOptions {
    /// What becomes of its variable store; the answer says where that is.
    pub nvram: StoreFate,
    /// Forget a guest that was saved with it.
    pub saved_guest: bool,
    /// Forget its snapshots with it; their images stay.
    pub snapshots: bool,
}

/// What is done with a variable store: so that a killed `undefine` can be finished.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Move {
    /// Nothing: it stays, or goes with what it lies in.
    None,
    /// It gets a name beyond its domain's directory.
    Link { from: PathBuf, to: PathBuf },
    /// It goes there.
    Rename { from: PathBuf, to: PathBuf },
    /// It is removed.
    Remove { path: PathBuf },
}

/// All that is done before a definition goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Moves {
    store: Move,
    /// Where what its helpers have kept goes; nothing when that goes with the definition, or there is none.
    keeps: Option<PathBuf>,
}

impl Moves {
    /// What an intent says. Earlier versions noted the store alone.
    fn noted(intent: &Intent) -> Self {
        let payload = &intent.payload;
        Self::deserialize(payload)
            .unwrap_or_else(|_| Self { store: Move::deserialize(payload).unwrap_or(Move::None), keeps: None })
    }
}

impl Host {
    /// Removes a definition. A domain that runs goes on as a transient one, and is forgotten when it ends.
    /// Images are never touched.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Conflict`] when a store is to be taken from a guest that runs; [`Kind::Host`] when it
    /// cannot be removed: it is there as before.
    pub async fn undefine(&self, wanted: &DomainRef, options: UndefineOptions) -> Result<Undefined, Error> {
        let definition = self.find(wanted)?;
        if !options.saved_guest {
            restore::require_no_saved_guest(self, &definition)?;
        }
        if !options.snapshots {
            require_no_snapshots(self, &definition)?;
        }
        let runs = self.summarise(&definition).await?.state != RunState::Off;
        let (moved, left) = self.store_move(&definition, options.nvram, runs)?;
        let keeps = self.keeps_move(&definition, options.nvram);
        let moves = Moves { store: moved, keeps: keeps.clone() };
        let payload = serde_json::to_value(&moves).map_err(|error| {
            Error::new(Kind::Host, "undefine.plan", "what becomes of the variable store cannot be noted")
                .caused_by(error)
        })?;
        let owner = self.owner()?;
        let intent = owner.journal().begin(verb::UNDEFINE, definition.uuid, "begun", payload)?;
        let carried = carry_all(self, definition.uuid, &moves);
        if carried.is_ok() {
            self.forget(&definition, runs)?;
        }
        owner.journal().finish(&intent)?;
        carried?;
        self.tell(&definition, "undefined");
        let kept = left.as_ref().filter(|left| left.fate != StoreFate::Delete).map(|left| left.path.clone());
        Ok(Undefined {
            name: definition.name,
            uuid: definition.uuid,
            variable_store: left,
            kept_variable_store: kept,
            kept_state: keeps,
        })
    }

    fn forget(&self, definition: &Definition, runs: bool) -> Result<(), Error> {
        if !runs {
            return remove(self, definition.uuid);
        }
        let mut transient = definition.clone();
        transient.persistent = false;
        transient.generation += 1;
        Ok(self.owner()?.put_definition(&transient)?)
    }

    /// Where what helpers of a domain have kept is to go; nothing when it goes with the definition, or there is none.
    fn keeps_move(&self, definition: &Definition, fate: StoreFate) -> Option<PathBuf> {
        let (state, uuid) = (self.state(), definition.uuid);
        if !state.keeps_path(uuid).exists() {
            return None;
        }
        match fate {
            StoreFate::Delete => None,
            StoreFate::Keep => Some(state.kept_path(uuid)),
            StoreFate::Archive => Some(kept_stores::archived_state(state.root(), &definition.name, uuid)),
        }
    }

    /// What is to be done with the store of a domain, and what is told of it.
    fn store_move(
        &self,
        definition: &Definition,
        fate: StoreFate,
        runs: bool,
    ) -> Result<(Move, Option<StoreLeft>), Error> {
        let (root, uuid) = (self.state().root(), definition.uuid);
        let default = self.state().variable_store_path(uuid);
        let domain = Domain::parse(&definition.xml).ok();
        let nvram = domain.as_ref().and_then(|domain| domain.os.nvram.as_ref());
        let Ok(place) = store_place(nvram, default) else { return Ok((Move::None, None)) };
        if std::fs::symlink_metadata(place.path()).is_err() {
            return Ok((Move::None, None));
        }
        let from = place.path().to_owned();
        let to = kept_stores::destination(root, &definition.name, uuid, fate);
        let left = |path: &Path| Some(StoreLeft { fate, path: path.to_owned() });
        Ok(match (&place, fate) {
            (StorePlace::Host(_), StoreFate::Delete) => (Move::None, left(&from)),
            (StorePlace::Host(_), _) => (Move::Link { from, to: to.clone() }, left(&to)),
            (_, StoreFate::Keep) => (Move::None, left(&from)),
            (StorePlace::Block(_), _) => return Err(device_stays(&from, definition)),
            (StorePlace::File(_), _) if runs => return Err(in_use(&from, definition)),
            (StorePlace::File(_), StoreFate::Archive) => (Move::Rename { from, to: to.clone() }, left(&to)),
            (StorePlace::File(_), StoreFate::Delete) => (Move::Remove { path: from.clone() }, left(&from)),
        })
    }
}

/// Does all of it; done already is done.
fn carry_all(host: &Host, uuid: Uuid, moves: &Moves) -> Result<(), Error> {
    carry(&moves.store)?;
    match &moves.keeps {
        Some(to) => Ok(host.owner()?.move_keeps(uuid, to, unix_ms())?),
        None => Ok(()),
    }
}

/// Does it; done already is done.
fn carry(moved: &Move) -> Result<(), Error> {
    match moved {
        Move::None => Ok(()),
        Move::Link { from, to } => kept_stores::put(from, to),
        Move::Rename { from, to } => {
            if !from.exists() && to.exists() {
                return Ok(());
            }
            kept_stores::make_directory(to)?;
            Ok(VariableStore::new(from).archive_at(to)?)
        }
        Move::Remove { path } => Ok(VariableStore::new(path).remove()?),
    }
}

/// Finishes what an owner before has begun. When that cannot be done the domain stays defined.
pub(crate) async fn settle(host: &Host, intent: &Intent) -> Result<(), Error> {
    if let Err(error) = carry_all(host, intent.domain, &Moves::noted(intent)) {
        tracing::warn!(%error, "an undefine cannot be finished; the domain stays defined");
        return Ok(());
    }
    let Some(definition) = host.state().definition_by_uuid(intent.domain)? else {
        return remove(host, intent.domain);
    };
    let runs = host.state().run_dir(intent.domain).is_held()?;
    host.forget(&definition, runs)
}

fn device_stays(device: &Path, definition: &Definition) -> Error {
    let shown = device.display().to_string();
    let message = format!(
        "the variable store '{shown}' of '{}' is a device, which is neither deleted nor moved",
        definition.name
    );
    Error::new(Kind::Unsupported, "nvram.device", message)
        .about("domain", &definition.name)
        .about("path", &shown)
        .hint_command(
            "undefine the domain, and leave the device alone",
            format!("{} --nvram=keep", command("undefine", &definition.name)),
        )
}

fn in_use(store: &Path, definition: &Definition) -> Error {
    let shown = store.display().to_string();
    let message = format!("the domain '{}' runs with the variable store '{shown}'", definition.name);
    Error::new(Kind::Conflict, "nvram.in-use", message)
        .about("domain", &definition.name)
        .about("path", &shown)
        .hint_command("end the domain first", command("shutdown", &definition.name))
        .hint_command(
            "or leave the store where it is",
            format!("{} --nvram=keep", command("undefine", &definition.name)),
        )
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
