//! `snapshot revert`: makes a domain what a snapshot has kept of it.

use std::path::PathBuf;

use hostler_domain::Domain;
use hostler_runtime::{KeptWithin, inspect_disk};
use hostler_state::{Definition, LeftOverlay, Snapshot, SnapshotKind, SnapshotState, SnapshotTree};
use hostler_storage::internal_snapshots;

use super::snapshot_create::overlays;
use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::images::Place;
use crate::reference::DomainRef;
use crate::reverted::{Kept, RevertedGuest};
use crate::snapshot_summary::Reverted;
use crate::snapshots::{
    Change, ChosenDisk, InternalChange, InternalWord, Scene, beside_images, on_overlay, redefined,
    require_independent,
};
use crate::summary::{RunState, Warning};
use crate::verbs::{StartOptions, restore};
use crate::volumes::require_unlocked;

/// How a domain is taken back.
#[derive(Clone, Copy, Debug, Default)]
pub struct RevertOptions {
    /// Make the variable store pristine, whatever the snapshot has kept of it.
    pub reset_nvram: bool,
    /// Let the guest run afterwards, although none was kept.
    pub running: bool,
    /// Have a guest afterwards that is stopped.
    pub paused: bool,
    /// Also when the definition was changed since, beyond its images: the change is lost.
    pub force: bool,
}

impl Host {
    /// Takes a domain back. A guest that runs is ended, and what it has not kept is lost; one that the snapshot has kept goes on
    /// from there. What was written to disks since an
    /// external snapshot stays in images that the answer names.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Conflict`] when others stand on what would change, or the definition was changed since;
    /// whatever a start fails of, and then the domain is reverted and off.
    pub async fn snapshot_revert(
        &self,
        wanted: &DomainRef,
        name: &str,
        options: RevertOptions,
    ) -> Result<Reverted, Error> {
        self.owner()?;
        let definition = self.find(wanted)?;
        let (tree, snapshot) = self.snapshot(&definition, name)?;
        self.require_revertible(&definition, &snapshot, options)?;
        let runs = self.summarise(&definition).await?.state != RunState::Off;
        if !runs {
            self.require_off(&definition).await?;
        }
        let scene = self.scene(&definition, tree)?;
        let mut change = match snapshot.kind {
            SnapshotKind::External => self.back_above(&definition, &snapshot, &scene)?,
            SnapshotKind::Internal => self.back_within(&definition, &snapshot, &scene, runs)?,
        };
        change.ends_guest = runs;
        change.reverted = reverted(&snapshot, &change, options)?;
        let after = change.definition.as_ref().map_or(&definition.xml, |after| &after.xml).clone();
        change.store =
            self.store_change(&definition, &after, (snapshot.store.as_ref(), options.reset_nvram))?;
        let mut warnings = Vec::new();
        if options.reset_nvram && change.store.is_none() {
            let message =
                format!("'{}' has no variable store, so there is none to make anew", definition.name);
            warnings.push(Warning { message });
        }
        if options.reset_nvram && change.store.is_some() && change.reverted.is_some() {
            let message =
                "the guest that is brought back brings the variables that were kept with its memory";
            warnings.push(Warning { message: message.to_owned() });
        }
        let left_behind = newly_left(&scene.tree, &change.tree);
        let done = self.carry_out(&definition, change).await?;
        self.tell(&definition, "reverted");
        let brings_back = done.reverted.is_some();
        let state = self.start_reverted(wanted, options, brings_back).await?;
        Ok(Reverted {
            domain: definition.name,
            snapshot: snapshot.name,
            state,
            overlays: done.overlays.into_iter().map(|overlay| overlay.path).collect(),
            left_behind,
            warnings,
        })
    }

    fn require_revertible(
        &self,
        definition: &Definition,
        snapshot: &Snapshot,
        options: RevertOptions,
    ) -> Result<(), Error> {
        self.require_no_unfinished_change(definition)?;
        restore::require_no_saved_guest(self, definition)?;
        if snapshot.being_deleted {
            let message =
                format!("the images of '{}' hold later data: a deletion of it did not finish", snapshot.name);
            return Err(Error::new(Kind::Conflict, "snapshot.being-deleted", message)
                .about("snapshot", &snapshot.name)
                .hint_command(
                    "finish that",
                    format!(
                        "{} {}",
                        command("snapshot delete", &definition.name),
                        hostler_image::shell_quote(&snapshot.name)
                    ),
                ));
        }
        if !definition.persistent {
            let message =
                format!("'{}' is forgotten when it ends, and a revert would end it", definition.name);
            return Err(Error::new(Kind::Conflict, "domain.transient", message).hint("define it first"));
        }
        if options.force || beside_images(&definition.xml)? == beside_images(stored(snapshot))? {
            return Ok(());
        }
        let message = format!(
            "the definition of '{}' was changed since '{}', beyond its images",
            definition.name, snapshot.name
        );
        Err(Error::new(Kind::Conflict, "snapshot.definition-changed", message)
            .about("domain", &definition.name)
            .hint("keep a copy of it if you need it: 'hostler xml --stored'")
            .hint("--force takes the definition back as well"))
    }

    /// New overlays on the images of the snapshot.
    fn back_above(
        &self,
        definition: &Definition,
        snapshot: &Snapshot,
        scene: &Scene,
    ) -> Result<Change, Error> {
        let disks = self.kept_disks(snapshot)?;
        let mut overlays = overlays(&snapshot.name, &disks)?;
        let mut xml = stored(snapshot).to_owned();
        // A disk that was plugged in for that run alone is of its guest, and of no definition.
        let lasting = Domain::parse(&xml)?.devices;
        let is_lasting = |target: &str| lasting.disk(target).is_some();
        overlays.retain(|overlay| is_lasting(&overlay.target) || snapshot.memory.is_some());
        for overlay in overlays.iter().filter(|overlay| is_lasting(&overlay.target)) {
            xml = on_overlay(&xml, &overlay.target, &overlay.path)?;
        }
        let mut tree = scene.tree.clone();
        tree.current = Some(snapshot.name.clone());
        tree.made.extend(overlays.iter().map(|overlay| overlay.path.clone()));
        tree.left.extend(left(scene));
        Ok(Change {
            snapshot: snapshot.name.clone(),
            overlays,
            definition: Some(redefined(definition, xml)),
            tree,
            ..Change::default()
        })
    }

    /// The images of a snapshot, as they are.
    fn kept_disks(&self, snapshot: &Snapshot) -> Result<Vec<ChosenDisk>, Error> {
        let (roots, volumes) = (self.roots(), self.translations(&snapshot.xml)?);
        let domain = Domain::parse(&snapshot.xml)?;
        let mut disks = Vec::new();
        for kept in &snapshot.disks {
            let disk = domain.devices.disks.iter().find(|disk| disk.target.as_str() == kept.target);
            let top = disk
                .map(|disk| inspect_disk(disk, &roots, &volumes))
                .transpose()?
                .and_then(|layers| layers.into_iter().next());
            let Some(top) = top else {
                let message = format!("the document of '{}' has no disk '{}'", snapshot.name, kept.target);
                return Err(Error::new(Kind::Host, "snapshot.disk", message));
            };
            disks.push(ChosenDisk {
                target: kept.target.clone(),
                image: kept.image.clone(),
                format: kept.format.clone(),
                size: top.virtual_size_bytes,
                overlay: None,
            });
        }
        Ok(disks)
    }

    /// The images become what they were.
    fn back_within(
        &self,
        definition: &Definition,
        snapshot: &Snapshot,
        scene: &Scene,
        runs: bool,
    ) -> Result<Change, Error> {
        let images: Vec<PathBuf> = snapshot.disks.iter().map(|disk| disk.image.clone()).collect();
        for image in &images {
            if let Some((above, _)) = scene.below.iter().find(|(_, below)| *below == image) {
                let message = format!(
                    "'{}' stands on '{}', which would change under it",
                    above.display(),
                    image.display()
                );
                return Err(Error::new(Kind::Conflict, "snapshot.has-overlays", message)
                    .about("snapshot", &snapshot.name)
                    .hint("delete the external snapshots that were taken since, or revert to one of them"));
            }
            require_independent(self, definition, image, &[image.clone()].into())?;
            if !runs {
                require_unlocked(image, "it would change under who has it open")?;
            }
            let place = Place::of(image, &self.area())?;
            if !internal_snapshots(&place.root, &place.name)?.contains(&snapshot.name) {
                let message =
                    format!("the image '{}' has no snapshot '{}' any more", image.display(), snapshot.name);
                return Err(Error::new(Kind::NotFound, "image.snapshot-not-found", message)
                    .hint("something else has removed it; delete the snapshot"));
            }
        }
        let mut tree = scene.tree.clone();
        tree.current = Some(snapshot.name.clone());
        tree.left.extend(left(scene).filter(|left| !images.contains(&left.image)));
        let xml = stored(snapshot).to_owned();
        Ok(Change {
            snapshot: snapshot.name.clone(),
            internal: Some(InternalChange {
                step: InternalWord::GoBack,
                tag: snapshot.name.clone(),
                images,
                targets: snapshot.disks.iter().map(|disk| disk.target.clone()).collect(),
            }),
            definition: (xml != definition.xml).then(|| redefined(definition, xml)),
            tree,
            ..Change::default()
        })
    }

    async fn start_reverted(
        &self,
        wanted: &DomainRef,
        options: RevertOptions,
        brings_back: bool,
    ) -> Result<&'static str, Error> {
        if !brings_back && !options.running && !options.paused {
            return Ok(RunState::Off.word());
        }
        let definition = self.find(wanted)?;
        let start = StartOptions { paused: options.paused, ..StartOptions::default() };
        let started = match self.start_saved(&definition, start).await {
            Ok(None) => self.start_definition(&definition, start).await,
            Ok(Some(started)) => Ok(started),
            Err(error) => Err(error),
        };
        let started = started.map_err(|error| error.hint("the domain is reverted and off"))?;
        Ok(started.summary.state.word())
    }
}

/// The guest that a snapshot has kept, on the images that the change has for it.
fn reverted(
    snapshot: &Snapshot,
    change: &Change,
    options: RevertOptions,
) -> Result<Option<RevertedGuest>, Error> {
    let ran = match snapshot.state {
        SnapshotState::Off | SnapshotState::DiskOnly => return Ok(None),
        SnapshotState::Running => true,
        SnapshotState::Paused => false,
    };
    let mut xml = snapshot.xml.clone();
    for overlay in &change.overlays {
        xml = on_overlay(&xml, &overlay.target, &overlay.path)?;
    }
    let targets = || snapshot.disks.iter().map(|disk| disk.target.clone());
    let file = snapshot.memory.as_deref().and_then(|memory| memory.file_name()?.to_str());
    let kept = match (file, targets().next()) {
        (Some(file), _) => Kept::File(file.to_owned()),
        (None, Some(memory)) => {
            Kept::Within(KeptWithin { name: snapshot.name.clone(), targets: targets().collect(), memory })
        }
        (None, None) => {
            let message = format!("nothing tells where the memory of '{}' is", snapshot.name);
            return Err(Error::new(Kind::Host, "snapshot.memory-gone", message));
        }
    };
    Ok(Some(RevertedGuest { xml, running: options.running || (ran && !options.paused), kept }))
}

/// The definition of that time.
fn stored(snapshot: &Snapshot) -> &str {
    snapshot.stored_xml.as_deref().unwrap_or(&snapshot.xml)
}

/// Overlays that the domain has now, that were made for snapshots, and that no snapshot has.
fn left(scene: &Scene) -> impl Iterator<Item = LeftOverlay> + '_ {
    let is_kept = |image: &PathBuf| {
        scene.tree.snapshots.iter().any(|snapshot| snapshot.disks.iter().any(|disk| disk.image == *image))
    };
    let own = scene.active.iter().filter(move |image| scene.tree.made.contains(image) && !is_kept(image));
    own.filter_map(|image| {
        let stands_on = scene.below.get(image)?.clone();
        Some(LeftOverlay { image: image.clone(), stands_on })
    })
}

fn newly_left(before: &SnapshotTree, after: &SnapshotTree) -> Vec<PathBuf> {
    after.left.iter().filter(|left| !before.left.contains(left)).map(|left| left.image.clone()).collect()
}
