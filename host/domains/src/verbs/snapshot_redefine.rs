//! What is known of a snapshot, written anew: its description, its place in the tree, or all of it where that was forgotten.

use std::path::{Path, PathBuf};

use hostler_domain::Domain;
use hostler_image::shell_quote;
use hostler_runtime::inspect_disk;
use hostler_state::{Definition, Snapshot, SnapshotDisk, SnapshotKind, SnapshotTree, unix_ms};
use hostler_storage::internal_snapshots;

use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::images::Place;
use crate::reference::DomainRef;
use crate::snapshot_summary::{SnapshotDetails, details};
use crate::snapshots::{Recorded, memory_operation, recorded};

impl Host {
    /// Takes a `<domainsnapshot>` for what is known of a snapshot, and touches no image. Of one that is known, what is said
    /// about it can change, and what it was taken from; what it keeps cannot. One that is not known has to be there: its
    /// images and, within them, its data. With `current` the domain goes on from it.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a document of another domain, or one that leaves something out; [`Kind::NotFound`] for a parent,
    /// image or data that is not there; [`Kind::Conflict`] for a change of what is kept, or while a change of the domain's
    /// snapshots is unfinished.
    pub async fn snapshot_redefine(
        &self,
        wanted: &DomainRef,
        xml: &str,
        current: bool,
    ) -> Result<SnapshotDetails, Error> {
        let owner = self.owner()?;
        let definition = self.find(wanted)?;
        let told = recorded(xml)?;
        let domain = told.domain()?;
        require_of(&definition, &domain)?;
        self.require_no_unfinished_change(&definition)?;
        let mut tree = self.state().snapshots(definition.uuid)?;
        require_parent(&tree, &told)?;
        let at = tree.snapshots.iter().position(|known| known.name == told.name);
        let snapshot = match at.map(|at| tree.snapshots.remove(at)) {
            Some(known) => changed(known, &told, &definition.name)?,
            None => self.found_again(&definition, &tree, (&told, &domain))?,
        };
        // The oldest is first, wherever one is put in; documents have whole seconds.
        let later = |known: &Snapshot| known.created_unix_ms / 1000 > snapshot.created_unix_ms / 1000;
        let at = at.unwrap_or_else(|| tree.snapshots.iter().position(later).unwrap_or(tree.snapshots.len()));
        tree.snapshots.insert(at, snapshot.clone());
        if current {
            tree.current = Some(snapshot.name.clone());
        }
        owner.put_snapshots(definition.uuid, &tree)?;
        self.tell(&definition, "snapshot-redefined");
        Ok(details(&definition.name, &tree, &snapshot))
    }

    /// One that was forgotten, if what it keeps is there still. Nothing of it is this host's to remove.
    fn found_again(
        &self,
        definition: &Definition,
        tree: &SnapshotTree,
        (told, domain): (&Recorded, &Domain),
    ) -> Result<Snapshot, Error> {
        let (roots, volumes) = (self.roots(), self.translations(&told.xml)?);
        let mut disks = Vec::new();
        for (target, overlay) in &told.disks {
            let disk = domain.devices.disks.iter().find(|disk| disk.target.as_str() == target);
            let disk = disk.ok_or_else(|| {
                let message = format!("the domain in the document has no disk '{target}'");
                Error::new(Kind::Invalid, "snapshot.disk", message).about("disk", target)
            })?;
            let top = inspect_disk(disk, &roots, &volumes)?.into_iter().next().ok_or_else(|| {
                let message = format!("the disk '{target}' had no image, and is no part of a snapshot");
                Error::new(Kind::Invalid, "snapshot.disk", message).about("disk", target)
            })?;
            if told.kind == SnapshotKind::Internal {
                self.require_within(&told.name, &top.path)?;
            }
            let overlay = overlay.clone();
            disks.push(SnapshotDisk { target: target.clone(), image: top.path, format: top.format, overlay });
        }
        let operation = match &told.memory {
            Some(file) => self.kept_memory(definition, file)?,
            None => unused(tree),
        };
        Ok(Snapshot {
            name: told.name.clone(),
            operation,
            parent: told.parent.clone(),
            description: told.description.clone(),
            created_unix_ms: told.created_unix_ms.unwrap_or_else(unix_ms),
            kind: told.kind,
            state: told.state,
            xml: told.xml.clone(),
            stored_xml: told.stored_xml.clone(),
            disks,
            memory: told.memory.clone(),
            store: None,
            being_deleted: false,
        })
    }

    /// Refuses an image that has no such snapshot within it.
    fn require_within(&self, name: &str, image: &Path) -> Result<(), Error> {
        let place = Place::of(image, &self.area())?;
        if internal_snapshots(&place.root, &place.name)?.iter().any(|there| there == name) {
            return Ok(());
        }
        let message = format!("the image '{}' has no snapshot '{name}' within it", image.display());
        Err(Error::new(Kind::NotFound, "image.no-snapshot", message)
            .about("image", image.display().to_string())
            .hint_command(
                "see which it has",
                format!("qemu-img snapshot -l {}", shell_quote(&image.to_string_lossy())),
            ))
    }

    /// The operation that has written this file, if it is one with the memory of this domain's guest: no other is read.
    fn kept_memory(&self, definition: &Definition, file: &Path) -> Result<u64, Error> {
        let own = self.state().domain_dir(definition.uuid);
        let operation = file.file_name().and_then(|name| memory_operation(name.to_str()?));
        match operation.filter(|_| file.parent() == Some(own.as_path())) {
            Some(operation) if file.is_file() => Ok(operation),
            _ => {
                let message = format!(
                    "'{}' is no file in which this host has kept the memory of '{}'",
                    file.display(),
                    definition.name
                );
                Err(Error::new(Kind::NotFound, "snapshot.memory-gone", message)
                    .about("file", file.display().to_string()))
            }
        }
    }
}

/// Refuses a document of another domain.
fn require_of(definition: &Definition, domain: &Domain) -> Result<(), Error> {
    let uuid = domain.uuid.as_ref().map(ToString::to_string);
    if uuid.as_deref() == Some(definition.uuid.to_string().as_str()) {
        return Ok(());
    }
    let message = match uuid {
        Some(other) => {
            format!("the document is of a domain {other}, and '{}' is {}", definition.name, definition.uuid)
        }
        None => "the domain in the document has no <uuid>, so that nobody knows which it is".to_owned(),
    };
    Err(Error::new(Kind::Invalid, "snapshot.other-domain", message).about("domain", &definition.name))
}

/// Refuses a parent that is not there, or is taken from the snapshot itself.
fn require_parent(tree: &SnapshotTree, told: &Recorded) -> Result<(), Error> {
    let mut at = told.parent.as_deref();
    while let Some(name) = at {
        if name == told.name {
            let message = format!("the snapshot '{name}' would be taken from itself");
            return Err(Error::new(Kind::Invalid, "snapshot.parent", message).about("snapshot", name));
        }
        let Some(parent) = tree.get(name) else {
            let message = format!("there is no snapshot '{name}' that '{}' could be taken from", told.name);
            return Err(Error::new(Kind::NotFound, "snapshot.parent", message)
                .about("snapshot", name)
                .hint("define its parent first, or leave <parent> out"));
        };
        at = parent.parent.as_deref();
    }
    Ok(())
}

/// A snapshot that is known, with what can be said anew about it.
fn changed(known: Snapshot, told: &Recorded, domain: &str) -> Result<Snapshot, Error> {
    let disks = |disks: &[SnapshotDisk]| -> Vec<(String, Option<PathBuf>)> {
        disks.iter().map(|disk| (disk.target.clone(), disk.overlay.clone())).collect()
    };
    let other = [
        ("state", known.state != told.state),
        ("memory", known.memory != told.memory),
        ("disks", disks(&known.disks) != told.disks),
        ("domain", known.xml.trim() != told.xml.trim()),
    ];
    if let Some((part, _)) = other.into_iter().find(|(_, is_other)| *is_other) {
        let message =
            format!("<{part}> is not what the snapshot '{}' keeps, and words do not change that", known.name);
        return Err(Error::new(Kind::Conflict, "snapshot.redefined", message)
            .about("snapshot", &known.name)
            .hint("its description and its parent can be changed")
            .hint_command(
                "see what it keeps",
                format!("{} {}", command("snapshot xml", domain), shell_quote(&known.name)),
            ));
    }
    Ok(Snapshot {
        description: told.description.clone(),
        parent: told.parent.clone(),
        created_unix_ms: told.created_unix_ms.map_or(known.created_unix_ms, |told| {
            if told / 1000 == known.created_unix_ms / 1000 { known.created_unix_ms } else { told }
        }),
        ..known
    })
}

/// A number that no snapshot of the domain was made by.
fn unused(tree: &SnapshotTree) -> u64 {
    let last = tree.snapshots.iter().map(|snapshot| snapshot.operation).max().unwrap_or(0);
    unix_ms().max(last.saturating_add(1))
}
