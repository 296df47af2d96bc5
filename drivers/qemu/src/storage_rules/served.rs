//! Disks that another process serves by vhost-user: the guest talks to it, and QEMU has no say in between.

use hostler_sdk::domain::disk::{
    CacheMode, DetectZeroes, Discard, Disk, DiskBus, DiskSnapshot, ErrorPolicy, IoMode, ReadErrorPolicy,
};
use hostler_sdk::domain::storage_source::{Backing, Location};

use super::{Broken, Subject, broken};

pub(super) fn rule(subject: &Subject<'_>) -> Option<Broken> {
    if !matches!(subject.source.location, Location::VhostUser { .. }) {
        return None;
    }
    if !subject.is_active() {
        return broken(
            "vhost-user",
            "is served by another process, which no image can lie on",
            "name a file there",
        );
    }
    if subject.disk.bus != DiskBus::Virtio {
        return broken(
            "vhost-user",
            "is served by another process on a bus other than 'virtio'",
            "write bus='virtio'",
        );
    }
    let (_, said) = members(subject.disk).into_iter().find(|(is_said, _)| *is_said)?;
    broken(
        "vhost-user",
        format!("is served by another process and has {said}, which would have no effect"),
        "remove it, and tell the process that serves the disk",
    )
}

/// What QEMU would have to do itself, and whether the document asks for it.
fn members(disk: &Disk) -> [(bool, &'static str); 25] {
    let (driver, source) = (&disk.driver, &disk.source);
    let snapshot = disk.snapshot.is_some_and(|snapshot| snapshot != DiskSnapshot::No);
    [
        (snapshot, "a snapshot mode"),
        (driver.cache.is_some_and(|cache| cache != CacheMode::Default), "cache"),
        (driver.error_policy.is_some_and(|policy| policy != ErrorPolicy::Default), "error_policy"),
        (driver.rerror_policy.is_some_and(|policy| policy != ReadErrorPolicy::Default), "rerror_policy"),
        (driver.io.is_some_and(|io| io != IoMode::Default), "io"),
        (driver.ioeventfd.is_some(), "ioeventfd"),
        (driver.copy_on_read.is_some(), "copy_on_read"),
        (driver.discard.is_some_and(|discard| discard != Discard::Default), "discard"),
        (driver.iothread.is_some(), "iothread"),
        (driver.detect_zeroes.is_some_and(|zeroes| zeroes != DetectZeroes::Default), "detect_zeroes"),
        (source.metadata_cache.is_some(), "<metadata_cache>"),
        (disk.iotune.is_some(), "<iotune>"),
        (source.backing != Backing::Unknown, "<backingStore>"),
        (source.encryption.is_some(), "<encryption>"),
        (source.auth.is_some(), "<auth>"),
        (disk.readonly, "<readonly>"),
        (disk.shareable, "<shareable>"),
        (disk.transient.is_some(), "<transient>"),
        (disk.serial.is_some(), "<serial>"),
        (disk.wwn.is_some(), "<wwn>"),
        (disk.vendor.is_some(), "<vendor>"),
        (disk.product.is_some(), "<product>"),
        (disk.geometry.is_some(), "<geometry>"),
        (disk.block_io.is_some(), "<blockio>"),
        (source.slice.is_some(), "<slices>"),
    ]
}
