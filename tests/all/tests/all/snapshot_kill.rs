//! Snapshots whose command is killed or runs out of room: what was there is there, or all of it is done.

use crate::kill::{killed_at, list_fits, points};
use crate::snapshot_scene::Scene;

/// System calls at which a command is killed: those by which anything becomes durable or goes.
const KILL_AT: &[(&str, &[u32])] = &[
    ("renameat,renameat2,rename", &[1, 2, 3, 4, 5, 6, 7, 8]),
    ("fsync,fdatasync", &[1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16]),
    ("unlink,unlinkat", &[1, 2, 3, 4]),
];

/// Runs the command, killed at each of the calls, each time on a scene of its own.
fn killed(make: impl Fn() -> Scene, arguments: &[&str], check: impl Fn(&Scene, &str)) {
    let mut interrupted = 0;
    let points = points(KILL_AT);
    for (calls, count) in points.iter().copied() {
        let scene = make();
        interrupted += u32::from(!killed_at(&scene.bench, arguments, calls, count));
        // The next owner settles what was left.
        scene.bench.run(&["destroy", "nobody"]);
        check(&scene, &format!("{calls} {count}"));
        let parts = scene.files(".hostler-");
        assert!(parts.is_empty(), "{calls} {count}: {parts:?}");
        scene.starts();
    }
    list_fits(interrupted, points.len());
}

fn with_one() -> Scene {
    let scene = Scene::qcow2_alone();
    scene.write("vda", 1);
    scene.ok(&["snapshot", "create", "m", "s1", "--external"]);
    scene.write("vda", 2);
    scene
}

fn written() -> Scene {
    let scene = Scene::qcow2_alone();
    scene.write("vda", 1);
    scene
}

#[test]
fn external_snapshot_killed_at_any_step_is_whole_or_not_there() {
    killed(written, &["snapshot", "create", "m", "s1", "--external"], |scene, at| {
        let there = scene.snapshots().0.len() == 1;
        let overlay = scene.path("a.s1").exists();
        let image = scene.image_of("vda").0;
        assert_eq!((there, image.ends_with("a.s1")), (overlay, overlay), "{at}");
        assert_eq!(scene.read("vda"), 1, "{at}");
    });
}

#[test]
fn internal_snapshot_killed_at_any_step_is_whole_or_not_there() {
    killed(written, &["snapshot", "create", "m", "one", "--internal"], |scene, at| {
        let there = scene.snapshots().0.len() == 1;
        let inspected =
            scene.json(&["image", "inspect", scene.path("a.qcow2").to_str().unwrap(), "--format", "qcow2"]);
        assert_eq!(inspected["internal_snapshots"].as_u64(), Some(u64::from(there)), "{at}: {inspected}");
    });
}

#[test]
fn revert_killed_at_any_step_leaves_the_old_disk_or_the_reverted_one() {
    killed(with_one, &["snapshot", "revert", "m", "s1"], |scene, at| {
        let byte = scene.read("vda");
        let reverted = scene.image_of("vda").0.ends_with("a.s1-1");
        assert_eq!(byte, if reverted { 1 } else { 2 }, "{at}");
        assert_eq!(scene.path("a.s1-1").exists(), reverted, "{at}");
        assert!(scene.path("a.s1").exists(), "{at}: what was written since is kept");
    });
}

#[test]
fn deletion_killed_at_any_step_loses_nothing_and_can_be_finished() {
    killed(with_one, &["snapshot", "delete", "m", "s1"], |scene, at| {
        assert_eq!(scene.read("vda"), 2, "{at}");
        let there = scene.snapshots().0.len() == 1;
        assert_eq!(scene.path("a.s1").exists(), there, "{at}");
        if there {
            scene.ok(&["snapshot", "delete", "m", "s1"]);
            assert_eq!((scene.read("vda"), scene.files("a.")), (2, vec!["a.qcow2".to_owned()]), "{at}");
        }
    });
}

#[test]
fn snapshot_without_room_leaves_everything_as_it_was() {
    let scene = written();
    let small = scene.path("small");
    std::fs::create_dir(&small).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=8k", "tmpfs"])
        .arg(&small)
        .status()
        .unwrap();
    assert!(mounted.success(), "this test mounts a small file system, as root");
    let xml = format!(
        "<domainsnapshot><name>x</name><disks><disk name='vda' snapshot='external'><source file='{}/o'/></disk></disks>\
         </domainsnapshot>",
        small.display()
    );
    let file = scene.bench.write("snapshot.xml", &xml).display().to_string();
    let answer = scene.bench.run(&[
        "--image-root",
        scene.path(".").to_str().unwrap(),
        "snapshot",
        "create",
        "m",
        "--xml",
        &file,
    ]);
    let left: Vec<_> = std::fs::read_dir(&small).unwrap().flatten().map(|entry| entry.file_name()).collect();
    std::process::Command::new("umount").arg(&small).status().unwrap();
    assert!(answer.status != 0 && left.is_empty(), "{left:?} {}", answer.stderr);
    assert_eq!((scene.snapshots().0.len(), scene.read("vda")), (0, 1), "{}", answer.stderr);
    scene.starts();
}
