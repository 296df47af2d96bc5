//! What becomes of a variable store when its domain is forgotten: kept and taken up again, deleted, archived.

use std::path::{Path, PathBuf};

use crate::firmware_scene::{Scene, used};
use crate::kill::killed_at;

/// A domain whose store the host keeps, used once.
fn with_used_store(scene: &Scene) -> PathBuf {
    scene.define(" firmware='efi'", "");
    let started = scene.start_and_end(&[]);
    let store = PathBuf::from(started["variable_store"]["path"].as_str().unwrap());
    std::fs::write(&store, used()).unwrap();
    store
}

fn kept(answer: &serde_json::Value) -> PathBuf {
    answer["kept_variable_store"].as_str().unwrap().into()
}

#[test]
fn kept_is_the_default_and_the_same_domain_has_it_again() {
    let scene = Scene::new();
    let store = with_used_store(&scene);
    let document = scene.bench.write("again.xml", &scene.ok(&["xml", "u"]));
    let undefined = scene.json(&["undefine", "u"]);
    assert_eq!(undefined["variable_store"]["fate"], "keep");
    let kept = kept(&undefined);
    assert!(!store.exists() && std::fs::read(&kept).unwrap() == used());
    scene.ok(&["define", document.to_str().unwrap()]);
    let answer = scene.run(&["start", "u", "--paused"]);
    assert!(answer.status == 0 && answer.stderr.contains("is its own again"), "{}", answer.stderr);
    scene.ok(&["destroy", "u"]);
    assert!(std::fs::read(&store).unwrap() == used() && !kept.exists());
    // Undefined twice, nothing is refused and nothing is lost.
    let first = scene.json(&["undefine", "u", "--keep-nvram"]);
    assert!(std::fs::read(first["kept_variable_store"].as_str().unwrap()).unwrap() == used());
}

#[test]
fn deleted_is_gone_and_archived_is_taken_up_by_nobody() {
    let scene = Scene::new();
    let store = with_used_store(&scene);
    let document = scene.bench.write("again.xml", &scene.ok(&["xml", "u"]));
    let archived = scene.json(&["undefine", "u", "--nvram=archive"]);
    assert_eq!(archived["variable_store"]["fate"], "archive");
    assert!(!store.exists() && std::fs::read(kept(&archived)).unwrap() == used());
    scene.ok(&["define", document.to_str().unwrap()]);
    assert_eq!(scene.start_and_end(&[])["variable_store"]["done"], "created");
    let deleted = scene.json(&["undefine", "u", "--nvram"]);
    assert_eq!(deleted["variable_store"]["fate"], "delete");
    assert!(deleted["kept_variable_store"].is_null() && !store.exists());
    assert!(std::fs::read(kept(&archived)).unwrap() == used());
    scene.ok(&["define", document.to_str().unwrap()]);
    assert!(scene.json(&["undefine", "u"])["variable_store"].is_null(), "there was none");
}

#[test]
fn store_that_the_document_names_stays_goes_or_is_moved() {
    let scene = Scene::new();
    let store = scene.with_store();
    let renew = || {
        scene.with_store();
        std::fs::write(&store, used()).unwrap();
        scene.start_and_end(&[]);
    };
    renew();
    assert_eq!(kept(&scene.json(&["undefine", "u"])), store);
    assert!(std::fs::read(&store).unwrap() == used());
    renew();
    let archived = scene.json(&["undefine", "u", "--nvram=archive"]);
    assert!(std::fs::read(kept(&archived)).unwrap() == used());
    assert_eq!(scene.beside("vars.fd"), Vec::<String>::new());
    renew();
    scene.ok(&["undefine", "u", "--nvram=delete"]);
    assert_eq!(scene.beside("vars.fd"), Vec::<String>::new(), "with its copies");
    // Not under a guest.
    renew();
    scene.ok(&["start", "u", "--paused"]);
    for fate in ["--nvram=delete", "--nvram=archive"] {
        let (code, text) = scene.refused(&["undefine", "u", fate]);
        assert!(code == "nvram.in-use" && text.contains("--nvram=keep"), "{text}");
    }
    scene.ok(&["undefine", "u"]);
    scene.ok(&["destroy", "u"]);
    assert!(scene.bench.state_of("u").is_none() && std::fs::read(&store).unwrap() == used());
}

#[test]
fn undefine_killed_at_any_step_loses_no_store() {
    let scene = Scene::new();
    let steps: &[(&str, &[u32])] = &[
        ("link,linkat", &[1]),
        ("renameat,renameat2,rename", &[1, 2, 3]),
        ("fsync,fdatasync", &[1, 2, 3, 4, 5]),
        ("unlink,unlinkat", &[1, 2, 3]),
    ];
    let mut outcomes = [0, 0];
    for (calls, counts) in steps {
        for count in *counts {
            let store = with_used_store(&scene);
            killed_at(&scene.bench, &["undefine", "u"], calls, *count);
            // Whoever comes next finishes it.
            scene.run(&["destroy", "nobody"]);
            let defined = scene.bench.state_of("u").is_some();
            let kept = kept_stores(&scene.bench.state_root());
            let found: Vec<_> = if defined { vec![store.clone()] } else { kept };
            assert_eq!(found.len(), 1, "{calls} {count}, defined: {defined}");
            assert!(std::fs::read(&found[0]).unwrap() == used(), "{calls} {count}, defined: {defined}");
            outcomes[usize::from(defined)] += 1;
            if defined {
                scene.ok(&["undefine", "u", "--nvram"]);
            }
            for path in kept_stores(&scene.bench.state_root()) {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
    assert!(outcomes[0] > 3, "the kills no longer fall into the work: {outcomes:?}");
}

fn kept_stores(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root.join("kept-nvram")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}
