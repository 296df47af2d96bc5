//! Code and variables as qcow2, and both ways between it and raw; S0 on all of it.

use std::path::Path;

use crate::firmware_scene::{CODE, Scene, TEMPLATE, pristine};
use crate::storage::block_nodes;

/// Makes qcow2 images of code and template.
fn images(scene: &Scene) -> (String, String) {
    let (code, template) = (scene.shown("code.qcow2"), scene.shown("template.qcow2"));
    scene.bench.image(&["convert", "-f", "raw", "-O", "qcow2", CODE, &code]);
    scene.bench.image(&["convert", "-f", "raw", "-O", "qcow2", TEMPLATE, &template]);
    (code, template)
}

/// What a guest reads of an image.
fn content(scene: &Scene, image: &Path, format: &str) -> Vec<u8> {
    let flat = scene.shown("flat");
    scene.bench.image(&["convert", "-f", format, "-O", "raw", image.to_str().unwrap(), &flat]);
    std::fs::read(flat).unwrap()
}

#[test]
fn every_pair_of_formats_is_made_reset_and_started() {
    let scene = Scene::new();
    let (code, qcow2) = images(&scene);
    let loader = format!("<loader type='pflash' readonly='yes' format='qcow2'>{code}</loader>");
    for (template, template_format) in [(TEMPLATE, "raw"), (qcow2.as_str(), "qcow2")] {
        for format in ["raw", "qcow2"] {
            let store = scene.path(&format!("{template_format}-{format}.fd"));
            let nvram = format!(
                "<nvram template='{template}' templateFormat='{template_format}' format='{format}'>{}</nvram>",
                store.display()
            );
            scene.define("", &format!("{loader}{nvram}"));
            let started = scene.start_and_end(&[]);
            assert_eq!(started["variable_store"]["done"], "created");
            assert_eq!(started["variable_store"]["format"], format);
            assert!(content(&scene, &store, format) == pristine(), "{template_format} to {format}");
            // Used by a guest, and made anew.
            let image = store.to_str().unwrap();
            let written = std::process::Command::new("qemu-io")
                .args(["-f", format, "-c", "write -P 7 300k 4k", image])
                .output();
            assert!(written.unwrap().status.success());
            let mut changed = pristine();
            changed[300 << 10..304 << 10].fill(7);
            assert!(content(&scene, &store, format) == changed);
            assert_eq!(scene.start_and_end(&["--reset-nvram"])["variable_store"]["done"], "reset");
            assert!(content(&scene, &store, format) == pristine());
            let kept = scene.path(&format!("{template_format}-{format}.fd.lastgood"));
            assert!(content(&scene, &kept, format) == changed);
        }
    }
}

#[test]
fn s0_qcow2_flash_has_nothing_below_in_a_real_qemu() {
    let scene = Scene::new();
    let (_, template) = images(&scene);
    // Code that names a file of the host below it.
    std::fs::copy(CODE, scene.path("secret.raw")).unwrap();
    scene.bench.image(&["create", "-q", "-f", "qcow2", "-b", "secret.raw", "-F", "raw", "evil.qcow2"]);
    let code = scene.shown("evil.qcow2");
    let loader = format!("<loader type='pflash' readonly='yes' format='qcow2'>{code}</loader>");
    scene.define("", &format!("{loader}<nvram template='{template}' templateFormat='qcow2'/>"));
    scene.ok(&["start", "u", "--paused"]);
    let nodes = block_nodes(&scene.bench, "u");
    let formats: Vec<_> = nodes.iter().filter(|node| node["drv"] == "qcow2").collect();
    assert_eq!(formats.len(), 2, "{nodes:?}");
    for node in &formats {
        assert!(node.get("backing_file").is_none() && node["image"].get("backing-image").is_none(), "{node}");
    }
    assert!(
        !nodes.iter().any(|node| node.to_string().contains("secret.raw\"") && node["drv"] == "file"),
        "{nodes:?}"
    );
    let details = scene.json(&["show", "u"]);
    let pid = details["pid"].as_u64().unwrap();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let open: Vec<_> = open.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok()).collect();
    assert!(open.iter().any(|path| path.ends_with("evil.qcow2")), "{open:?}");
    assert!(!open.iter().any(|path| path.ends_with("secret.raw")), "{open:?}");
    scene.ok(&["destroy", "u"]);
}

#[test]
fn flash_that_is_more_than_one_file_or_of_another_format_is_refused() {
    let scene = Scene::new();
    let (code, qcow2) = images(&scene);
    scene.bench.image(&["create", "-q", "-f", "qcow2", "-o", "data_file=apart", "split.qcow2", "528k"]);
    scene.bench.image(&["create", "-q", "-f", "qcow2", "-b", TEMPLATE, "-F", "raw", "overlay.qcow2"]);
    let loader = format!("<loader type='pflash' readonly='yes' format='qcow2'>{code}</loader>");
    let store = scene.path("vars.fd");
    let with = |template: &str, template_format: &str, format: &str| {
        let nvram = format!(
            "<nvram template='{template}' templateFormat='{template_format}' format='{format}'>{}</nvram>",
            store.display()
        );
        scene.define("", &format!("{loader}{nvram}"));
    };
    // Templates.
    for (template, format, part) in [
        (scene.shown("split.qcow2"), "qcow2", "another file"),
        (scene.shown("overlay.qcow2"), "qcow2", "stands on"),
        (TEMPLATE.to_owned(), "qcow2", "templateFormat"),
        (qcow2.clone(), "raw", "templateFormat='qcow2'"),
    ] {
        with(&template, format, "raw");
        let (code, text) = scene.refused(&["start", "u"]);
        assert!(code == "firmware.template-invalid" && text.contains(part), "{template}: {text}");
        assert!(!store.exists());
    }
    // Stores.
    for (from, format, part) in [
        (TEMPLATE.to_owned(), "qcow2", "<nvram format="),
        (qcow2, "raw", "<nvram format='qcow2'>"),
        (scene.shown("overlay.qcow2"), "qcow2", "stands on"),
    ] {
        std::fs::copy(&from, &store).unwrap();
        with(TEMPLATE, "raw", format);
        let (code, text) = scene.refused(&["start", "u"]);
        assert!(code == "firmware.store-invalid" && text.contains(part), "{from} as {format}: {text}");
        assert!(std::fs::read(&store).unwrap() == std::fs::read(&from).unwrap(), "a refusal changes nothing");
        // Made anew it is of the format that is said.
        scene.start_and_end(&["--reset-nvram"]);
        assert!(content(&scene, &store, format) == pristine());
        std::fs::remove_file(&store).unwrap();
    }
}

#[test]
fn descriptor_of_qcow2_firmware_is_chosen_written_and_started() {
    let scene = Scene::new();
    let (code, template) = images(&scene);
    scene.describe("vendor/50-qcow2.json", (&code, &template, "qcow2"), "");
    scene.define(" firmware='efi'", "");
    let xml = scene.ok(&["xml", "u"]);
    assert!(xml.contains("templateFormat='qcow2' format='qcow2'/>"), "{xml}");
    let started = scene.start_and_end(&[]);
    assert_eq!(started["variable_store"]["format"], "qcow2");
}
