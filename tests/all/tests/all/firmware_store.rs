//! S3: the variable store at a start, created, kept and made anew; every row of what can be met there.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use crate::firmware_scene::{CODE, ENROLLED, LOADER, Scene, TEMPLATE, pristine, used};
use crate::kill::killed_at;

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[test]
fn s3_existing_store_is_kept_to_the_inode() {
    let scene = Scene::new();
    let store = scene.with_store();
    std::fs::write(&store, used()).unwrap();
    let before = std::fs::metadata(&store).unwrap();
    let started = scene.start_and_end(&[]);
    assert_eq!(started["variable_store"]["done"], "kept");
    let after = std::fs::metadata(&store).unwrap();
    assert_eq!((before.ino(), before.mode()), (after.ino(), after.mode()));
    assert!(read(&store) == used());
    assert!(read(&scene.path("vars.fd.lastgood")) == used(), "what a guest may spoil is kept");
}

#[test]
fn s3_reset_gives_the_template_and_keeps_what_was_there() {
    let scene = Scene::new();
    let store = scene.with_store();
    std::fs::write(&store, used()).unwrap();
    let before = std::fs::metadata(&store).unwrap().ino();
    let started = scene.start_and_end(&["--reset-nvram"]);
    assert_eq!(started["variable_store"]["done"], "reset");
    let after = std::fs::metadata(&store).unwrap();
    assert!(after.ino() != before && after.mode() & 0o7777 == 0o600);
    assert!(read(&store) == pristine());
    assert!(read(&scene.path("vars.fd.lastgood")) == used());
    // What was no store at all is put aside, and is no good copy.
    std::fs::write(&store, "").unwrap();
    let (code, text) = scene.refused(&["start", "u"]);
    assert!(code == "firmware.store-invalid" && text.contains("--reset-nvram"), "{text}");
    assert!(text.contains("vars.fd.lastgood"), "{text}");
    assert!(read(&store).is_empty(), "a refusal changes nothing");
    scene.start_and_end(&["--reset-nvram"]);
    assert!(read(&store) == pristine() && read(&scene.path("vars.fd.lastgood")) == used());
    assert_eq!(scene.beside("vars.fd"), ["vars.fd", "vars.fd.damaged", "vars.fd.lastgood"]);
}

#[test]
fn s3_missing_store_is_made_with_and_without_reset() {
    let scene = Scene::new();
    let store = scene.with_store();
    for options in [&[][..], &["--reset-nvram"]] {
        let started = scene.start_and_end(options);
        assert_eq!(started["variable_store"]["done"], "created");
        assert!(read(&store) == pristine());
        std::fs::remove_file(&store).unwrap();
    }
}

#[test]
fn s3_template_is_the_named_one_then_the_descriptors_and_none_is_an_error() {
    let scene = Scene::new();
    let store = scene.path("vars.fd");
    let shown = store.display();
    scene.define("", &format!("{LOADER}<nvram template='{ENROLLED}'>{shown}</nvram>"));
    scene.start_and_end(&["--reset-nvram"]);
    assert!(read(&store) == read(Path::new(ENROLLED)));
    scene.define("", &format!("{LOADER}<nvram>{shown}</nvram>"));
    scene.start_and_end(&["--reset-nvram"]);
    assert!(read(&store) == pristine());
    // Nothing describes the code: an existing store starts, and there is nothing to make one from.
    std::fs::remove_file(scene.path("vendor/60-plain.json")).unwrap();
    scene.start_and_end(&[]);
    std::fs::write(&store, used()).unwrap();
    let (code, text) = scene.refused(&["start", "u", "--reset-nvram"]);
    assert_eq!(code, "firmware.template-missing", "{text}");
    assert!(read(&store) == used());
    std::fs::remove_file(&store).unwrap();
    assert_eq!(scene.refused(&["start", "u"]).0, "firmware.template-missing");
    assert!(!store.exists());
}

#[test]
fn s3_template_that_is_gone_or_no_store_leaves_the_old_one() {
    let scene = Scene::new();
    let (store, template) = (scene.path("vars.fd"), scene.path("template"));
    std::fs::copy(TEMPLATE, &template).unwrap();
    let nvram = format!("<nvram template='{}'>{}</nvram>", template.display(), store.display());
    scene.define("", &format!("{LOADER}{nvram}"));
    std::fs::write(&store, used()).unwrap();
    std::fs::write(&template, &pristine()[..1000]).unwrap();
    assert_eq!(scene.refused(&["start", "u", "--reset-nvram"]).0, "firmware.template-invalid");
    std::fs::remove_file(&template).unwrap();
    let (code, text) = scene.refused(&["start", "u", "--reset-nvram"]);
    assert_eq!(code, "firmware.template-missing", "{text}");
    assert!(read(&store) == used());
    assert_eq!(scene.beside("vars.fd"), ["vars.fd"]);
    scene.start_and_end(&[]);
}

#[test]
fn s3_nothing_to_reset_is_said_and_is_no_reason_not_to_start() {
    let scene = Scene::new();
    for os in ["", &LOADER.replace("readonly='yes'", "readonly='yes' stateless='yes'")] {
        scene.define("", os);
        let answer = scene.run(&["start", "u", "--paused", "--reset-nvram"]);
        assert_eq!(answer.status, 0, "{}", answer.stderr);
        assert!(answer.stderr.contains("'u' has no variable store"), "{}", answer.stderr);
        scene.ok(&["destroy", "u"]);
    }
}

#[test]
fn s3_devices_are_neither_made_nor_reset() {
    let scene = Scene::new();
    let device = scene.path("device");
    let source = format!("<source dev='{}'/>", device.display());
    scene.define("", &format!("{LOADER}<nvram type='block' template='{TEMPLATE}'>{source}</nvram>"));
    scene.run(&["start", "u", "--paused"]).stderr.find("device").expect("the refusal names it");
    assert!(!device.exists(), "no file is made where a device should be");
    let (code, text) = scene.refused(&["start", "u", "--reset-nvram"]);
    assert_eq!(code, "firmware.store-on-device", "{text}");
    assert_eq!(scene.bench.state_of("u").as_deref(), Some("off"));
}

#[test]
fn s3_links_are_refused_and_where_they_lead_is_untouched() {
    let scene = Scene::new();
    let store = scene.with_store();
    std::fs::write(scene.path("victim"), used()).unwrap();
    std::os::unix::fs::symlink(scene.path("victim"), &store).unwrap();
    for options in [&["start", "u"][..], &["start", "u", "--reset-nvram"]] {
        assert_eq!(scene.refused(options).0, "firmware.store-not-a-file");
    }
    assert!(read(&scene.path("victim")) == used());
}

#[test]
fn s3_store_in_use_is_not_made_anew() {
    let scene = Scene::new();
    let store = scene.with_store();
    std::fs::write(&store, used()).unwrap();
    scene.ok(&["start", "u", "--paused"]);
    assert_eq!(scene.refused(&["start", "u", "--reset-nvram"]).0, "domain.active");
    let nvram = format!("<nvram template='{TEMPLATE}'>{}</nvram>", store.display());
    let other = scene.document("other", "", &format!("{LOADER}{nvram}"));
    let (code, text) = scene.refused(&["run", &other, "--reset-nvram"]);
    assert_eq!(code, "image.locked", "{text}");
    assert!(read(&store) == used());
    scene.ok(&["destroy", "u"]);
    // Once it is free a transient domain may have it, new.
    scene.ok(&["run", &other, "--paused", "--reset-nvram"]);
    assert!(read(&store) == pristine());
    scene.ok(&["destroy", "other"]);
}

#[test]
fn s3_start_that_fails_gives_the_store_back() {
    let scene = Scene::new();
    let store = scene.with_store();
    let failing = |options: &[&str]| {
        let mut command = scene.command(&[&["start", "u"], options].concat());
        let status = command.env("HOSTLER_SHIM", "/bin/false").output().unwrap().status;
        assert!(!status.success());
    };
    failing(&[]);
    assert!(!store.exists(), "what the start made goes with it");
    std::fs::write(&store, used()).unwrap();
    let inode = std::fs::metadata(&store).unwrap().ino();
    failing(&["--reset-nvram"]);
    assert!(read(&store) == used() && std::fs::metadata(&store).unwrap().ino() == inode);
    assert_eq!(scene.beside("vars.fd"), ["vars.fd"]);
}

/// Runs the command where the directory `small` is a file system of its own that has `setup` done to it.
fn in_small_file_system(scene: &Scene, setup: &str, arguments: &[&str]) -> String {
    let command = scene.command(arguments);
    let mut words: Vec<String> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    words.insert(0, command.get_program().to_string_lossy().into_owned());
    let script = format!(
        "mount -t tmpfs -o size=700k none small && cp used small/vars.fd && {setup} || exit 99\n\
         \"$@\" && exit 98; cmp used small/vars.fd && ls small"
    );
    let mut inside = Command::new("unshare");
    inside.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"]).args(words);
    for (name, value) in command.get_envs() {
        inside.env(name, value.unwrap());
    }
    let output = inside.current_dir(scene.path(".")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{} {said}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "vars.fd", "nothing is left: {said}");
    said
}

#[test]
fn s3_full_disk_and_read_only_directory_leave_the_old_store() {
    let scene = Scene::new();
    std::fs::create_dir(scene.path("small")).unwrap();
    std::fs::write(scene.path("used"), used()).unwrap();
    let store = scene.shown("small/vars.fd");
    scene.define("", &format!("{LOADER}<nvram template='{TEMPLATE}'>{store}</nvram>"));
    let full = in_small_file_system(&scene, "true", &["start", "u", "--reset-nvram"]);
    assert!(full.contains("No space left on device"), "{full}");
    let locked =
        in_small_file_system(&scene, "mount -o remount,ro none small", &["start", "u", "--reset-nvram"]);
    assert!(locked.contains("Read-only file system"), "{locked}");
}

/// System calls at which a start that resets is killed: those that change the store, its directory and the journal.
const KILL_AT: &[(&str, &[u32])] = &[
    ("link,linkat", &[1]),
    ("renameat,renameat2,rename", &[1, 2, 3, 4, 5, 6]),
    ("fsync,fdatasync", &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ("unlink,unlinkat", &[1, 2, 3]),
    ("clone,clone3,vfork", &[2, 4]),
    ("sendmsg,sendto", &[2, 5]),
];

#[test]
fn s3_reset_killed_at_any_step_is_done_or_undone_by_the_next_owner() {
    let scene = Scene::new();
    let store = scene.with_store();
    let mut ended = [0, 0];
    for (calls, counts) in KILL_AT {
        for count in *counts {
            for existed in [true, false] {
                for name in scene.beside("vars.fd") {
                    std::fs::remove_file(scene.path(&name)).unwrap();
                }
                if existed {
                    std::fs::write(&store, used()).unwrap();
                }
                killed_at(&scene.bench, &["start", "u", "--paused", "--reset-nvram"], calls, *count);
                let place = format!("{calls} {count}, existed: {existed}");
                // Whoever comes next settles; this one has nothing else to do.
                scene.run(&["destroy", "nobody"]);
                let runs = scene.bench.state_of("u").as_deref() != Some("off");
                let found = std::fs::read(&store).ok();
                let expected = if runs { Some(pristine()) } else { existed.then(used) };
                assert!(found == expected, "{place}, runs: {runs}");
                let beside = scene.beside("vars.fd.");
                let allowed = if runs && existed { &["vars.fd.lastgood"][..] } else { &[] };
                let drafts = beside.iter().filter(|name| !name.contains(".tmp-")).collect::<Vec<_>>();
                assert!(drafts == allowed, "{place}, runs: {runs}: {beside:?}");
                ended[usize::from(runs)] += 1;
                if runs {
                    scene.ok(&["destroy", "u"]);
                }
            }
        }
    }
    assert!(
        ended.iter().all(|count| *count > 3),
        "the kills no longer fall before and after the start: {ended:?}"
    );
}

#[test]
fn code_needs_no_word_about_being_read_only() {
    let scene = Scene::new();
    scene.define("", &format!("<loader type='pflash'>{CODE}</loader>"));
    scene.start_and_end(&[]);
}

#[test]
fn s3_restore_resets_like_a_start_and_gives_back_when_it_fails() {
    let scene = Scene::new();
    let store = scene.with_store();
    let file = scene.shown("guest.saved");
    scene.ok(&["start", "u", "--paused"]);
    scene.ok(&["save", "u", &file]);
    std::fs::write(&store, used()).unwrap();
    // As it is, without a word.
    let kept = scene.json(&["restore", &file, "--paused"]);
    assert_eq!(kept["variable_store"]["done"], "kept");
    scene.ok(&["destroy", "u"]);
    let mut failing = scene.command(&["restore", &file, "--paused", "--reset-nvram"]);
    assert!(!failing.env("HOSTLER_SHIM", "/bin/false").output().unwrap().status.success());
    assert!(read(&store) == used(), "a restore that fails gives it back");
    let reset = scene.json(&["restore", &file, "--paused", "--reset-nvram"]);
    assert_eq!(reset["variable_store"]["done"], "reset");
    assert!(reset["warnings"].to_string().contains("--force-boot --reset-nvram"), "{reset}");
    assert!(read(&store) == pristine() && read(&scene.path("vars.fd.lastgood")) == used());
    scene.ok(&["destroy", "u"]);
}
