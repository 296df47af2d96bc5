//! `snapshot delete`: forgets snapshots, and gives back what only they needed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hostler_domain::Domain;
use hostler_runtime::inspect_disk;
use hostler_state::{Definition, Snapshot, SnapshotKind, SnapshotState, SnapshotTree};
use hostler_storage::Translations;

use crate::block_jobs::BlockJobSummary;
use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::reference::DomainRef;
use crate::snapshot_summary::SnapshotsDeleted;
use crate::snapshots::{
    Change, DeletePlan, InternalChange, InternalWord, LiveMerge, Merge, MergeNote, Scene, merged, redefined,
    require_independent,
};
use crate::summary::RunState;
use crate::verbs::restore;
use crate::volumes::require_unlocked;

/// How snapshots are deleted.
#[derive(Clone, Copy, Debug, Default)]
pub struct SnapshotDeleteOptions {
    /// Only tell what would be done.
    pub plan: bool,
    /// Those that were taken from it, and from them, too.
    pub children: bool,
}

impl Host {
    /// Deletes a snapshot: what it keeps is gone, and everything else is as before. Each is deleted whole or not at all.
    ///
    /// The hypervisor of a guest that runs merges its overlays, one after another. This returns when it is at work on one
    /// ([`SnapshotsDeleted::works`]): once that is over ([`Host::block_finish`]), the same call goes on from there.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Conflict`], naming who depends on an image that would change or go;
    /// [`Kind::Unsupported`] for what cannot be done while the domain runs.
    pub async fn snapshot_delete(
        &self,
        wanted: &DomainRef,
        name: &str,
        options: SnapshotDeleteOptions,
    ) -> Result<SnapshotsDeleted, Error> {
        if !options.plan {
            self.owner()?;
        }
        let definition = self.find(wanted)?;
        let works = match options.plan {
            true => None,
            false => self.settle_merges(&definition).await?,
        };
        let (tree, _) = self.snapshot(&definition, name)?;
        let names = if options.children { with_descendants(&tree, name) } else { vec![name.to_owned()] };
        let mut scene = self.scene(&definition, tree)?;
        let own = known(&scene);
        let mut plan = DeletePlan::default();
        for name in &names {
            scene.delete(name, &mut plan)?;
        }
        for image in touched(&plan) {
            require_independent(self, &definition, &image, &own)?;
        }
        let mut deleted = SnapshotsDeleted {
            domain: definition.name.clone(),
            snapshots: names,
            images: plan.images,
            done: false,
            works,
        };
        if deleted.works.is_some() {
            // The plan is not what it was while the chain is on its way.
            deleted.images.clear();
            return Ok(deleted);
        }
        if options.plan {
            return Ok(deleted);
        }
        self.require_no_unfinished_change(&definition)?;
        for name in &deleted.snapshots {
            deleted.works = self.delete_one(&self.find(wanted)?, name).await?;
            if deleted.works.is_some() {
                return Ok(deleted);
            }
        }
        self.tell(&definition, "snapshot-deleted");
        deleted.done = true;
        Ok(deleted)
    }

    /// Deletes one, or lets the hypervisor begin with what is to be done first.
    async fn delete_one(
        &self,
        definition: &Definition,
        name: &str,
    ) -> Result<Option<BlockJobSummary>, Error> {
        let (tree, snapshot) = self.snapshot(definition, name)?;
        let before = self.scene(definition, tree.clone())?;
        let runs = self.summarise(definition).await?.state != RunState::Off;
        if runs && let Some((live, change)) = self.next_merge(definition, &snapshot, &before)? {
            self.require_running(definition).await?;
            self.mark_changed(definition, tree, name)?;
            return self.begin_merge(definition, live, change).await.map(Some);
        }
        let (mut scene, mut plan) = (before.clone(), DeletePlan::default());
        scene.delete(name, &mut plan)?;
        let change = self.deletion(definition, &snapshot, (&before, scene), (plan, runs))?;
        if !change.merges.is_empty() {
            self.mark_changed(definition, tree, name)?;
        }
        self.carry_out(definition, change).await?;
        Ok(None)
    }

    /// What a snapshot keeps changes from here on, whatever comes of its deletion.
    fn mark_changed(&self, definition: &Definition, tree: SnapshotTree, name: &str) -> Result<(), Error> {
        let mut tree = tree;
        for marked in tree.snapshots.iter_mut().filter(|one| one.name == name) {
            marked.being_deleted = true;
        }
        Ok(self.owner()?.put_snapshots(definition.uuid, &tree)?)
    }

    /// The first merge that only the hypervisor can do, and what there is afterwards: the snapshot still, without a need for
    /// that merge.
    fn next_merge(
        &self,
        definition: &Definition,
        snapshot: &Snapshot,
        before: &Scene,
    ) -> Result<Option<(LiveMerge, Change)>, Error> {
        if snapshot.kind == SnapshotKind::Internal {
            return Ok(None);
        }
        for disk in &snapshot.disks {
            let (mut scene, mut plan) = (before.clone(), DeletePlan::default());
            scene.delete_disk(&snapshot.name, &disk.target, &mut plan)?;
            let chain = self.chain_of(definition, &disk.target)?;
            let Some(merge) = notes(before, &plan).into_iter().find(|merge| chain.contains(&merge.overlay))
            else {
                continue;
            };
            let mut tree = scene.tree;
            for marked in tree.snapshots.iter_mut().filter(|one| one.name == snapshot.name) {
                marked.being_deleted = true;
            }
            follow(&mut tree, std::slice::from_ref(&merge))?;
            let change =
                Change { snapshot: snapshot.name.clone(), removes: plan.removes, tree, ..Change::default() };
            return Ok(Some((LiveMerge { target: disk.target.clone(), merge }, change)));
        }
        Ok(None)
    }

    fn deletion(
        &self,
        definition: &Definition,
        snapshot: &Snapshot,
        (before, after): (&Scene, Scene),
        (plan, runs): (DeletePlan, bool),
    ) -> Result<Change, Error> {
        if snapshot.kind == SnapshotKind::Internal && runs {
            self.require_open_to_change(definition, snapshot)?;
        }
        let has_memory = matches!(snapshot.state, SnapshotState::Running | SnapshotState::Paused);
        if !plan.merges.is_empty() || has_memory {
            restore::require_no_saved_guest(self, definition)?;
        }
        for image in touched(&plan) {
            require_unlocked(&image, "it would change or go under who has it open")?;
        }
        let merges = notes(before, &plan);
        let mut tree = after.tree;
        follow(&mut tree, &merges)?;
        let xml = merged(&definition.xml, &merges)?;
        Ok(Change {
            snapshot: snapshot.name.clone(),
            internal: within(snapshot),
            merges,
            removes: plan.removes,
            removes_own: own_files(snapshot),
            definition: (xml != definition.xml).then(|| redefined(definition, xml)),
            tree,
            ..Change::default()
        })
    }

    /// Refuses what is kept within an image that the guest only reads.
    fn require_open_to_change(&self, definition: &Definition, snapshot: &Snapshot) -> Result<(), Error> {
        for disk in &snapshot.disks {
            let chain = self.chain_of(definition, &disk.target)?;
            if chain.iter().skip(1).any(|image| *image == disk.image) {
                return Err(not_while_it_runs(definition, (&snapshot.name, &disk.image)));
            }
        }
        Ok(())
    }

    /// What the images of a domain and of its snapshots stand on.
    pub(super) fn scene(&self, definition: &Definition, tree: SnapshotTree) -> Result<Scene, Error> {
        let mut scene = Scene { tree: tree.clone(), ..Scene::default() };
        let all = tree.snapshots.iter().flat_map(targets).collect();
        let stored = self.translations(&definition.xml)?;
        scene.active.extend(self.add_chains(&mut scene.below, &definition.xml, (&stored, &all))?);
        if self.state().run_dir(definition.uuid).is_held()? {
            let (xml, volumes) = (self.current_xml(definition)?, self.current_volumes(definition)?);
            scene.active.extend(self.add_chains(&mut scene.below, &xml, (&volumes, &all))?);
        }
        for snapshot in &tree.snapshots {
            let volumes = self.translations(&snapshot.xml)?;
            self.add_chains(&mut scene.below, &snapshot.xml, (&volumes, &targets(snapshot).collect()))?;
        }
        for left in scene.tree.left.clone() {
            if std::fs::symlink_metadata(&left.image).is_ok() {
                scene.below.insert(left.image, left.stands_on);
            }
        }
        Ok(scene)
    }

    /// Adds the chains of a document's disks, and gives their active images. A chain that cannot be resolved fails: what
    /// stands on what is not guessed.
    fn add_chains(
        &self,
        below: &mut BTreeMap<PathBuf, PathBuf>,
        xml: &str,
        (volumes, targets): (&Translations, &BTreeSet<String>),
    ) -> Result<Vec<PathBuf>, Error> {
        let roots = self.roots();
        let mut active = Vec::new();
        for disk in
            Domain::parse(xml)?.devices.disks.iter().filter(|disk| targets.contains(disk.target.as_str()))
        {
            let layers = inspect_disk(disk, &roots, volumes)?;
            let paths: Vec<_> = layers.into_iter().map(|layer| layer.path).collect();
            let pairs = paths.iter().zip(paths.iter().skip(1));
            below.extend(pairs.map(|(above, below)| (above.clone(), below.clone())));
            active.extend(paths.into_iter().next());
        }
        Ok(active)
    }
}

fn targets(snapshot: &Snapshot) -> impl Iterator<Item = String> + '_ {
    snapshot.disks.iter().map(|disk| disk.target.clone())
}

/// A snapshot behind all that were taken from it, and from them.
fn with_descendants(tree: &SnapshotTree, name: &str) -> Vec<String> {
    let mut names = vec![name.to_owned()];
    let mut at = 0;
    while let Some(parent) = names.get(at).cloned() {
        let more: Vec<_> = tree.children(&parent).map(|child| child.name.clone()).collect();
        names.extend(more.into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>());
        at += 1;
    }
    names.reverse();
    names
}

/// Every image that is known.
fn known(scene: &Scene) -> BTreeSet<PathBuf> {
    let chains = scene.below.iter().flat_map(|(above, below)| [above.clone(), below.clone()]);
    let left = scene.tree.left.iter().map(|left| left.image.clone());
    chains.chain(scene.active.iter().cloned()).chain(left).collect()
}

/// Images that a plan changes or removes.
fn touched(plan: &DeletePlan) -> BTreeSet<PathBuf> {
    let merged = plan.merges.iter().flat_map(|merge| [merge.overlay.clone(), merge.into.clone()]);
    merged.chain(plan.removes.iter().cloned()).collect()
}

/// The merges of a plan, each with what stands on its overlay.
fn notes(before: &Scene, plan: &DeletePlan) -> Vec<MergeNote> {
    let above = |overlay: &Path| {
        let stands = before.below.iter().filter(|(_, below)| below.as_path() == overlay);
        stands.map(|(image, _)| image.clone()).collect()
    };
    let note = |merge: &Merge| MergeNote {
        above: above(&merge.overlay),
        overlay: merge.overlay.clone(),
        into: merge.into.clone(),
        format: merge.format.clone(),
    };
    plan.merges.iter().map(note).collect()
}

/// The documents of snapshots after the merges.
fn follow(tree: &mut SnapshotTree, merges: &[MergeNote]) -> Result<(), Error> {
    for other in &mut tree.snapshots {
        other.xml = merged(&other.xml, merges)?;
        other.stored_xml = other.stored_xml.as_deref().map(|xml| merged(xml, merges)).transpose()?;
    }
    Ok(())
}

fn within(snapshot: &Snapshot) -> Option<InternalChange> {
    (snapshot.kind == SnapshotKind::Internal).then(|| InternalChange {
        step: InternalWord::Remove,
        tag: snapshot.name.clone(),
        images: snapshot.disks.iter().map(|disk| disk.image.clone()).collect(),
        targets: targets(snapshot).collect(),
    })
}

/// What a snapshot has in the domain's directory: its variable store, and its memory.
fn own_files(snapshot: &Snapshot) -> Vec<String> {
    let memory = snapshot.memory.iter().filter_map(|memory| memory.file_name()?.to_str());
    let store = snapshot.store.iter().map(|store| store.file.as_str());
    store.chain(memory).map(str::to_owned).collect()
}

fn not_while_it_runs(definition: &Definition, (name, image): (&str, &Path)) -> Error {
    let message = format!(
        "the snapshot '{name}' is kept within '{}', which '{}' only reads while it runs",
        image.display(),
        definition.name
    );
    Error::new(Kind::Unsupported, "snapshot.running", message)
        .about("domain", &definition.name)
        .hint("delete the external snapshots that were taken since first")
        .hint_command("or switch it off", command("shutdown", &definition.name))
}
