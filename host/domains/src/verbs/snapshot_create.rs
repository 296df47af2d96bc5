//! `snapshot create`: keeps a domain as it is now.

use std::path::{Path, PathBuf};

use hostler_domain::Domain;
use hostler_state::{Definition, Snapshot, SnapshotDisk, SnapshotKind, SnapshotState, SnapshotTree, unix_ms};

use hostler_runtime::inspect_disk;
use hostler_storage::internal_snapshots;

use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::images::Place;
use crate::reference::DomainRef;
use crate::snapshot_summary::{SnapshotTaken, details};
use crate::snapshots::{
    Change, ChosenDisk, InternalChange, InternalWord, LiveChange, NewSnapshot, Overlay, Requested,
    chosen_disks, next_free, on_overlay, redefined, requested,
};
use crate::summary::{RunState, Warning};
use crate::verbs::restore;
use crate::volumes::require_unlocked;

impl Host {
    /// Takes a snapshot. It is whole or not there, whatever happens in between.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for what cannot be one; [`Kind::Exists`] for a name that is taken; [`Kind::Conflict`] for a domain
    /// whose images others use; [`Kind::Unsupported`] for what its images or its driver cannot do.
    pub async fn snapshot_create(
        &self,
        wanted: &DomainRef,
        new: &NewSnapshot,
    ) -> Result<SnapshotTaken, Error> {
        self.owner()?;
        let definition = self.find(wanted)?;
        let asked = requested(new)?;
        let tree = self.state().snapshots(definition.uuid)?;
        if tree.get(&asked.name).is_some() {
            let message = format!("'{}' has a snapshot '{}' already", definition.name, asked.name);
            return Err(Error::new(Kind::Exists, "snapshot.exists", message)
                .about("snapshot", &asked.name)
                .hint("choose another name, or delete that one first"));
        }
        self.require_no_unfinished_change(&definition)?;
        restore::require_no_saved_guest(self, &definition)?;
        let state = self.summarise(&definition).await?.state;
        if matches!(state, RunState::Running | RunState::Paused) {
            return Box::pin(self.take_while_it_runs(&definition, (tree, state), asked)).await;
        }
        self.require_off(&definition).await?;
        if asked.memory || asked.quiesce {
            let what = if asked.memory { "there is no memory to keep" } else { "no agent answers" };
            let message = format!("'{}' is off, so {what}", definition.name);
            return Err(Error::new(Kind::Conflict, "domain.off", message).about("domain", &definition.name));
        }
        self.take_while_off(&definition, tree, &asked).await
    }

    async fn take_while_off(
        &self,
        definition: &Definition,
        tree: SnapshotTree,
        asked: &Requested,
    ) -> Result<SnapshotTaken, Error> {
        let domain = Domain::parse(&definition.xml)?;
        let volumes = self.translations(&definition.xml)?;
        let (kind, disks) = chosen_disks(&domain, asked, (&self.roots(), &volumes))?;
        for disk in &disks {
            self.require_free_for_snapshot(definition, disk)?;
        }
        let mut snapshot = begun(asked, kind, &tree);
        snapshot.xml.clone_from(&definition.xml);
        let mut change =
            Change { snapshot: asked.name.clone(), keeps: Some(definition.xml.clone()), ..Change::default() };
        match kind {
            SnapshotKind::Internal => {
                self.require_new_within(&asked.name, &disks)?;
                within(&mut change, &mut snapshot, (&disks, InternalWord::Take))?;
            }
            SnapshotKind::External => {
                change.overlays = overlays(&asked.name, &disks)?;
                let changed = above(&mut snapshot, &definition.xml, &disks, &change.overlays)?;
                change.definition = Some(redefined(definition, changed));
            }
        }
        change.tree = with(tree, snapshot, &change.overlays);
        let done = self.carry_out(definition, change).await?;
        self.tell(definition, "snapshot-taken");
        self.taken(definition, &done)
    }

    /// A guest that runs or is paused, as it is at one moment: with its memory, unless its disks alone are wanted.
    async fn take_while_it_runs(
        &self,
        definition: &Definition,
        (tree, state): (SnapshotTree, RunState),
        asked: Requested,
    ) -> Result<SnapshotTaken, Error> {
        self.require_live_snapshots(definition)?;
        let (xml, volumes) = (self.current_xml(definition)?, self.current_volumes(definition)?);
        let (kind, disks) = chosen_disks(&Domain::parse(&xml)?, &asked, (&self.roots(), &volumes))?;
        disks.iter().try_for_each(|disk| self.require_no_other_writer(definition, disk))?;
        let mut snapshot = begun(&asked, kind, &tree);
        snapshot.state = match (asked.disk_only, state) {
            (true, _) => SnapshotState::DiskOnly,
            (false, RunState::Paused) => SnapshotState::Paused,
            _ => SnapshotState::Running,
        };
        snapshot.stored_xml = (definition.xml != xml).then(|| definition.xml.clone());
        snapshot.xml.clone_from(&xml);
        let change =
            Change { snapshot: asked.name.clone(), keeps: Some(xml.clone()), tree, ..Change::default() };
        // Without a disk there is no image that could have the memory within it.
        let change = match kind {
            SnapshotKind::Internal if !disks.is_empty() => self.kept_within(change, snapshot, &disks)?,
            _ => {
                snapshot.kind = SnapshotKind::External;
                self.above_live(definition, (change, snapshot), (&disks, state))?
            }
        };
        let carried_out = Box::pin(self.carry_out(definition, change));
        let done = match asked.quiesce {
            true => Box::pin(self.quiesced(definition, carried_out)).await?,
            false => carried_out.await?,
        };
        self.tell(definition, "snapshot-taken");
        self.taken(definition, &done)
    }

    /// Memory and disks within the images.
    fn kept_within(
        &self,
        mut change: Change,
        mut snapshot: Snapshot,
        disks: &[ChosenDisk],
    ) -> Result<Change, Error> {
        self.require_new_within(&snapshot.name, disks)?;
        within(&mut change, &mut snapshot, (disks, InternalWord::Keep))?;
        change.tree = with(change.tree, snapshot, &[]);
        Ok(change)
    }

    /// The disks go on in overlays; the memory, if it is wanted, is in a file of that moment.
    fn above_live(
        &self,
        definition: &Definition,
        (change, mut snapshot): (Change, Snapshot),
        (disks, state): (&[ChosenDisk], RunState),
    ) -> Result<Change, Error> {
        let has_memory = snapshot.state != SnapshotState::DiskOnly;
        if state == RunState::Paused {
            require_live_when_paused(definition, disks, has_memory)?;
        }
        let xml = snapshot.xml.clone();
        let overlays = overlays(&snapshot.name, disks)?;
        let next = above(&mut snapshot, &xml, disks, &overlays)?;
        let stored = self.stored_above(definition, disks, &overlays)?;
        let targets = disks.iter().map(|disk| disk.target.clone()).collect();
        Ok(Change {
            live: Some(LiveChange { next, targets, memory: has_memory.then_some(xml) }),
            definition: (stored != definition.xml).then(|| redefined(definition, stored)),
            tree: with(change.tree, snapshot, &overlays),
            overlays,
            ..change
        })
    }

    fn require_live_snapshots(&self, definition: &Definition) -> Result<(), Error> {
        if !definition.persistent {
            let message =
                format!("'{}' is forgotten when it ends, and its snapshots with it", definition.name);
            return Err(Error::new(Kind::Conflict, "domain.transient", message).hint("define it first"));
        }
        if self.drivers.by_name(&definition.driver)?.has("snapshots") {
            return Ok(());
        }
        let message = format!("the driver '{}' takes no snapshot of a guest that runs", definition.driver);
        Err(Error::new(Kind::Unsupported, "driver.no-snapshots", message).about("domain", &definition.name))
    }

    /// The stored definition with those disks on overlays that it has the same images for.
    fn stored_above(
        &self,
        definition: &Definition,
        disks: &[ChosenDisk],
        overlays: &[Overlay],
    ) -> Result<String, Error> {
        let (roots, volumes) = (self.roots(), self.translations(&definition.xml)?);
        let domain = Domain::parse(&definition.xml)?;
        let mut xml = definition.xml.clone();
        for (disk, overlay) in disks.iter().zip(overlays) {
            let stored = domain.devices.disks.iter().find(|stored| stored.target.as_str() == disk.target);
            let layers = stored.map(|stored| inspect_disk(stored, &roots, &volumes)).transpose()?;
            let same = layers.is_some_and(|layers| layers.first().is_some_and(|top| top.path == disk.image));
            if same {
                xml = on_overlay(&xml, &disk.target, &overlay.path)?;
            }
        }
        Ok(xml)
    }

    /// Refuses a name that an image has already given to a snapshot within it: one that others took.
    fn require_new_within(&self, name: &str, disks: &[ChosenDisk]) -> Result<(), Error> {
        for disk in disks {
            let place = Place::of(&disk.image, &self.area())?;
            if internal_snapshots(&place.root, &place.name)?.iter().any(|there| there == name) {
                let message = format!("the image '{}' has a snapshot '{name}' already", disk.image.display());
                return Err(Error::new(Kind::Exists, "image.snapshot-exists", message)
                    .about("disk", &disk.target)
                    .hint("choose another name"));
            }
        }
        Ok(())
    }

    /// Refuses an image that somebody else writes to, or has open.
    fn require_free_for_snapshot(&self, definition: &Definition, disk: &ChosenDisk) -> Result<(), Error> {
        self.require_no_other_writer(definition, disk)?;
        require_unlocked(&disk.image, "a snapshot is taken of what nobody else writes to")
    }

    fn require_no_other_writer(&self, definition: &Definition, disk: &ChosenDisk) -> Result<(), Error> {
        let uses = self.image_uses(&disk.image)?;
        let Some(other) = uses.iter().find(|one| one.domain != definition.name && one.writes) else {
            return Ok(());
        };
        let message = format!(
            "the image '{}' is the disk {} of the domain '{}' too, which would change it under the snapshot",
            disk.image.display(),
            other.disk,
            other.domain
        );
        Err(Error::new(Kind::Conflict, "snapshot.shared", message).about("domain", &other.domain))
    }

    fn taken(&self, definition: &Definition, change: &Change) -> Result<SnapshotTaken, Error> {
        let (tree, snapshot) = self.snapshot(definition, &change.snapshot)?;
        let has_store = self.has_variable_store(definition)?;
        let mut warnings = Vec::new();
        if has_store && snapshot.store.is_none() {
            let message =
                "its variable store is not part of the snapshot, and stays as it is at a revert".to_owned();
            warnings.push(Warning { message });
        }
        Ok(SnapshotTaken { details: details(&definition.name, &tree, &snapshot), warnings })
    }

    fn has_variable_store(&self, definition: &Definition) -> Result<bool, Error> {
        Ok(self.store_of_start(definition, false)?.note().get("existed").and_then(serde_json::Value::as_bool)
            == Some(true))
    }
}

/// A hypervisor whose guest is stopped gives no descriptor back, and so its locks stay on what it is to close: all images when it
/// writes its guest out, and plain ones when they get an overlay.
fn require_live_when_paused(
    definition: &Definition,
    disks: &[ChosenDisk],
    has_memory: bool,
) -> Result<(), Error> {
    let plain = disks.iter().find(|disk| disk.format != "qcow2");
    let message = match (has_memory, plain) {
        (true, _) => "the memory of a guest that is paused is kept within its images only".to_owned(),
        (false, Some(disk)) => {
            let ChosenDisk { target, format, .. } = disk;
            format!(
                "the disk '{target}' is of format '{format}', which gets no overlay while its guest is paused"
            )
        }
        (false, None) => return Ok(()),
    };
    Err(Error::new(Kind::Conflict, "snapshot.paused", message)
        .about("domain", &definition.name)
        .hint_command("let it go on first", command("resume", &definition.name)))
}

/// The record, before it is known what becomes of the disks.
fn begun(asked: &Requested, kind: SnapshotKind, tree: &SnapshotTree) -> Snapshot {
    Snapshot {
        name: asked.name.clone(),
        operation: 0,
        parent: tree.current.clone(),
        description: asked.description.clone(),
        created_unix_ms: unix_ms(),
        kind,
        state: SnapshotState::Off,
        xml: String::new(),
        stored_xml: None,
        disks: Vec::new(),
        memory: None,
        store: None,
        being_deleted: false,
    }
}

fn kept(disk: &ChosenDisk, overlay: Option<PathBuf>) -> SnapshotDisk {
    SnapshotDisk {
        target: disk.target.clone(),
        image: disk.image.clone(),
        format: disk.format.clone(),
        overlay,
    }
}

/// Everything is kept within the images.
fn within(
    change: &mut Change,
    snapshot: &mut Snapshot,
    (disks, step): (&[ChosenDisk], InternalWord),
) -> Result<(), Error> {
    if snapshot.name.bytes().all(|byte| byte.is_ascii_digit()) {
        let message =
            format!("'{}' looks like the number that images give to snapshots within them", snapshot.name);
        return Err(
            Error::new(Kind::Invalid, "snapshot.name", message).hint("give it a name with a letter in it")
        );
    }
    if let Some(disk) = disks.iter().find(|disk| disk.overlay.is_some()) {
        let message =
            format!("the disk '{}' is kept within its image, so there is no overlay to name", disk.target);
        return Err(Error::new(Kind::Invalid, "snapshot.options", message));
    }
    snapshot.disks = disks.iter().map(|disk| kept(disk, None)).collect();
    change.internal = Some(InternalChange {
        step,
        tag: snapshot.name.clone(),
        images: disks.iter().map(|disk| disk.image.clone()).collect(),
        targets: disks.iter().map(|disk| disk.target.clone()).collect(),
    });
    Ok(())
}

/// The overlays over the images of these disks.
pub(super) fn overlays(name: &str, disks: &[ChosenDisk]) -> Result<Vec<Overlay>, Error> {
    let mut overlays: Vec<Overlay> = Vec::new();
    let mut taken = Vec::new();
    for disk in disks {
        let path = match &disk.overlay {
            Some(path) => absolute(path)?,
            None => named(disk, name, &taken)?,
        };
        taken.push(path.clone());
        overlays.push(Overlay {
            target: disk.target.clone(),
            path,
            base: disk.image.clone(),
            base_format: disk.format.clone(),
            size: disk.size,
            identity: None,
        });
    }
    Ok(overlays)
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    let message = format!("the place of an overlay is a full path, and '{}' is none", path.display());
    Err(Error::new(Kind::Invalid, "snapshot.path", message))
}

/// The name of a new overlay: as libvirt makes it, if nothing has it.
fn named(disk: &ChosenDisk, name: &str, taken: &[PathBuf]) -> Result<PathBuf, Error> {
    next_free(&disk.image, name, taken)
}

/// The document on overlays; the record tells of them.
fn above(
    snapshot: &mut Snapshot,
    xml: &str,
    disks: &[ChosenDisk],
    overlays: &[Overlay],
) -> Result<String, Error> {
    let mut xml = xml.to_owned();
    for (disk, overlay) in disks.iter().zip(overlays) {
        xml = on_overlay(&xml, &disk.target, &overlay.path)?;
        snapshot.disks.push(kept(disk, Some(overlay.path.clone())));
    }
    Ok(xml)
}

fn with(mut tree: SnapshotTree, snapshot: Snapshot, overlays: &[Overlay]) -> SnapshotTree {
    tree.current = Some(snapshot.name.clone());
    tree.snapshots.push(snapshot);
    tree.made.extend(overlays.iter().map(|overlay| overlay.path.clone()));
    tree
}
