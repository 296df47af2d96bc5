//! Abuses that reach for files: of everybody, of root, of other tenants, by name or through an image.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::Abuse;
use super::scene::Scene;

/// Another tenant's user.
const TENANT: u32 = 965_000;

pub(super) const ABUSES: &[Abuse] = &[
    ("read a file that everybody may read", |scene| read(scene, 0, 0o644)),
    ("read a file of root", |scene| read(scene, 0, 0o600)),
    ("read a disk of another tenant", |scene| read(scene, TENANT, 0o600)),
    ("read a disk of its own user", |scene| {
        let user = scene.user();
        read(scene, user, 0o600)
    }),
    ("write to a file that everybody may write", write),
    ("read through the monitor for people", |scene| {
        let (path, node) = (scene.canary(0, 0o644), scene.name());
        let options = format!("file={},format=raw,if=none,id={node},readonly=on", path.display());
        scene.say(&format!("drive_add dummy {options}")) && scene.shows_canary(&node)
    }),
    ("show a directory as a disk", |scene| {
        let (directory, node) = (scene.path("out"), scene.name());
        scene.tell(
            "blockdev-add",
            json!({"driver": "vvfat", "node-name": node, "dir": directory, "read-only": true}),
        )
    }),
    ("create an image", |scene| {
        let (path, job) = (scene.trace(), scene.name());
        let options = json!({"driver": "file", "filename": path, "size": 4096});
        scene.tell("blockdev-create", json!({"job-id": job, "options": options}));
        scene.appears(&path)
    }),
    ("put a snapshot on the host", |scene| {
        let (path, node) = (scene.trace(), scene.name());
        let arguments =
            json!({"node-name": "d0", "snapshot-node-name": node, "snapshot-file": path, "format": "qcow2"});
        scene.tell("blockdev-snapshot-sync", arguments);
        scene.appears(&path)
    }),
    ("dump the guest's memory into a file", |scene| {
        leave(scene, "dump-guest-memory", |path| json!({"paging": false, "protocol": format!("file:{path}")}))
    }),
    ("save the guest's memory into a file", |scene| {
        leave(scene, "pmemsave", |path| json!({"val": 0, "size": 4096, "filename": path}))
    }),
    ("append to a file as a character device", |scene| {
        leave(
            scene,
            "chardev-add",
            |path| json!({"id": path.replace('/', "-"), "backend": {"type": "file", "data": {"out": path}}}),
        )
    }),
    ("take a secret from a file of root", |scene| secret(scene, 0o600)),
    ("take a secret from a file of everybody", |scene| secret(scene, 0o644)),
    ("read random numbers from the user database", |scene| {
        let id = scene.name();
        scene.tell("object-add", json!({"qom-type": "rng-random", "id": id, "filename": "/etc/passwd"}))
    }),
    ("make a file of memory", |scene| {
        leave(scene, "object-add", |path| {
            let id = format!("m{}", path.len());
            json!({"qom-type": "memory-backend-file", "id": id, "mem-path": path, "size": 1 << 20, "share": true})
        })
    }),
    ("send the log to a file", |scene| {
        let path = scene.trace();
        scene.say(&format!("logfile {}", path.display()));
        scene.say("log guest_errors");
        let made = scene.appears(&path);
        scene.say("log none");
        made
    }),
    ("photograph the screen into a file", |scene| {
        leave(scene, "screendump", |path| json!({"filename": path}))
    }),
    ("record the network into a file", |scene| {
        let (hub, id, path) = (scene.name(), scene.name(), scene.trace());
        scene.tell("netdev_add", json!({"type": "hubport", "id": hub, "hubid": 0}));
        let dump = json!({"qom-type": "filter-dump", "id": id, "netdev": hub, "file": path});
        scene.tell("object-add", dump);
        scene.appears(&path)
    }),
    ("follow the backing file that a granted image names", |scene| through_image(scene, "backing")),
    ("follow the data file that a granted image names", |scene| through_image(scene, "data")),
    ("look at another process", |scene| {
        let id = scene.name();
        let path = format!("/proc/{}/cmdline", std::process::id());
        scene.tell("object-add", json!({"qom-type": "secret", "id": id, "file": path}))
    }),
];

fn read(scene: &mut Scene, owner: u32, mode: u32) -> bool {
    let (path, node) = (scene.canary(owner, mode), scene.name());
    let file = json!({"driver": "file", "filename": path});
    let options = json!({"driver": "raw", "node-name": node, "read-only": true, "file": file});
    scene.tell("blockdev-add", options) && scene.shows_canary(&node)
}

fn write(scene: &mut Scene) -> bool {
    let (path, node) = (scene.canary(0, 0o666), scene.name());
    let file = json!({"driver": "file", "filename": path});
    if !scene.tell("blockdev-add", json!({"driver": "raw", "node-name": node, "file": file})) {
        return false;
    }
    scene.say(&format!("qemu-io {node} \"write -P 0x41 0 512\""));
    std::fs::read(&path).unwrap().starts_with(b"AAAA")
}

/// A command that makes a file, if it can.
fn leave(scene: &mut Scene, command: &str, arguments: impl Fn(&str) -> serde_json::Value) -> bool {
    let path = scene.trace();
    scene.tell(command, arguments(path.to_str().unwrap()));
    scene.appears(&path)
}

fn secret(scene: &mut Scene, mode: u32) -> bool {
    let (path, id) = (scene.canary(0, mode), scene.name());
    scene.tell("object-add", json!({"qom-type": "secret", "id": id, "file": path}))
}

fn create(arguments: &[&str], path: &Path, size: &str) {
    let output = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2"])
        .args(arguments)
        .arg(path)
        .arg(size)
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// A granted qcow2 image whose header names a file that was not, opened as the header says.
fn through_image(scene: &mut Scene, member: &str) -> bool {
    let name = scene.name();
    let image = scene.path(&format!("{name}.qcow2"));
    let other = scene.canary(0, 0o644);
    let bytes = std::fs::read(&other).unwrap();
    if member == "backing" {
        create(&["-u", "-b", other.to_str().unwrap(), "-F", "raw"], &image, "64K");
    } else {
        // Every cluster is where it is in the file, so reading the disk is reading the file.
        let options = format!("data_file={},preallocation=metadata", other.display());
        create(&["-o", &options], &image, "64K");
        let mut file = std::fs::OpenOptions::new().write(true).open(&other).unwrap();
        std::io::Write::write_all(&mut file, &bytes).unwrap();
    }
    let (storage, node) = (scene.grant(&image), scene.name());
    let options = json!({"driver": "qcow2", "node-name": node, "read-only": true, "file": storage});
    scene.tell("blockdev-add", options) && scene.shows_canary(&node)
}
