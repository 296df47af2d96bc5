//! A change of snapshots, carried out so that a kill at any moment leaves it done or not begun.
//!
//! Up to the step `decided` everything that was made can be removed again, and whatever was there before is true. From it
//! on everything is repeated until it is done, by the next owner if need be. What a deletion writes into images before that
//! changes nothing for those who read through the overlays above; the snapshot itself was marked as good for nothing else.
//! Where a guest that runs goes on in overlays the hypervisor decides: from the step `asked` on it is found out from it, and
//! never guessed, whether its guest writes to them.

use std::path::PathBuf;
use std::time::Duration;

use hostler_image::Format;
use hostler_runtime::KeptWithin;
use hostler_state::{Definition, Intent, SnapshotState, SnapshotTree, unix_ms};
use hostler_storage::{
    BackingRequest, Draft, InternalStep, PoolRoot, RebaseRequest, commit_image, internal_snapshot,
    internal_snapshots, rebase_image,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::live::LiveChange;
use super::merge_live::{LiveMerge, MERGING, Merged};
use super::overlays::{self, Overlay};
use super::store::{StoreChange, kept_name};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::images::Place;
use crate::pools::programs;
use crate::process;
use crate::recovery::verb;
use crate::reverted::RevertedGuest;

/// Nobody was asked for anything, and all that there is can be removed.
const BEGUN: &str = "begun";
/// The hypervisor is asked to have its guest write to the overlays, as soon as the last of them has its name: not before.
const ASKED: &str = "asked";
/// From here on it is done, whoever does it.
const DECIDED: &str = "decided";
/// How long a guest that a revert ends may take to end.
const END_WAIT: Duration = Duration::from_secs(10);

/// All that is to be done, and how things are afterwards.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Change {
    /// The snapshot that it is about.
    pub(crate) snapshot: String,
    /// Whether it is the one that is made, and the document whose variable store it keeps.
    pub(crate) keeps: Option<String>,
    pub(crate) overlays: Vec<Overlay>,
    pub(crate) internal: Option<InternalChange>,
    pub(crate) merges: Vec<MergeNote>,
    /// Images that are removed at the end.
    pub(crate) removes: Vec<PathBuf>,
    /// Files of the domain's directory that are removed at the end.
    pub(crate) removes_own: Vec<String>,
    pub(crate) store: Option<StoreChange>,
    /// What a guest that runs goes on with.
    pub(crate) live: Option<LiveChange>,
    /// What the hypervisor of a guest that runs merges.
    #[serde(default)]
    pub(crate) live_merge: Option<LiveMerge>,
    /// The guest that is brought back by the next start.
    #[serde(default)]
    pub(crate) reverted: Option<RevertedGuest>,
    /// Whether a guest that runs is ended for it.
    pub(crate) ends_guest: bool,
    /// The definition afterwards, if it becomes another.
    pub(crate) definition: Option<Definition>,
    /// What is recorded afterwards.
    pub(crate) tree: SnapshotTree,
}

/// What is done within images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InternalChange {
    pub(crate) step: InternalWord,
    pub(crate) tag: String,
    pub(crate) images: Vec<PathBuf>,
    /// The disks with these images, in their order, by target name.
    #[serde(default)]
    pub(crate) targets: Vec<String>,
}

impl InternalChange {
    /// What it is for a hypervisor, which has the memory in the image of the first disk.
    pub(super) fn kept(&self) -> KeptWithin {
        let memory = self.targets.first().cloned().unwrap_or_default();
        KeptWithin { name: self.tag.clone(), targets: self.targets.clone(), memory }
    }
}

/// [`InternalStep`], in a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum InternalWord {
    Take,
    /// By the hypervisor of a guest that runs, with its memory.
    Keep,
    GoBack,
    Remove,
}

/// An overlay that is written into what it stands on, and the images that stand on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MergeNote {
    pub(crate) overlay: PathBuf,
    pub(crate) into: PathBuf,
    pub(crate) format: String,
    pub(crate) above: Vec<PathBuf>,
}

impl Host {
    /// Carries a change out, journalled.
    ///
    /// # Errors
    /// Whatever fails of it; everything is as before then, unless it was decided already: then the next owner goes on.
    pub(crate) async fn carry_out(
        &self,
        definition: &Definition,
        mut change: Change,
    ) -> Result<Change, Error> {
        let owner = self.owner()?;
        let mut intent = owner.journal().begin(verb::SNAPSHOT, definition.uuid, BEGUN, note(&change)?)?;
        if let Err(error) = self.prepare_change(definition, &mut change, &mut intent).await {
            return Err(self.unprepared(definition, (&change, &mut intent), error).await);
        }
        intent.payload = note(&change)?;
        if change.asks_the_hypervisor() {
            if intent.step != ASKED {
                owner.journal().advance(&mut intent, ASKED)?;
            }
            if let Some(error) = self.ask_for(definition, (&change, intent.id)).await? {
                return Err(self.given_up(definition, (&change, &intent), error).await);
            }
        }
        owner.journal().advance(&mut intent, DECIDED)?;
        self.finish_change(definition, (&change, intent.id)).await.map_err(|error| {
            error.hint(
                "it was decided and is not finished: remove the cause, and the next command finishes it",
            )
        })?;
        owner.journal().finish(&intent)?;
        Ok(change)
    }

    /// Has the hypervisor do its part. `Some` is the reason why it is not done, and then nothing of it is.
    async fn ask_for(
        &self,
        definition: &Definition,
        (change, operation): (&Change, u64),
    ) -> Result<Option<Error>, Error> {
        match (&change.live, &change.internal) {
            (Some(live), _) => self.go_live(definition, (live, operation)).await,
            (None, Some(internal)) => self.go_kept(definition, &internal.kept()).await,
            (None, None) => Ok(None),
        }
    }

    /// Undoes what was prepared before anybody was asked, for this reason.
    async fn unprepared(
        &self,
        definition: &Definition,
        (change, intent): (&Change, &mut Intent),
        error: Error,
    ) -> Error {
        match self.not_asked(intent) {
            Ok(()) => self.given_up(definition, (change, intent), error).await,
            Err(left) => {
                error.hint(format!("nothing of it was undone, the next command tries again: {left}"))
            }
        }
    }

    /// Notes that nobody was asked, before the draft goes that shows it.
    fn not_asked(&self, intent: &mut Intent) -> Result<(), Error> {
        if intent.step == ASKED {
            self.owner()?.journal().advance(intent, BEGUN)?;
        }
        Ok(())
    }

    /// Undoes what was prepared, for this reason.
    async fn given_up(
        &self,
        definition: &Definition,
        (change, intent): (&Change, &Intent),
        error: Error,
    ) -> Error {
        let undone = self.undo_change(definition, (change, intent)).await;
        let finished = undone.and_then(|()| Ok(self.owner()?.journal().finish(intent)?));
        match finished {
            Ok(()) => error,
            Err(left) => {
                error.hint(format!("not all of it could be undone, the next command tries again: {left}"))
            }
        }
    }

    /// Everything that can be undone.
    async fn prepare_change(
        &self,
        definition: &Definition,
        change: &mut Change,
        intent: &mut Intent,
    ) -> Result<(), Error> {
        if let Some(xml) = &change.keeps {
            let runs = self.state().run_dir(definition.uuid).is_held()?;
            let store = self.keep_store(definition, xml, (intent.id, runs))?;
            let memory = self.state().domain_dir(definition.uuid).join(kept_name(intent.id, "memory"));
            let has_memory = change.live.as_ref().is_some_and(|live| live.memory.is_some());
            if let Some(made) = change.tree.snapshots.last_mut() {
                made.operation = intent.id;
                made.store = store;
                made.memory = has_memory.then_some(memory);
            }
        }
        self.make_overlays(change, intent).await?;
        if let Some(internal) = change.internal.clone().filter(|internal| internal.step == InternalWord::Take)
        {
            self.within_images(internal).await?;
        }
        for merge in change.merges.clone() {
            self.merge(merge).await?;
        }
        match change.store.clone().filter(|_| !change.ends_guest) {
            Some(store) => process::blocking(move || store.apply()).await?,
            None => Ok(()),
        }
    }

    async fn make_overlays(&self, change: &mut Change, intent: &mut Intent) -> Result<(), Error> {
        let operation = intent.id;
        let last = change.overlays.len().saturating_sub(1);
        let is_all = change.only_goes_live();
        for at in 0..change.overlays.len() {
            // What comes after the last is asking the hypervisor. One write notes both which file that is and that it is
            // asked next: for as long as the file is a draft, it was not.
            let step = if is_all && at == last { ASKED } else { BEGUN };
            let Some(overlay) = change.overlays.get(at).cloned() else { break };
            let noted = |identity: String| {
                if let Some(made) = change.overlays.get_mut(at) {
                    made.identity = Some(identity);
                }
                intent.payload = note(change)?;
                Ok(self.owner()?.journal().advance(intent, step)?)
            };
            overlay.make(self, operation, noted).await?;
        }
        Ok(())
    }

    async fn within_images(&self, change: InternalChange) -> Result<(), Error> {
        for image in &change.images {
            let place = Place::of(image, &self.area())?;
            let (step, tag) = (change.step, change.tag.clone());
            process::blocking(move || step.carry(&place, &tag)).await??;
        }
        Ok(())
    }

    async fn merge(&self, merge: MergeNote) -> Result<(), Error> {
        let place = Place::of(&merge.overlay, &self.area())?;
        process::blocking(move || {
            Ok(commit_image(&place.root, &place.name, Format::Qcow2, &programs(), &mut |_| {})?)
        })
        .await?
    }

    /// Everything that is not undone. Done already is done.
    async fn finish_change(
        &self,
        definition: &Definition,
        (change, operation): (&Change, u64),
    ) -> Result<(), Error> {
        let owner = self.owner()?;
        if change.ends_guest {
            self.end_for_change(definition).await?;
            if let Some(store) = change.store.clone() {
                process::blocking(move || store.apply()).await??;
            }
        }
        match &change.internal {
            Some(internal) if internal.step == InternalWord::GoBack => {
                self.within_images(internal.clone()).await?;
            }
            Some(internal) if internal.step == InternalWord::Remove => {
                self.forget_within(definition, internal).await?;
            }
            _ => {}
        }
        for merge in change.merges.clone() {
            self.stand_on_merged(merge).await?;
        }
        if let Some(live) = &change.live {
            self.finish_live(definition, (live, operation)).await?;
        }
        if let Some(live) = &change.live_merge {
            self.finish_merge(definition, live)?;
        }
        if let Some(after) = &change.definition {
            owner.put_definition(after)?;
        }
        owner.put_snapshots(definition.uuid, &change.tree)?;
        if let Some(store) = change.store.clone() {
            process::blocking(move || store.settle()).await??;
        }
        if let Some(reverted) = &change.reverted {
            self.put_reverted(definition.uuid, reverted)?;
        }
        for image in &change.removes {
            overlays::remove(self, image)?;
        }
        let own = PoolRoot::open_at(&self.state().domain_dir(definition.uuid))?;
        change.removes_own.iter().try_for_each(|name| Ok(own.remove_file(name)?))
    }

    async fn end_for_change(&self, definition: &Definition) -> Result<(), Error> {
        if self.state().run_dir(definition.uuid).is_held()? {
            process::end(self, definition, END_WAIT).await?;
        }
        Ok(())
    }

    /// Records for what stands on a merged overlay that it stands on the image below that.
    async fn stand_on_merged(&self, merge: MergeNote) -> Result<(), Error> {
        for image in merge.above {
            let place = Place::of(&image, &self.area())?;
            let onto = BackingRequest { path: merge.into.clone(), format: overlays::format(&merge.format)? };
            let request = RebaseRequest { format: Format::Qcow2, onto: Some(onto), record_only: true };
            process::blocking(move || {
                rebase_image(&place.root, &place.name, &request, &programs(), &mut |_| {})
            })
            .await??;
        }
        Ok(())
    }

    /// Removes what was made. Done already is done.
    async fn undo_change(
        &self,
        definition: &Definition,
        (change, intent): (&Change, &Intent),
    ) -> Result<(), Error> {
        let made =
            |internal: &&InternalChange| matches!(internal.step, InternalWord::Take | InternalWord::Keep);
        if let Some(internal) = change.internal.as_ref().filter(made) {
            self.forget_within(definition, internal).await?;
        }
        let operation = intent.id;
        change.overlays.iter().try_for_each(|overlay| overlay.unmake(self, operation))?;
        if let Some(store) = change.store.as_ref().filter(|_| !change.ends_guest) {
            store.undo()?;
        }
        if change.keeps.is_some() {
            let own = PoolRoot::open_at(&self.state().domain_dir(intent.domain))?;
            Draft::sweep(&own, operation)?;
            for what in ["nvram", "memory"] {
                own.remove_file(&kept_name(operation, what))?;
            }
        }
        Ok(())
    }

    /// Refuses while a change of the domain's snapshots is not finished.
    ///
    /// # Errors
    /// [`Kind::Conflict`].
    pub(crate) fn require_no_unfinished_change(&self, definition: &Definition) -> Result<(), Error> {
        let pending = self.state().pending()?;
        let own = |intent: &&Intent| intent.verb == verb::SNAPSHOT && intent.domain == definition.uuid;
        if !pending.iter().any(|intent| own(&intent)) {
            return Ok(());
        }
        let message = format!("a change of the snapshots of '{}' is not finished", definition.name);
        Err(Error::new(Kind::Conflict, "snapshot.unfinished", message)
            .about("domain", &definition.name)
            .hint_command("see why it cannot be finished", "hostler -v doctor"))
    }
}

impl InternalWord {
    /// Does it to one image. What was done already is not done again, except going back, which may be repeated.
    pub(super) fn carry(self, place: &Place, tag: &str) -> Result<(), Error> {
        let step = match self {
            Self::Take | Self::Keep => InternalStep::Take,
            Self::GoBack => InternalStep::GoBack,
            Self::Remove => InternalStep::Remove,
        };
        if self == Self::Remove
            && !internal_snapshots(&place.root, &place.name)?.iter().any(|there| there == tag)
        {
            return Ok(());
        }
        Ok(internal_snapshot(&place.root, &place.name, step, tag, &programs())?)
    }
}

pub(super) fn note(change: &Change) -> Result<Value, Error> {
    serde_json::to_value(change).map_err(|error| {
        Error::new(Kind::Host, "snapshot.note", "what is to be done cannot be noted").caused_by(error)
    })
}

impl Change {
    /// Whether all that is left once its overlays are made is to ask the hypervisor for them.
    fn only_goes_live(&self) -> bool {
        self.live.is_some() && self.internal.is_none() && self.merges.is_empty() && self.store.is_none()
    }

    fn asks_the_hypervisor(&self) -> bool {
        let keeps = |internal: &InternalChange| internal.step == InternalWord::Keep;
        self.live.is_some() || self.internal.as_ref().is_some_and(keeps)
    }

    /// The guest is gone, and nobody has seen that all of its memory was written: its disks alone are kept.
    fn without_memory(&mut self) {
        let Some(live) = self.live.as_mut().filter(|live| live.memory.is_some()) else { return };
        live.memory = None;
        if let Some(made) = self.tree.snapshots.last_mut() {
            made.memory = None;
            made.state = SnapshotState::DiskOnly;
        }
    }
}

pub(super) fn read(intent: &Intent) -> Result<Change, Error> {
    serde_json::from_value(intent.payload.clone()).map_err(|error| {
        Error::new(Kind::Host, "snapshot.note", "what was to be done cannot be read").caused_by(error)
    })
}

/// The definition with another document.
pub(crate) fn redefined(definition: &Definition, xml: String) -> Definition {
    Definition {
        xml,
        generation: definition.generation + 1,
        changed_unix_ms: unix_ms(),
        ..definition.clone()
    }
}

/// What a new owner does about a change that was not finished. Whether it is settled: one that cannot be is tried again by
/// the next owner, and its domain is not started before.
pub(crate) async fn settle(host: &Host, intent: &Intent) -> bool {
    try_settle(host, intent).await.unwrap_or_else(|error| {
        tracing::warn!(id = intent.id, %error, "a change of snapshots stays unfinished; the next owner tries again");
        false
    })
}

/// As [`settle`]. Not settled is also what the hypervisor works at.
pub(super) async fn try_settle(host: &Host, intent: &Intent) -> Result<bool, Error> {
    let Some(definition) = host.state().definition_by_uuid(intent.domain)? else { return Ok(true) };
    let mut change = read(intent)?;
    let mut intent = intent.clone();
    if intent.step == ASKED {
        let unnamed = change.overlays.iter().map(|overlay| overlay.is_unnamed(host, intent.id));
        if unnamed.collect::<Result<Vec<_>, _>>()?.contains(&true) {
            host.not_asked(&mut intent)?;
        }
    }
    let decided = match (intent.step.as_str(), &change.live, &change.live_merge) {
        (DECIDED, ..) => true,
        (ASKED, Some(live), _) => host.is_live(&definition, live).await?,
        (ASKED, ..) => match &change.internal {
            Some(internal) => host.is_kept(&definition, internal).await?,
            None => false,
        },
        (MERGING, _, Some(live)) => match host.merge_stands(&definition, live).await? {
            Merged::Made => true,
            Merged::Not => false,
            Merged::Works => return Ok(false),
        },
        _ => false,
    };
    if !decided {
        host.undo_change(&definition, (&change, &intent)).await?;
        return Ok(true);
    }
    if intent.step != DECIDED {
        if !host.state().run_dir(definition.uuid).is_held()? {
            change.without_memory();
            intent.payload = note(&change)?;
        }
        host.owner()?.journal().advance(&mut intent, DECIDED)?;
    }
    host.finish_change(&definition, (&change, intent.id)).await?;
    Ok(true)
}
