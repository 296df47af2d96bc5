//! Snapshots of the disks of guests that run.

use crate::kill::{killed_at, list_fits, points};
use crate::snapshot_scene::Scene;

/// System calls at which a command is killed: those by which anything becomes durable, and those by which it speaks to the
/// hypervisor.
const KILL_AT: &[(&str, &[u32])] = &[
    ("renameat,renameat2,rename", &[1, 2, 3, 4, 5, 6, 7, 8]),
    ("fsync,fdatasync", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    ("sendmsg,sendto", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
];

#[test]
fn guest_that_runs_goes_on_in_overlays_and_its_images_stay_as_they_were() {
    let scene = Scene::qcow2_alone();
    scene.write("vda", 1);
    scene.ok(&["start", "m"]);
    let taken = scene.json(&["snapshot", "create", "m", "s1", "--disk-only"]);
    assert_eq!(
        (taken["kind"].as_str(), taken["state"].as_str()),
        (Some("external"), Some("disk-only")),
        "{taken}"
    );
    assert_eq!(scene.refused(&["block", "commit", "m", "vda", "--active"]).0, "block.base-in-snapshot");
    scene.ok(&["snapshot", "create", "m", "s2", "--disk-only"]);
    assert_eq!(scene.bench.state_of("m").as_deref(), Some("running"));
    let live = scene.ok(&["xml", "m"]);
    assert!(live.contains("a.s2'"), "{live}");
    let shown = scene.ok(&["show", "m"]);
    assert!(shown.contains("a.s2") && shown.contains("a.s1"), "{shown}");
    scene.ok(&["destroy", "m"]);
    assert_eq!(scene.read("vda"), 1);
    scene.write("vda", 2);
    scene.ok(&["snapshot", "revert", "m", "s1", "--running"]);
    assert_eq!(scene.bench.state_of("m").as_deref(), Some("running"));
    scene.ok(&["destroy", "m"]);
    assert_eq!(scene.read("vda"), 1);
}

#[test]
fn revert_leaves_out_a_disk_that_was_plugged_in_for_one_run_only() {
    let scene = Scene::qcow2_alone();
    scene.bench.image(&["create", "-q", "-f", "qcow2", "plugged.qcow2", "4M"]);
    let disk = crate::storage::qcow2_disk(&scene.bench, "plugged.qcow2").replace("'vda'", "'vdz'");
    let element = scene.bench.write("disk.xml", &disk);
    scene.write("vda", 1);
    scene.ok(&["start", "m"]);
    scene.ok(&["attach", "m", element.to_str().unwrap(), "--live"]);
    scene.ok(&["snapshot", "create", "m", "s1", "--disk-only"]);
    scene.ok(&["destroy", "m"]);
    scene.write("vda", 2);
    let reverted = scene.json(&["snapshot", "revert", "m", "s1"]);
    assert_eq!(reverted["overlays"].as_array().unwrap().len(), 1, "{reverted}");
    assert_eq!(scene.read("vda"), 1);
    assert!(!scene.ok(&["xml", "m"]).contains("vdz"));
    assert!(scene.path("plugged.qcow2").exists() && scene.path("plugged.s1").exists());
    scene.starts();
}

#[test]
fn plain_images_of_a_guest_that_runs_get_overlays_and_are_merged_again() {
    let scene = Scene::new();
    scene.write("vdb", 7);
    scene.ok(&["start", "m", "--paused"]);
    let (code, said) = scene.refused(&["snapshot", "create", "m", "s1", "--disk-only"]);
    assert!(code == "snapshot.paused" && said.contains("resume"), "{said}");
    scene.ok(&["resume", "m"]);
    for name in ["s1", "s2"] {
        scene.ok(&["snapshot", "create", "m", name, "--disk-only"]);
        assert_eq!(scene.bench.state_of("m").as_deref(), Some("running"));
    }
    assert!(!scene.writes_to("b.raw") && scene.writes_to("b.s2"), "S1: what is below is only read");
    scene.ok(&["snapshot", "delete", "m", "s1"]);
    scene.ok(&["snapshot", "delete", "m", "s2"]);
    assert!(scene.writes_to("b.raw"));
    assert_eq!(scene.files("b."), ["b.raw"]);
    scene.ok(&["destroy", "m"]);
    assert_eq!(scene.image_of("vdb"), (scene.path("b.raw").display().to_string(), "raw".to_owned()));
    assert_eq!(scene.read("vdb"), 7);
    scene.starts();
}

#[test]
fn snapshot_of_a_guest_that_runs_is_whole_or_not_there_when_it_is_killed() {
    let scene = Scene::qcow2_alone();
    scene.ok(&["start", "m"]);
    let (mut interrupted, mut known) = (0, 0);
    let points = points(KILL_AT);
    for (calls, count) in points.iter().copied() {
        let name = format!("k{known}-{}-{count}", calls.len());
        let create = ["snapshot", "create", "m", &name, "--disk-only"];
        interrupted += u32::from(!killed_at(&scene.bench, &create, calls, count));
        // The next owner finds out from the hypervisor what is true.
        scene.bench.run(&["destroy", "nobody"]);
        assert_eq!(scene.bench.state_of("m").as_deref(), Some("running"), "{calls} {count}");
        let there = scene.snapshots().0.contains(&name);
        let overlay = scene.path(&format!("a.{name}"));
        let above = scene.files("a.").into_iter().find(|file| file.ends_with(&name));
        assert_eq!(above.is_some(), there, "{calls} {count}: {}", overlay.display());
        let live = scene.ok(&["xml", "m"]);
        assert_eq!(live.contains(&format!("{name}'")), there, "{calls} {count}: {live}");
        known = scene.snapshots().0.len();
    }
    list_fits(interrupted, points.len());
    scene.ok(&["snapshot", "create", "m", "last", "--disk-only"]);
    scene.ok(&["destroy", "m"]);
    scene.starts();
}

/// How often a command makes a system call whose arguments have this in them.
fn counted(scene: &Scene, arguments: &[&str], (call, what): (&str, &str)) -> usize {
    let (command, told) = (scene.bench.command(arguments), scene.path("calls"));
    let mut strace = scene.bench.program("strace".as_ref());
    strace.args(["-f", "-b", "execve", "-qq", "-e", &format!("trace={call}"), "-o", told.to_str().unwrap()]);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    strace.args(words.skip_while(|word| !word.as_encoded_bytes().ends_with(b"/hostler")));
    let output = strace.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let calls = std::fs::read_to_string(&told).unwrap();
    calls.lines().filter(|line| line.contains(what)).count()
}

#[test]
fn command_for_a_guest_that_runs_has_one_connection_to_its_shim() {
    let scene = Scene::qcow2_alone();
    scene.ok(&["start", "m"]);
    let create = ["snapshot", "create", "m", "s1", "--disk-only"];
    let commit = ["block", "commit", "m", "vda", "--active", "--force"];
    for command in [&create[..], &commit] {
        assert_eq!(counted(&scene, command, ("connect", "shim.sock")), 1, "{command:?}");
    }
}

#[test]
fn commit_that_is_ready_in_a_moment_takes_the_state_directory_once() {
    let scene = Scene::qcow2_alone();
    scene.ok(&["start", "m"]);
    let commit = ["block", "commit", "m", "vda", "--active", "--force"];
    // On a machine with too much to do no job is ready in a moment.
    let taken = ["s1", "s2", "s3", "s4", "s5"].map(|name| {
        scene.ok(&["snapshot", "create", "m", name, "--disk-only"]);
        counted(&scene, &commit, ("open,openat", "owner.lock"))
    });
    assert!(taken.contains(&1), "{taken:?}");
}

/// A guest that runs over three external snapshots in a row, with 1, 2 and 3 at the time and 4 since.
fn running_row() -> Scene {
    let scene = Scene::row();
    scene.ok(&["start", "m"]);
    scene
}

#[test]
fn snapshots_of_a_guest_that_runs_are_deleted_in_any_order_and_it_goes_on() {
    for order in [["s2", "s3", "s1"], ["s1", "s2", "s3"]] {
        let scene = running_row();
        for (at, name) in order.iter().enumerate() {
            let plan = scene.json(&["snapshot", "delete", "m", name, "--plan"]);
            assert_eq!(
                (&plan["done"], &plan["images"][0]["fate"]),
                (&false.into(), &"merged".into()),
                "{plan}"
            );
            let deleted = scene.json(&["snapshot", "delete", "m", name]);
            assert_eq!((&deleted["images"], &deleted["done"]), (&plan["images"], &true.into()), "{name}");
            assert_eq!(scene.bench.state_of("m").as_deref(), Some("running"));
            assert_eq!(scene.snapshots().0.len(), order.len() - at - 1);
        }
        let (live, stored) = (scene.ok(&["xml", "m"]), scene.image_of("vda").0);
        assert!(live.contains("a.qcow2'") && stored.ends_with("a.qcow2"), "{live} {stored}");
        assert_eq!(scene.files("a."), ["a.qcow2"], "{order:?}");
        scene.ok(&["destroy", "m"]);
        assert_eq!(scene.read("vda"), 4);
    }
}

#[test]
fn snapshots_that_stay_are_what_they_were_after_others_are_merged_by_a_guest_that_runs() {
    let scene = running_row();
    scene.ok(&["suspend", "m"]);
    let (code, said) = scene.refused(&["snapshot", "delete", "m", "s2"]);
    assert!(code == "domain.state" && said.contains("resume"), "{said}");
    assert_eq!(scene.snapshots().0.len(), 3);
    scene.ok(&["resume", "m"]);
    scene.ok(&["snapshot", "delete", "m", "s2"]);
    scene.ok(&["destroy", "m"]);
    for (name, byte) in [("s1", 1), ("s3", 3)] {
        scene.ok(&["snapshot", "revert", "m", name]);
        assert_eq!(scene.read("vda"), byte, "{name}");
    }
}

/// System calls at which a deletion is killed: those by which it becomes durable, and those by which it speaks to the
/// hypervisor.
const KILL_DELETION_AT: &[(&str, &[u32])] = &[
    ("renameat,renameat2,rename", &[1, 2, 3, 4, 5, 6, 8, 10]),
    ("sendmsg,sendto", &[2, 5, 8, 11, 14, 17, 20]),
    ("unlink,unlinkat", &[1, 2, 3, 4]),
];

#[test]
fn deletion_by_a_guest_that_runs_loses_nothing_and_is_finished_when_it_is_killed() {
    let (mut interrupted, mut scene) = (0, running_row());
    let points = points(KILL_DELETION_AT);
    for (calls, count) in points.iter().copied() {
        if scene.snapshots().0.is_empty() {
            scene.ok(&["destroy", "m"]);
            assert_eq!((scene.read("vda"), scene.files("a.")), (4, vec!["a.qcow2".to_owned()]));
            scene = running_row();
        }
        let name = scene.snapshots().0.pop().unwrap();
        let delete = ["snapshot", "delete", "m", &name];
        interrupted += u32::from(!killed_at(&scene.bench, &delete, calls, count));
        scene.bench.run(&["destroy", "nobody"]);
        if scene.snapshots().0.contains(&name) {
            scene.ok(&delete);
        }
        assert_eq!(scene.bench.state_of("m").as_deref(), Some("running"), "{calls} {count}");
        let left = scene.snapshots().0.len();
        assert_eq!(scene.files("a.").len(), left + 1, "{calls} {count}: {:?}", scene.files("a."));
    }
    list_fits(interrupted, points.len());
    scene.ok(&["destroy", "m"]);
    assert_eq!(scene.read("vda"), 4);
    scene.starts();
}
