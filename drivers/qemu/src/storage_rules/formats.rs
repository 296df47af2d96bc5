//! Which format goes with which source, and what only some formats have.

use hostler_sdk::domain::disk::DiskDevice;
use hostler_sdk::domain::storage_source::{Backing, Location};

use super::{Broken, Subject, broken};
use crate::blockdev::{is_readable, names_nothing};

pub(super) fn rule(subject: &Subject<'_>) -> Option<Broken> {
    let format = subject.format();
    source(subject, format).or_else(|| known(subject, format)).or_else(|| abilities(subject, format))
}

fn source(subject: &Subject<'_>, format: &str) -> Option<Broken> {
    let is_directory = matches!(subject.source.location, Location::Dir(_));
    // What a volume is says its pool.
    let is_volume = matches!(subject.source.location, Location::Volume { .. });
    if subject.source.location == Location::Empty {
        let needed = subject.is_active() && subject.disk.device == DiskDevice::Disk;
        return needed
            .then(|| {
                broken("empty", "has no <source>, and only removable media may be absent", "name a source")
            })
            .flatten();
    }
    if is_directory && subject.source.format.as_deref() != Some("fat") {
        return broken(
            "directory",
            format!("shows a directory as format '{format}'"),
            "write type='fat': a directory is shown as a FAT volume",
        );
    }
    if is_directory && subject.is_active() && !subject.disk.readonly {
        return broken(
            "directory",
            "shows a directory that the guest could write to",
            "add <readonly/>: a directory of the host is never written to",
        );
    }
    if format == "fat" && !is_directory && !is_volume {
        return broken(
            "fat",
            "has format 'fat' without a directory",
            "write <source dir='…'/>, or type='raw' for an image of a FAT volume",
        );
    }
    None
}

fn known(subject: &Subject<'_>, format: &str) -> Option<Broken> {
    if subject.source.location == Location::Empty {
        return None;
    }
    match format {
        "iso" => broken("format", "has format 'iso'", "write type='raw': an ISO 9660 image is raw bytes"),
        "cow" | "dir" => broken(
            "format",
            format!("has format '{format}', which QEMU does not read"),
            "convert the image to qcow2, and write type='qcow2'",
        ),
        other if is_readable(other) => None,
        other => broken(
            "format",
            format!("has format '{other}', which QEMU does not read"),
            "convert the image to qcow2 or raw, and name that format",
        ),
    }
}

fn abilities(subject: &Subject<'_>, format: &str) -> Option<Broken> {
    if subject.source.metadata_cache.is_some() && format != "qcow2" {
        return broken(
            "metadata-cache",
            format!("has <metadata_cache> with format '{format}'"),
            "remove it: only qcow2 images have metadata to cache",
        );
    }
    let keeps_clusters = subject.is_active() && subject.disk.driver.discard_no_unref == Some(true);
    if keeps_clusters && format != "qcow2" {
        return broken(
            "discard-no-unref",
            format!("has discard_no_unref with format '{format}'"),
            "remove it: only qcow2 images have clusters to keep",
        );
    }
    if matches!(subject.source.backing, Backing::Layer(_)) && names_nothing(format) {
        return broken(
            "backing",
            format!("has a <backingStore> below format '{format}', which has nothing below"),
            "end the chain with <backingStore/>, or name the right format",
        );
    }
    None
}
