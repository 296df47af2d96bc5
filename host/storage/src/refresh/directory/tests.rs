//! Directories with everything that can lie in one.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use hostler_domain::volume::VolumeType;
use hostler_image::Format;

use super::*;

fn listing(path: &Path) -> Listing {
    refresh(&PoolRoot::open_at(path).unwrap()).unwrap()
}

fn qemu_img(directory: &Path, arguments: &[&str]) {
    let output = Command::new("qemu-img").args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn everything_that_can_be_a_volume_is_listed_and_measured() {
    let pool = tempfile::tempdir().unwrap();
    let path = pool.path();
    qemu_img(path, &["create", "-q", "-f", "raw", "base.raw", "8M"]);
    qemu_img(path, &["create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", "top.qcow2", "16M"]);
    std::fs::create_dir(path.join("tree")).unwrap();
    std::fs::create_dir(path.join("container")).unwrap();
    std::fs::write(path.join("container/root.hds"), "").unwrap();
    std::fs::write(path.join("container/DiskDescriptor.xml"), "").unwrap();
    std::fs::write(path.join("-option"), [1; 700]).unwrap();
    let found = listing(path);
    let names: Vec<_> = found.volumes.iter().map(|volume| (volume.name.as_str(), volume.kind)).collect();
    let expected = [
        ("-option", VolumeType::File),
        ("base.raw", VolumeType::File),
        ("container", VolumeType::Ploop),
        ("top.qcow2", VolumeType::File),
        ("tree", VolumeType::Dir),
    ];
    assert_eq!(names, expected);
    let top = &found.volumes[3];
    assert_eq!((top.found_format, top.capacity, top.compat), (Some(Format::Qcow2), 16 << 20, Some("1.1")));
    assert_eq!((top.cluster_size, top.problem.as_deref()), (Some(65536), None));
    assert_eq!(top.backing.as_ref().map(|backing| backing.name.as_str()), Some("base.raw"));
    assert_eq!(top.physical, std::fs::metadata(path.join("top.qcow2")).unwrap().len());
    let raw = &found.volumes[1];
    assert_eq!((raw.capacity, raw.physical, raw.found_format), (8 << 20, 8 << 20, Some(Format::Raw)));
    assert_eq!((found.volumes[4].capacity, found.volumes[4].found_format), (0, None));
    assert_eq!(found.volumes[0].capacity, 700);
    assert!(found.space.capacity >= found.space.allocation && found.space.available > 0);
}

#[test]
fn what_is_no_volume_is_told_and_never_opened() {
    let pool = tempfile::tempdir().unwrap();
    let path = pool.path();
    symlink("/etc/passwd", path.join("link")).unwrap();
    symlink("nowhere", path.join("dangling")).unwrap();
    std::fs::write(path.join("line\nend"), "").unwrap();
    std::fs::write(path.join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"a\xffb")), "")
        .unwrap();
    let status = Command::new("mkfifo").arg(path.join("pipe")).status().unwrap();
    assert!(status.success());
    let socket = std::os::unix::net::UnixListener::bind(path.join("socket")).unwrap();
    let found = listing(path);
    drop(socket);
    assert!(found.volumes.is_empty(), "{:?}", found.volumes);
    let mut names: Vec<_> = found.skipped.iter().map(|skipped| skipped.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["a\u{fffd}b", "dangling", "line\\nend", "link", "pipe", "socket"]);
}

#[test]
fn one_bad_volume_fails_nothing() {
    let pool = tempfile::tempdir().unwrap();
    std::fs::write(pool.path().join("torn.qcow2"), b"QFI\xfb\0\0\0\x03short").unwrap();
    std::fs::write(pool.path().join("fine"), [0; 512]).unwrap();
    let found = listing(pool.path());
    assert_eq!(found.volumes.len(), 2);
    let torn = &found.volumes[1];
    assert!(torn.problem.is_some(), "{torn:?}");
    assert_eq!((torn.found_format, torn.capacity), (Some(Format::Qcow2), 13));
}

#[test]
fn a_size_that_no_disk_has_is_shown_as_it_is_claimed() {
    let pool = tempfile::tempdir().unwrap();
    qemu_img(pool.path(), &["create", "-q", "-f", "qcow2", "a", "1M"]);
    let mut image = std::fs::read(pool.path().join("a")).unwrap();
    image[24..32].copy_from_slice(&u64::MAX.to_be_bytes());
    std::fs::write(pool.path().join("a"), image).unwrap();
    let facts = &listing(pool.path()).volumes[0];
    assert!(facts.problem.is_some() || facts.capacity == u64::MAX, "{facts:?}");
}

#[test]
fn many_entries_are_all_seen() {
    let pool = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    for n in 0..5000 {
        std::fs::write(pool.path().join(format!("a-volume-with-a-longer-name-{n:05}")), "").unwrap();
    }
    let found = listing(pool.path());
    assert_eq!(
        (found.volumes.len(), found.volumes[4999].name.as_str()),
        (5000, "a-volume-with-a-longer-name-04999")
    );
}
