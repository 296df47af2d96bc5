//! Snapshots of domains that are off: what they keep, in which order they come and go, and what depends on them.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::snapshot_scene::Scene;

#[test]
fn external_snapshot_keeps_the_images_and_the_domain_goes_on_above_them() {
    let scene = Scene::new();
    scene.write("vda", 1);
    let (code, said) = scene.refused(&["snapshot", "create", "m", "s1", "--internal"]);
    assert!(code == "snapshot.format" && said.contains("vdb"), "{said}");
    let taken = scene.json(&["snapshot", "create", "m", "s1", "--description", "before"]);
    assert_eq!((taken["kind"].as_str(), taken["state"].as_str()), (Some("external"), Some("off")), "{taken}");
    for (target, name) in [("vda", "a.s1"), ("vdb", "b.s1")] {
        let (path, format) = scene.image_of(target);
        assert_eq!((path, format.as_str()), (scene.path(name).display().to_string(), "qcow2"));
        let mode = std::fs::metadata(scene.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "nobody else looks into an overlay");
    }
    scene.write("vda", 2);
    scene.write("vdb", 2);
    assert_eq!(crate::snapshot_scene::first_byte(scene.path("a.qcow2").to_str().unwrap(), "qcow2"), 1);
    scene.starts();
    let xml = scene.ok(&["snapshot", "xml", "m", "s1"]);
    assert!(xml.contains("<state>shutoff</state>") && xml.contains("snapshot='external'"), "{xml}");
    assert_eq!(scene.refused(&["snapshot", "create", "m", "s1"]).0, "snapshot.exists");
    assert_eq!(scene.refused(&["snapshot", "show", "m", "s2"]).0, "snapshot.not-found");
}

#[test]
fn revert_keeps_what_was_written_since_and_says_where() {
    let scene = Scene::row();
    let reverted = scene.json(&["snapshot", "revert", "m", "s2"]);
    assert_eq!(scene.read("vda"), 2);
    let left = scene.path("a.s3").display().to_string();
    assert_eq!(reverted["left_behind"], serde_json::json!([left]), "{reverted}");
    assert_eq!(crate::snapshot_scene::first_byte(&left, "qcow2"), 4);
    assert_eq!(scene.snapshots().1.as_deref(), Some("s2"));
    scene.write("vda", 5);
    for (name, byte) in [("s3", 3), ("s1", 1), ("s2", 2), ("s3", 3)] {
        scene.ok(&["snapshot", "revert", "m", name]);
        assert_eq!(scene.read("vda"), byte, "{name}");
        scene.starts();
    }
    scene.ok(&["snapshot", "create", "m", "s4", "--external"]);
    let shown = scene.json(&["snapshot", "show", "m", "s4"]);
    assert_eq!(shown["parent"], "s3");
}

#[test]
fn every_order_of_deletion_keeps_the_rest_and_ends_in_the_first_image() {
    for order in [["s1", "s2", "s3"], ["s3", "s2", "s1"], ["s2", "s1", "s3"], ["s2", "s3", "s1"]] {
        let scene = Scene::row();
        for (at, name) in order.iter().enumerate() {
            let plan = scene.json(&["snapshot", "delete", "m", name, "--plan"]);
            assert_eq!(
                (&plan["done"], &plan["images"][0]["fate"]),
                (&false.into(), &"merged".into()),
                "{plan}"
            );
            scene.ok(&["snapshot", "delete", "m", name]);
            assert_eq!(scene.read("vda"), 4, "{order:?} {name}");
            scene.starts();
            let kept = &order[at + 1..];
            assert_eq!(scene.snapshots().0.len(), kept.len());
        }
        assert_eq!(scene.files("a."), ["a.qcow2"], "{order:?}");
        assert_eq!(scene.image_of("vda").0, scene.path("a.qcow2").display().to_string());
    }
}

#[test]
fn snapshots_that_stay_read_the_same_after_others_are_deleted() {
    for (gone, kept) in
        [("s1", [("s2", 2), ("s3", 3)]), ("s2", [("s1", 1), ("s3", 3)]), ("s3", [("s1", 1), ("s2", 2)])]
    {
        let scene = Scene::row();
        scene.ok(&["snapshot", "delete", "m", gone]);
        for (name, byte) in kept {
            scene.ok(&["snapshot", "revert", "m", name]);
            assert_eq!(scene.read("vda"), byte, "without {gone}: {name}");
        }
    }
}

#[test]
fn branch_that_was_left_goes_with_its_snapshots_and_the_other_stays() {
    let scene = Scene::row();
    scene.ok(&["snapshot", "revert", "m", "s1"]);
    scene.write("vda", 9);
    let plan = scene.json(&["snapshot", "delete", "m", "s2", "--children", "--plan"]);
    assert_eq!(plan["snapshots"], serde_json::json!(["s3", "s2"]), "{plan}");
    scene.ok(&["snapshot", "delete", "m", "s2", "--children"]);
    assert_eq!((scene.read("vda"), scene.snapshots().0), (9, vec!["s1".to_owned()]));
    assert_eq!(scene.files("a."), ["a.qcow2", "a.s1-1"]);
    scene.ok(&["snapshot", "delete", "m", "s1"]);
    assert_eq!((scene.read("vda"), scene.files("a.")), (9, vec!["a.qcow2".to_owned()]));
}

#[test]
fn image_that_several_need_stays_and_nothing_of_them_is_lost() {
    let scene = Scene::row();
    scene.ok(&["snapshot", "revert", "m", "s1"]);
    scene.write("vda", 9);
    let plan = scene.json(&["snapshot", "delete", "m", "s1"]);
    assert_eq!(plan["images"][0]["fate"], "kept", "{plan}");
    assert_eq!(scene.read("vda"), 9);
    scene.ok(&["snapshot", "revert", "m", "s3"]);
    assert_eq!(scene.read("vda"), 3);
}

#[test]
fn internal_snapshots_are_taken_gone_back_to_and_deleted() {
    let scene = Scene::qcow2_alone();
    for (byte, name) in [(1, "one"), (2, "two")] {
        scene.write("vda", byte);
        let taken = scene.json(&["snapshot", "create", "m", name]);
        assert_eq!(taken["kind"], "internal", "{taken}");
    }
    scene.write("vda", 3);
    for (name, byte) in [("one", 1), ("two", 2), ("one", 1)] {
        scene.ok(&["snapshot", "revert", "m", name]);
        assert_eq!(scene.read("vda"), byte);
    }
    assert_eq!(scene.snapshots().1.as_deref(), Some("one"));
    assert_eq!(scene.refused(&["snapshot", "create", "m", "7", "--internal"]).0, "snapshot.name");
    scene.bench.image(&["snapshot", "-c", "foreign", "a.qcow2"]);
    assert_eq!(scene.refused(&["snapshot", "create", "m", "foreign"]).0, "image.snapshot-exists");
    for name in ["one", "two"] {
        scene.ok(&["snapshot", "delete", "m", name]);
    }
    assert_eq!((scene.read("vda"), scene.snapshots().0.len()), (1, 0));
    scene.bench.image(&["snapshot", "-a", "foreign", "a.qcow2"]);
}

#[test]
fn internal_snapshot_below_an_external_one_waits_for_it() {
    let scene = Scene::qcow2_alone();
    scene.write("vda", 1);
    scene.ok(&["snapshot", "create", "m", "within"]);
    scene.ok(&["snapshot", "create", "m", "above", "--external"]);
    scene.ok(&["snapshot", "create", "m", "top", "--internal"]);
    let (code, said) = scene.refused(&["snapshot", "revert", "m", "within"]);
    assert!(code == "snapshot.has-overlays" && said.contains("a.above"), "{said}");
    assert_eq!(scene.refused(&["snapshot", "delete", "m", "above"]).0, "snapshot.holds-another");
    scene.ok(&["snapshot", "delete", "m", "top"]);
    scene.write("vda", 2);
    scene.ok(&["snapshot", "delete", "m", "above"]);
    assert_eq!(scene.read("vda"), 2);
    scene.ok(&["snapshot", "revert", "m", "within"]);
    assert_eq!(scene.read("vda"), 1);
}

#[test]
fn what_others_need_is_neither_changed_nor_removed() {
    let scene = Scene::row();
    scene.bench.image(&["create", "-q", "-f", "qcow2", "-b", "a.s1", "-F", "qcow2", "clone"]);
    let (code, said) = scene.refused(&["snapshot", "delete", "m", "s2"]);
    assert!(code == "snapshot.needed" && said.contains("clone"), "{said}");
    std::fs::rename(scene.path("clone"), scene.path("other.img")).unwrap();
    let other = scene.document(&[("vda", "qcow2", "other.img")]).replace(">m<", ">other<");
    scene.bench.define(&other);
    let (code, said) = scene.refused(&["snapshot", "delete", "m", "s2"]);
    assert!(code == "snapshot.needed" && said.contains("'other'"), "{said}");
    assert_eq!(scene.refused(&["snapshot", "delete", "m", "s2", "--plan"]).0, "snapshot.needed");
    scene.ok(&["undefine", "other"]);
    std::fs::remove_file(scene.path("other.img")).unwrap();
    scene.ok(&["snapshot", "delete", "m", "s2"]);
}

#[test]
fn documents_of_libvirt_are_taken_and_files_that_are_there_are_not_written_over() {
    let scene = Scene::new();
    let overlay = scene.path("mine.qcow2").display().to_string();
    let xml = format!(
        "<domainsnapshot><name>x</name><disks><disk name='vda' snapshot='external'><source file='{overlay}'/></disk>\
         <disk name='vdb' snapshot='no'/></disks></domainsnapshot>"
    );
    let file = scene.bench.write("snapshot.xml", &xml).display().to_string();
    std::fs::write(&overlay, "precious").unwrap();
    assert_eq!(scene.refused(&["snapshot", "create", "m", "--xml", &file]).0, "image.exists");
    assert_eq!(std::fs::read_to_string(&overlay).unwrap(), "precious");
    assert_eq!(scene.snapshots().0.len(), 0);
    std::fs::remove_file(&overlay).unwrap();
    scene.ok(&["snapshot", "create", "m", "--xml", &file]);
    assert_eq!(scene.image_of("vda").0, overlay);
    assert_eq!(scene.image_of("vdb").0, scene.path("b.raw").display().to_string());
    let quiesced = scene.refused(&["snapshot", "create", "m", "q", "--disk-only", "--quiesce"]);
    assert_eq!(quiesced.0, "domain.off");
}

#[test]
fn definition_that_was_changed_since_is_not_lost_without_a_word() {
    let scene = Scene::row();
    let changed = scene.ok(&["xml", "m", "--stored"]).replace("<vcpu", "<title>new</title>\n  <vcpu");
    let changed = if changed.contains("<title>") {
        changed
    } else {
        changed.replace("  <memory", "  <title>new</title>\n  <memory")
    };
    scene.bench.define(&changed);
    let (code, said) = scene.refused(&["snapshot", "revert", "m", "s1"]);
    assert!(code == "snapshot.definition-changed" && said.contains("--force"), "{said}");
    scene.ok(&["snapshot", "revert", "m", "s1", "--force"]);
    assert!(!scene.ok(&["xml", "m", "--stored"]).contains("<title>new"));
}

#[test]
fn domain_with_snapshots_is_forgotten_only_with_them() {
    let scene = Scene::row();
    let (code, said) = scene.refused(&["undefine", "m"]);
    assert!(code == "domain.has-snapshots" && said.contains("--snapshots"), "{said}");
    scene.ok(&["undefine", "m", "--snapshots"]);
    assert_eq!(scene.files("a.").len(), 4, "images stay");
}

#[test]
fn running_domain_is_ended_by_a_revert_and_goes_on_if_that_is_wanted() {
    let scene = Scene::row();
    scene.ok(&["start", "m", "--paused"]);
    assert_eq!(scene.refused(&["snapshot", "delete", "m", "s3"]).0, "domain.state");
    let before = scene.json(&["show", "m"])["pid"].clone();
    let reverted = scene.json(&["snapshot", "revert", "m", "s1", "--paused"]);
    assert_eq!(reverted["state"], "paused", "{reverted}");
    assert_ne!(scene.json(&["show", "m"])["pid"], before, "the old guest is gone");
    assert_eq!(scene.bench.processes().len(), 2, "a shim and its hypervisor: {:?}", scene.bench.processes());
    scene.ok(&["snapshot", "revert", "m", "s2"]);
    assert_eq!((scene.bench.state_of("m").as_deref(), scene.read("vda")), (Some("off"), 2));
}

#[test]
fn what_is_known_of_a_snapshot_is_written_anew_and_what_it_keeps_is_not() {
    let scene = Scene::qcow2_alone();
    for (byte, name) in [(1, "one"), (2, "two")] {
        scene.write("vda", byte);
        scene.ok(&["snapshot", "create", "m", name]);
    }
    scene.write("vda", 3);
    scene.bench.image(&["snapshot", "-c", "foreign", "a.qcow2"]);
    let known = scene.ok(&["snapshot", "xml", "m", "two"]);
    let file = |from: &str, to: &str| {
        assert!(known.contains(from), "{from} is not in {known}");
        scene.bench.write("anew.xml", &known.replacen(from, to, 1)).display().to_string()
    };
    let redefine = |file: String| scene.json(&["snapshot", "redefine", "m", &file]);
    let said = redefine(file("<name>two</name>", "<name>two</name><description>said</description>"));
    assert_eq!((&said["description"], &said["parent"]), (&json!("said"), &json!("one")));
    let root = redefine(file("<parent>\n    <name>one</name>\n  </parent>", ""));
    assert_eq!((&root["description"], &root["parent"]), (&json!(null), &json!(null)));
    // One that this host did not take, or has forgotten.
    let found = redefine(file("<name>two</name>", "<name>foreign</name>"));
    assert_eq!((&found["kind"], &found["current"]), (&json!("internal"), &json!(false)));
    assert_eq!(scene.snapshots(), (vec!["one".into(), "two".into(), "foreign".into()], Some("two".into())));
    for (from, to, code) in [
        ("<name>one</name>", "<name>none</name>", "snapshot.parent"),
        ("<name>one</name>", "<name>two</name>", "snapshot.parent"),
        ("<state>shutoff</state>", "<state>running</state>", "snapshot.redefined"),
        ("snapshot='internal'", "snapshot='no'", "snapshot.redefined"),
        ("<name>two</name>", "<name>gone</name>", "image.no-snapshot"),
        ("<uuid>", "<uuid>0", "xml.invalid-value"),
        ("</domainsnapshot>", "", "xml.syntax"),
    ] {
        let (found, text) = scene.refused(&["snapshot", "redefine", "m", &file(from, to)]);
        assert_eq!(found, code, "{from} {to}: {text}");
    }
    assert_eq!(scene.snapshots().0.len(), 3);
    scene.ok(&["snapshot", "revert", "m", "foreign"]);
    assert_eq!(scene.read("vda"), 3);
}
