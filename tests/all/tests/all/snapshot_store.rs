//! The UEFI variable store in snapshots.

use crate::firmware_scene::{LOADER, Scene, TEMPLATE, pristine, used};

#[test]
fn variables_of_a_snapshot_come_back_or_are_reset_and_a_failure_leaves_them() {
    let scene = Scene::new();
    let store = scene.with_store();
    scene.start_and_end(&[]);
    std::fs::write(&store, used()).unwrap();
    let taken = scene.json(&["snapshot", "create", "u", "s1"]);
    assert_eq!(taken["variable_store"], true, "{taken}");
    std::fs::write(&store, pristine()).unwrap();
    scene.ok(&["snapshot", "revert", "u", "s1"]);
    assert_eq!(std::fs::read(&store).unwrap(), used());
    scene.start_and_end(&[]);
    scene.ok(&["snapshot", "revert", "u", "s1", "--reset-nvram"]);
    assert_eq!(std::fs::read(&store).unwrap(), pristine());
    // S3: without its copy the store stays what it is.
    let domains = std::fs::read_dir(scene.path("state/domains")).unwrap().next().unwrap().unwrap().path();
    let kept = std::fs::read_dir(&domains).unwrap().flatten().map(|entry| entry.path());
    let kept =
        kept.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "nvram")).unwrap();
    std::fs::write(&kept, "torn").unwrap();
    scene.refused(&["snapshot", "revert", "u", "s1"]);
    assert_eq!(std::fs::read(&store).unwrap(), pristine());
    assert_eq!(scene.beside("vars.fd.before-reset"), Vec::<String>::new());
    scene.start_and_end(&[]);
    scene.ok(&["snapshot", "delete", "u", "s1"]);
    assert!(!kept.exists(), "the copy goes with the snapshot");
}

#[test]
fn store_of_format_qcow2_is_part_of_snapshots_too() {
    let scene = Scene::new();
    let store = scene.path("vars.qcow2");
    let nvram = format!(
        "<nvram template='{TEMPLATE}' templateFormat='raw' format='qcow2'>{}</nvram>",
        store.display()
    );
    scene.define("", &format!("{LOADER}{nvram}"));
    scene.start_and_end(&[]);
    let content = || {
        let flat = scene.path("flat");
        scene.bench.image(&["convert", "-f", "qcow2", "-O", "raw", "vars.qcow2", "flat"]);
        std::fs::read(flat).unwrap()
    };
    let used = used();
    std::fs::write(scene.path("used.fd"), &used).unwrap();
    scene.bench.image(&["convert", "-f", "raw", "-O", "qcow2", "used.fd", "vars.qcow2"]);
    scene.ok(&["snapshot", "create", "u", "s1"]);
    scene.start_and_end(&["--reset-nvram"]);
    assert_eq!(content(), pristine());
    scene.ok(&["snapshot", "revert", "u", "s1"]);
    assert_eq!(content(), used);
    scene.start_and_end(&[]);
}

#[test]
fn guest_with_firmware_goes_on_with_its_memory_and_a_reset_is_said_not_to_last() {
    let scene = Scene::new();
    scene.with_store();
    scene.ok(&["start", "u"]);
    let taken = scene.json(&["snapshot", "create", "u", "s1"]);
    assert_eq!((taken["state"].as_str(), taken["variable_store"].as_bool()), (Some("running"), Some(true)));
    assert_eq!(scene.bench.state_of("u").as_deref(), Some("running"));
    let reverted = scene.json(&["snapshot", "revert", "u", "s1", "--reset-nvram"]);
    assert_eq!(reverted["state"], "running", "{reverted}");
    assert!(reverted["warnings"].to_string().contains("brings the variables"), "{reverted}");
    scene.ok(&["destroy", "u"]);
}
