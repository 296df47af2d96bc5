//! Snapshots of the disks of guests that run.

use crate::kill::{killed_at, list_fits, points};
use crate::snapshot_scene::Scene;

/// System calls at which a command is killed: those by which anything becomes durable, and those by which it speaks to the
/// hypervisor.
const KILL_AT: &[(&str, &[u32])] = &[
    ("renameat,renameat2,rename", &[1, 2, 3, 4, 5, 6, 7, 8]),
    ("sendmsg,sendto", &[2, 4, 6, 8, 10, 12, 14, 16, 18, 20]),
];

#[test]
fn guest_that_runs_goes_on_in_overlays_and_its_images_stay_as_they_were() {
    let plain = Scene::new();
    plain.ok(&["start", "m"]);
    assert_eq!(plain.refused(&["snapshot", "create", "m", "s1", "--disk-only"]).0, "snapshot.live-format");
    assert_eq!((plain.snapshots().0.len(), plain.bench.state_of("m").as_deref()), (0, Some("running")));
    let scene = Scene::qcow2_alone();
    scene.write("vda", 1);
    scene.ok(&["start", "m"]);
    assert_eq!(scene.refused(&["snapshot", "create", "m", "s1"]).0, "snapshot.running");
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
    assert_eq!(scene.refused(&["snapshot", "delete", "m", "s2"]).0, "snapshot.running");
    scene.ok(&["destroy", "m"]);
    assert_eq!(scene.read("vda"), 1);
    scene.write("vda", 2);
    scene.ok(&["snapshot", "revert", "m", "s1", "--running"]);
    assert_eq!(scene.bench.state_of("m").as_deref(), Some("running"));
    scene.ok(&["destroy", "m"]);
    assert_eq!(scene.read("vda"), 1);
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
