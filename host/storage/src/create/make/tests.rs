//! Volumes made for real, and what is left when they are not.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;

use hostler_domain::permissions::Permissions;

use super::super::BackingRequest;
use super::*;
use crate::probe::probe;

struct Pool {
    directory: tempfile::TempDir,
    root: PoolRoot,
}

fn pool() -> Pool {
    let directory = tempfile::tempdir().unwrap();
    let root = PoolRoot::open_at(directory.path()).unwrap();
    Pool { directory, root }
}

fn programs() -> Programs {
    Programs::found(std::ffi::OsStr::new("/usr/bin:/usr/local/bin"))
}

fn request(name: &str, format: Format, capacity: u64) -> CreateRequest {
    CreateRequest::new(name, format, capacity).unwrap()
}

impl Pool {
    fn make(&self, request: &CreateRequest) -> Result<(), StorageError> {
        let draft = Draft::begin(&self.root, 1)?;
        create_volume(&draft, request, &programs(), &mut |_| {})?;
        draft.publish(request.name.as_str())
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// What qemu-img says of an image, but for its name and what its file takes.
fn described(path: &Path) -> serde_json::Value {
    let output = Command::new("qemu-img").args(["info", "--output=json"]).arg(path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut info: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for changing in ["filename", "actual-size", "children", "full-backing-filename"] {
        info.as_object_mut().unwrap().remove(changing);
    }
    info
}

#[test]
fn empty_qcow2_is_the_one_that_qemu_img_makes() {
    let pool = pool();
    pool.make(&request("base", Format::Raw, 3 << 20)).unwrap();
    let backing = Some(BackingRequest { path: "base".into(), format: Format::Raw });
    let plain = || request("ours", Format::Qcow2, (5 << 20) + 1);
    for (at, asked) in [
        plain(),
        CreateRequest { compat: Some(Compat::V2), ..plain() },
        CreateRequest { lazy_refcounts: true, extended_l2: true, ..plain() },
        CreateRequest { cluster_size: Some(2 << 20), ..plain() },
        CreateRequest { cluster_size: Some(512), backing: backing.clone(), ..plain() },
        CreateRequest { capacity: 0, backing: backing.clone(), ..plain() },
        CreateRequest { compat: Some(Compat::V2), backing: backing.clone(), ..plain() },
        CreateRequest { capacity: 9 << 40, backing, ..plain() },
    ]
    .into_iter()
    .enumerate()
    {
        let [ours, theirs] =
            ["ours", "theirs"].map(|whose| StorageName::parse(&format!("{whose}{at}")).unwrap());
        let names = [ours.as_str(), theirs.as_str()].map(|name| pool.directory.path().join(name));
        pool.make(&CreateRequest { name: ours, ..asked.clone() }).unwrap();
        let recorded = asked.backing.as_ref().map(|_| ("base", Format::Raw));
        let capacity = if asked.capacity == 0 { 3 << 20 } else { asked.capacity };
        let words = arguments::create_arguments(&asked, recorded, capacity, &names[1]);
        assert!(Command::new("qemu-img").args(words).status().unwrap().success());
        assert!(empty_qcow2(&asked, recorded, capacity).is_some(), "{asked:?}");
        assert_eq!(described(&names[0]), described(&names[1]), "{asked:?}");
        let length = |path: &PathBuf| std::fs::metadata(path).unwrap().len();
        assert!(length(&names[0]).abs_diff(length(&names[1])) < 2 << 20, "{asked:?}");
        let check = Command::new("qemu-img").args(["check", "-q"]).arg(&names[0]).status().unwrap();
        assert!(check.success(), "{asked:?}");
        // QEMU writes into it as into its own.
        let write =
            Command::new("qemu-io").args(["-f", "qcow2", "-c", "write -P 7 1M 64k"]).arg(&names[0]).output();
        assert!(write.unwrap().status.success(), "{asked:?}");
        let check = Command::new("qemu-img").args(["check", "-q"]).arg(&names[0]).status().unwrap();
        assert!(check.success(), "{asked:?}");
    }
}

#[test]
fn raw_volume_has_its_size_and_what_is_set_aside() {
    let pool = pool();
    pool.make(&CreateRequest { allocation: Some(1 << 20), ..request("a", Format::Raw, (4 << 20) - 5) })
        .unwrap();
    pool.make(&CreateRequest { nocow: true, ..request("sparse", Format::Raw, 1 << 30) }).unwrap();
    let metadata = |name: &str| std::fs::metadata(pool.directory.path().join(name)).unwrap();
    assert_eq!(metadata("a").len(), 4 << 20, "whole sectors");
    assert!((1 << 20..2 << 20).contains(&(metadata("a").blocks() * 512)), "{}", metadata("a").blocks());
    assert_eq!((metadata("sparse").len(), metadata("sparse").blocks()), (1 << 30, 0));
    assert_eq!(metadata("a").permissions().mode() & 0o7777, 0o600);
}

#[test]
fn every_format_is_made_and_can_be_read_by_its_maker() {
    let pool = pool();
    for format in ["qcow2", "qcow", "qed", "vmdk", "vpc", "vdi", "vhd", "ploop"] {
        let format = Format::from_xml_name(format).unwrap();
        pool.make(&request(format.xml_name(), format, 3 << 20)).unwrap();
        let output = Command::new("qemu-img")
            .args(["info", "--output=json", "-f", format.qemu_name().unwrap()])
            .arg(pool.directory.path().join(format.xml_name()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{format}: {}", String::from_utf8_lossy(&output.stderr));
        let info: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(info["virtual-size"].as_u64().unwrap() >= 3 << 20, "{format}: {info}");
    }
}

#[test]
fn overlay_takes_size_and_records_a_name_that_moves_with_the_pool() {
    let pool = pool();
    pool.make(&request("base:1", Format::Qcow2, 5 << 20)).unwrap();
    let backing = Some(BackingRequest { path: "base:1".into(), format: Format::Qcow2 });
    pool.make(&CreateRequest { backing, compat: Some(Compat::V2), ..request("top", Format::Qcow2, 0) })
        .unwrap();
    let facts = probe(&pool.root, "top").unwrap().unwrap();
    let backing = facts.backing.unwrap();
    assert_eq!((facts.capacity, facts.compat), (5 << 20, Some("0.10")));
    assert_eq!((backing.name.as_str(), backing.format.as_deref()), ("./base:1", Some("qcow2")));
    let chain = source::chain_of(&pool.root, "top", Format::Qcow2).unwrap();
    assert_eq!(chain.layers.len(), 2);
}

#[test]
fn what_is_refused_leaves_nothing() {
    let pool = pool();
    pool.make(&request("taken", Format::Raw, 512)).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", pool.directory.path().join("link")).unwrap();
    let backing = |path: &str, format| Some(BackingRequest { path: path.into(), format });
    let room = u64::MAX >> 2;
    let cases = [
        (request("taken", Format::Qcow2, 512), "volume.exists"),
        (request("link", Format::Raw, 512), "volume.exists"),
        (CreateRequest { allocation: Some(room), ..request("a", Format::Raw, room) }, "storage.full"),
        (
            CreateRequest { preallocation: Preallocation::Falloc, ..request("a", Format::Qcow2, 1 << 60) },
            "storage.full",
        ),
        (
            CreateRequest { backing: backing("gone", Format::Raw), ..request("a", Format::Qcow2, 0) },
            "image.missing",
        ),
        (
            CreateRequest { backing: backing("link", Format::Raw), ..request("a", Format::Qcow2, 0) },
            "image.reference-denied",
        ),
        (
            CreateRequest { backing: backing("taken", Format::Qcow2), ..request("a", Format::Qcow2, 0) },
            "image.malformed",
        ),
        (
            CreateRequest { backing: backing("../x", Format::Raw), ..request("a", Format::Qcow2, 0) },
            "volume.backing-path",
        ),
        (request("a", Format::Qcow2, 1 << 62), "storage.qemu-img"),
    ];
    for (request, code) in cases {
        let error = pool.make(&request).unwrap_err();
        assert_eq!(error.code(), code, "{request:?}: {error}");
        assert_eq!(pool.names(), ["link", "taken"], "{request:?}");
    }
    let draft = Draft::begin(&pool.root, 9).unwrap();
    let none = Programs::default();
    let error = create_volume(&draft, &request("a", Format::Vdi, 512), &none, &mut |_| {}).unwrap_err();
    assert_eq!(error.code(), "storage.program-missing");
}

#[test]
fn what_a_start_would_refuse_is_not_made() {
    let (pool, elsewhere) = (pool(), tempfile::tempdir().unwrap());
    let base = elsewhere.path().join("base");
    std::fs::write(&base, [0; 512]).unwrap();
    let on = |path: &Path| CreateRequest {
        backing: Some(BackingRequest { path: path.to_owned(), format: Format::Raw }),
        ..request("top", Format::Qcow2, 0)
    };
    let climbing = pool.directory.path().join("../base");
    for (path, code) in [(&base, "image.reference-denied"), (&climbing, "image.invalid-request")] {
        assert_eq!(pool.make(&on(path)).unwrap_err().code(), code, "{}", path.display());
    }
    assert!(pool.names().is_empty());
    let root = PoolRoot::open_at(pool.directory.path()).unwrap();
    let pool = Pool { root: root.with_image_roots([&elsewhere.path().to_owned()]), ..pool };
    pool.make(&on(&base)).unwrap();
    assert_eq!(source::chain_of(&pool.root, "top", Format::Qcow2).unwrap().layers.len(), 2);
    std::fs::write(pool.directory.path().join("beside"), [0; 512]).unwrap();
    let unusual = pool.directory.path().join(".//beside");
    pool.make(&CreateRequest { name: StorageName::parse("other").unwrap(), ..on(&unusual) }).unwrap();
}

#[test]
fn permissions_are_those_of_the_request() {
    let pool = pool();
    let permissions = Permissions { mode: Some(0o640), ..Permissions::default() };
    pool.make(&CreateRequest { permissions, ..request("a", Format::Qcow2, 512) }).unwrap();
    let metadata = std::fs::metadata(pool.directory.path().join("a")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o640);
}

#[test]
fn zeros_are_written_where_room_cannot_be_set_aside() {
    let file = tempfile::tempfile().unwrap();
    let mut seen = Vec::new();
    write_zeros(&file, 512, 3 << 20, &mut |done| seen.push(done)).unwrap();
    assert_eq!((file.metadata().unwrap().len(), seen.len()), ((3 << 20) + 512, 3));
    assert!((seen[2] - 1.0).abs() < 1e-9);
}
