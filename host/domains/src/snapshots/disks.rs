//! The disks that take part in a snapshot.

use std::path::{Path, PathBuf};

use hostler_domain::Domain;
use hostler_domain::disk::{Disk, DiskDevice, DiskSnapshot};
use hostler_domain::storage_source::Location;
use hostler_runtime::{Roots, inspect_disk};
use hostler_state::SnapshotKind;
use hostler_storage::Translations;

use super::request::{DiskChoice, Requested};
use crate::encrypted::is_encrypted;
use crate::error::{Error, Kind};

/// Names that are tried for an overlay.
const NAMES_TRIED: u32 = 10_000;

/// A disk that takes part.
#[derive(Clone, Debug)]
pub(crate) struct ChosenDisk {
    pub(crate) target: String,
    /// The image that it has now, and what below it is known.
    pub(crate) image: PathBuf,
    pub(crate) format: String,
    /// What the guest sees, in bytes.
    pub(crate) size: u64,
    /// The overlay that is wanted, if a name is given.
    pub(crate) overlay: Option<PathBuf>,
}

/// The disks that take part, and how their data is kept: as was asked for, else within the images where all of them can
/// do that.
///
/// # Errors
/// [`Kind::Invalid`] for a disk that there is not, or a snapshot without any; [`Kind::Unsupported`] for one that cannot be
/// kept in the way that was asked for; what the rules for images refuse.
pub(crate) fn chosen_disks(
    domain: &Domain,
    wanted: &Requested,
    (roots, volumes): (&Roots, &Translations),
) -> Result<(SnapshotKind, Vec<ChosenDisk>), Error> {
    require_known(domain, wanted)?;
    let mut chosen = Vec::new();
    for disk in &domain.devices.disks {
        let choice = wanted.disks.get(disk.target.as_str());
        if takes_part(disk, choice) {
            chosen.push(looked_at(disk, choice, roots, volumes)?);
        }
    }
    if chosen.is_empty() && wanted.kind == Some(SnapshotKind::External) && !wanted.memory {
        let message = format!("'{}' has no disk that takes part in the snapshot", domain.name.as_str());
        return Err(Error::new(Kind::Invalid, "snapshot.no-disk", message));
    }
    let unable = chosen.iter().find(|disk| disk.format != "qcow2");
    let kind = match (wanted.kind, unable) {
        (Some(SnapshotKind::Internal), Some(disk)) => return Err(not_within(disk)),
        (Some(kind), _) => kind,
        (None, None) => SnapshotKind::Internal,
        (None, Some(_)) => SnapshotKind::External,
    };
    Ok((kind, chosen))
}

fn require_known(domain: &Domain, wanted: &Requested) -> Result<(), Error> {
    let targets = || domain.devices.disks.iter().map(|disk| disk.target.as_str());
    let Some(unknown) = wanted.disks.keys().find(|named| !targets().any(|target| target == named.as_str()))
    else {
        return Ok(());
    };
    let message = format!("'{}' has no disk '{unknown}'", domain.name.as_str());
    let error = Error::new(Kind::Invalid, "snapshot.disk", message).about("disk", unknown);
    Err(match hostler_domain::nearest(unknown, targets()) {
        Some(near) => error.hint(format!("did you mean '{near}'?")),
        None => error,
    })
}

/// Drives without a medium, and what a guest cannot write, have nothing to keep.
fn takes_part(disk: &Disk, choice: Option<&DiskChoice>) -> bool {
    let writable = !disk.readonly && matches!(disk.device, DiskDevice::Disk | DiskDevice::Lun);
    if disk.source.location == Location::Empty || !writable {
        return false;
    }
    match choice.and_then(|choice| choice.kind) {
        Some(kind) => kind.is_some(),
        None => disk.snapshot != Some(DiskSnapshot::No),
    }
}

fn looked_at(
    disk: &Disk,
    choice: Option<&DiskChoice>,
    roots: &Roots,
    volumes: &Translations,
) -> Result<ChosenDisk, Error> {
    let target = disk.target.as_str();
    let refused = |code: &str, why: &str| {
        let message = format!("the disk '{target}' {why}, and is not part of snapshots");
        Error::new(Kind::Unsupported, code, message)
            .about("disk", target)
            .hint("leave it out: <disk name='…' snapshot='no'/> in --xml, or snapshot='no' in the domain's document")
    };
    if disk.snapshot == Some(DiskSnapshot::Manual) {
        return Err(refused("snapshot.disk-manual", "is kept by other means (snapshot='manual')"));
    }
    if disk.shareable {
        return Err(refused("snapshot.disk-shared", "is written to by other domains too"));
    }
    if disk.transient.is_some() {
        return Err(refused("snapshot.disk-transient", "keeps nothing of what is written to it"));
    }
    if is_encrypted(disk) {
        return Err(refused("snapshot.disk-encrypted", "is encrypted, while an overlay would not be,"));
    }
    let layers = inspect_disk(disk, roots, volumes)?;
    let Some(top) = layers.into_iter().next() else {
        return Err(refused("snapshot.disk-empty", "has no image"));
    };
    Ok(ChosenDisk {
        target: target.to_owned(),
        image: top.path,
        format: top.format,
        size: top.virtual_size_bytes,
        overlay: choice.and_then(|choice| choice.overlay.clone()),
    })
}

fn not_within(disk: &ChosenDisk) -> Error {
    let ChosenDisk { target, format, .. } = disk;
    let message =
        format!("the disk '{target}' is of format '{format}', which keeps no snapshot within itself");
    Error::new(Kind::Unsupported, "snapshot.format", message)
        .about("disk", target)
        .hint("take an external snapshot: --external")
        .hint("or convert the image to qcow2 with 'hostler image convert'")
}

/// A free name for an overlay: beside the image, called like it and the snapshot.
///
/// # Errors
/// [`Kind::Unsupported`] beside a device; [`Kind::Exists`] when no name is free.
pub(crate) fn next_free(image: &Path, snapshot: &str, taken: &[PathBuf]) -> Result<PathBuf, Error> {
    if image.starts_with("/dev") {
        let message = format!("the overlay over the device '{}' has no place of its own", image.display());
        return Err(Error::new(Kind::Unsupported, "snapshot.overlay-place", message)
            .hint("say where in --xml: <disk name='…'><source file='…'/></disk>"));
    }
    let stem = image.file_stem().unwrap_or_default().to_string_lossy();
    let numbered = |number: u32| match number {
        0 => image.with_file_name(format!("{stem}.{snapshot}")),
        _ => image.with_file_name(format!("{stem}.{snapshot}-{number}")),
    };
    let is_free = |path: &PathBuf| std::fs::symlink_metadata(path).is_err() && !taken.contains(path);
    (0..NAMES_TRIED).map(numbered).find(is_free).ok_or_else(|| {
        let message = format!("no name for an overlay over '{}' is free", image.display());
        Error::new(Kind::Exists, "snapshot.overlay-exists", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn wanted(kind: Option<SnapshotKind>, left_out: Option<&str>) -> Requested {
        let choice = DiskChoice { kind: Some(None), overlay: None };
        let disks: BTreeMap<_, _> = left_out.map(|target| (target.to_owned(), choice)).into_iter().collect();
        Requested {
            name: "s".into(),
            description: None,
            kind,
            disk_only: false,
            memory: false,
            quiesce: false,
            disks,
        }
    }

    fn choose(home: &Path, wanted: &Requested) -> Result<(SnapshotKind, Vec<ChosenDisk>), Error> {
        let at = |name: &str| home.join(name).display().to_string();
        let xml = format!(
            "<domain type='qemu'><name>n</name><memory>1024</memory><os><type>hvm</type></os><devices>\
             <disk type='file'><driver type='raw'/><source file='{}'/><target dev='vda'/></disk>\
             <disk type='file'><source file='{}'/><readonly/><target dev='vdb'/></disk>\
             <disk type='file' device='cdrom'><target dev='sda'/></disk></devices></domain>",
            at("a"),
            at("b")
        );
        let domain = Domain::parse(&xml).unwrap();
        chosen_disks(&domain, wanted, (&Roots::of_operator(Vec::new()), &Translations::default()))
    }

    #[test]
    fn what_a_guest_can_write_takes_part_and_the_rest_does_not() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("a"), [7; 1024]).unwrap();
        let (kind, disks) = choose(home.path(), &wanted(None, None)).unwrap();
        assert_eq!((kind, disks.len(), disks[0].size), (SnapshotKind::External, 1, 1024));
        let error =
            |kind, left_out| choose(home.path(), &wanted(kind, left_out)).unwrap_err().code().to_owned();
        assert_eq!(error(Some(SnapshotKind::Internal), None), "snapshot.format");
        assert_eq!(error(Some(SnapshotKind::External), Some("vda")), "snapshot.no-disk");
        assert_eq!(error(None, Some("vdz")), "snapshot.disk");
    }

    #[test]
    fn overlays_get_names_that_nothing_has() {
        let home = tempfile::tempdir().unwrap();
        let image = home.path().join("disk.qcow2");
        assert_eq!(next_free(&image, "s1", &[]).unwrap(), home.path().join("disk.s1"));
        std::fs::write(home.path().join("disk.s1"), "").unwrap();
        let taken = [home.path().join("disk.s1-1")];
        assert_eq!(next_free(&image, "s1", &taken).unwrap(), home.path().join("disk.s1-2"));
        assert_eq!(next_free(Path::new("/dev/vg/a"), "s", &[]).unwrap_err().code(), "snapshot.overlay-place");
    }
}
