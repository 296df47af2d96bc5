//! `image chain`: the chain as a start would see it.

use crate::storage::{qcow2_disk, with_disk};
use crate::workbench::Workbench;

#[test]
fn chain_shows_every_layer_down_to_the_base() {
    let bench = Workbench::new();
    bench.image(&["create", "-q", "-f", "raw", "base.raw", "8M"]);
    bench.image(&["create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", "top.qcow2"]);
    let chain = bench.json(&["image", "chain", "top.qcow2"]);
    let layers = chain["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2, "{chain}");
    assert_eq!((&layers[0]["format"], &layers[0]["below"]), (&"qcow2".into(), &1.into()));
    assert_eq!((&layers[1]["format"], &layers[1]["below"]), (&"raw".into(), &serde_json::Value::Null));
    assert_eq!(layers[1]["virtual_size"], 8 << 20);
    let text = bench.ok(&["image", "chain", "top.qcow2"]);
    assert!(text.contains("top.qcow2") && text.contains("base.raw"), "{text}");
}

#[test]
fn missing_layer_names_layer_and_reference() {
    let bench = Workbench::new();
    bench.image(&["create", "-q", "-f", "qcow2", "-u", "-b", "gone.raw", "-F", "raw", "top.qcow2", "1M"]);
    let answer = bench.run(&["image", "chain", "top.qcow2"]);
    assert_eq!(answer.status, 3, "{}", answer.stderr);
    assert!(answer.stderr.contains("gone.raw") && answer.stderr.contains("top.qcow2"), "{}", answer.stderr);
}

#[test]
fn broken_chain_is_shown_as_far_as_it_goes() {
    let bench = Workbench::new();
    bench.image(&["create", "-q", "-f", "qcow2", "-u", "-b", "gone.raw", "-F", "raw", "mid.qcow2", "1M"]);
    bench.image(&["create", "-q", "-f", "qcow2", "-u", "-b", "mid.qcow2", "-F", "qcow2", "top.qcow2", "1M"]);
    let answer = bench.run(&["image", "chain", "top.qcow2"]);
    assert!(answer.stdout.contains("mid.qcow2") && answer.stdout.contains("refused"), "{}", answer.stdout);
    assert!(answer.stderr.contains("qemu-img rebase -u -F raw -b NEW_PATH"), "{}", answer.stderr);
}

#[test]
fn inspect_tells_what_an_image_names_and_hides_its_secrets() {
    let bench = Workbench::new();
    let url = "https://user:hunter2@example.org/base.qcow2";
    bench.image(&["create", "-q", "-f", "qcow2", "-u", "-b", url, "-F", "qcow2", "top.qcow2", "1M"]);
    let report = bench.json(&["image", "inspect", "top.qcow2"]);
    assert_eq!((&report["format"], &report["virtual_size"]), (&"qcow2".into(), &(1 << 20).into()));
    assert_eq!(report["backing"]["recorded"], "https://example.org/base.qcow2");
    let source = report["backing"]["source"].as_str().unwrap();
    assert!(source.contains("protocol='https'") && source.contains("name='base.qcow2'"), "{source}");
    assert!(!report.to_string().contains("hunter2") && report["backing"]["problem"].is_string(), "{report}");
    for url in [r#"json:{"driver":"https","url":"https://h/x","cookie":"a=hunter2"}"#, "http://h/x?k=hunter2"]
    {
        bench.image(&["create", "-q", "-f", "qcow2", "-u", "-b", url, "-F", "raw", "other.qcow2", "1M"]);
        let report = bench.json(&["image", "inspect", "other.qcow2"]);
        assert!(
            !report.to_string().contains("hunter2") && report["backing"]["source"].is_string(),
            "{report}"
        );
    }
    let text = bench.ok(&["image", "inspect", "top.qcow2"]);
    assert!(text.contains("stands on") && !text.contains("hunter2"), "{text}");
}

#[test]
fn check_gives_a_verdict_on_every_layer_and_the_repair() {
    let bench = Workbench::new();
    bench.image(&["create", "-q", "-f", "raw", "base.raw", "8M"]);
    bench.image(&["create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", "top.qcow2"]);
    let good = bench.json(&["image", "check", "top.qcow2"]);
    assert_eq!((&good["good"], good["findings"].as_array().unwrap().len()), (&true.into(), 3), "{good}");
    bench.image(&["create", "-q", "-f", "qcow2", "-u", "-b", "gone", "-F", "raw", "broken.qcow2", "8M"]);
    let answer = bench.run(&["image", "check", "broken.qcow2"]);
    assert_eq!(answer.status, 4, "{}", answer.stderr);
    assert!(answer.stdout.contains("qemu-img rebase -u -F raw -b NEW_PATH"), "{}", answer.stdout);
}

#[test]
fn check_names_who_is_kept_from_which_directory() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Workbench::new();
    bench.image(&["create", "-q", "-f", "raw", "base.raw", "1M"]);
    // The workbench is a private directory: nobody else passes it.
    std::fs::set_permissions(
        bench.path("base.raw").parent().unwrap(),
        std::fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    let answer = bench.run(&["image", "check", "base.raw", "--format", "raw", "--as-user", "65534:65534"]);
    assert_eq!(answer.status, 4, "{}", answer.stderr);
    assert!(answer.stdout.contains("user 65534 may not search"), "{}", answer.stdout);
    let unknown = bench.run(&["image", "check", "base.raw", "--as-user", "no-such-user"]);
    assert_eq!(unknown.status, 3, "{}", unknown.stderr);
}

#[test]
fn probe_judges_images_from_elsewhere_in_one_line() {
    let bench = Workbench::new();
    bench.image(&["create", "-q", "-f", "qcow2", "good.qcow2", "1M"]);
    bench.image(&["create", "-q", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw", "spy.qcow2", "1M"]);
    let judge = |declared: &str, name: &str| {
        let answer = bench.run(&["image", "probe", "--declared", declared, name]);
        assert_eq!(
            (answer.status, answer.stdout.lines().count()),
            (0, 1),
            "{}{}",
            answer.stdout,
            answer.stderr
        );
        serde_json::from_str::<serde_json::Value>(&answer.stdout).unwrap()
    };
    let good = judge("qcow2", "good.qcow2");
    assert_eq!((&good["verdict"], &good["virtual_size"]), (&"safe".into(), &(1 << 20).into()), "{good}");
    let spy = judge("qcow2", "spy.qcow2");
    assert_eq!((&spy["verdict"], &spy["refs"][0]["target"]), (&"must-refuse".into(), &"/etc/passwd".into()));
    assert!(spy["problem"]["hints"][0]["text"].as_str().unwrap().contains("qemu-img convert"), "{spy}");
    assert_eq!(judge("raw", "good.qcow2")["verdict"], "must-refuse", "what a raw image must not look like");
    let wrong = bench.run(&["image", "probe", "--declared", "floppy", "good.qcow2"]);
    assert!(wrong.status == 1 && wrong.stderr.contains("use one of: raw"), "{}", wrong.stderr);
}

/// What a guest would read of an image, by qemu-img.
fn content(bench: &Workbench, format: &str, name: &str) -> Vec<u8> {
    bench.image(&["convert", "-f", format, "-O", "raw", name, "content.tmp"]);
    std::fs::read(bench.path("content.tmp")).unwrap()
}

#[test]
fn images_are_made_grown_copied_and_put_onto_other_bases() {
    let bench = Workbench::new();
    bench.write("base.raw", &"x".repeat(1 << 20));
    let top = bench.json(&["image", "create", "top.qcow2", "--backing", "base.raw"]);
    assert_eq!(
        (&top["image"]["virtual_size"], &top["image"]["backing"]),
        (&(1 << 20).into(), &"base.raw".into())
    );
    let grown = bench.json(&["image", "resize", "top.qcow2", "+1MiB", "--format", "qcow2"]);
    assert_eq!(grown["image"]["virtual_size"], 2 << 20);
    bench.ok(&["image", "convert", "top.qcow2", "flat.raw", "--source-format", "qcow2", "--format", "raw"]);
    let flat = std::fs::read(bench.path("flat.raw")).unwrap();
    assert!(flat.len() == 2 << 20 && flat.starts_with(b"xxxx") && flat.ends_with(b"\0\0\0\0"));
    bench.ok(&["image", "create", "other.raw", "1MiB", "--format", "raw"]);
    bench.ok(&["image", "rebase", "top.qcow2", "--format", "qcow2", "--backing", "other.raw"]);
    assert!(content(&bench, "qcow2", "top.qcow2").starts_with(b"xxxx"), "a guest reads the same");
    bench.ok(&[
        "image",
        "rebase",
        "top.qcow2",
        "--format",
        "qcow2",
        "--backing",
        "base.raw",
        "--record-only",
    ]);
    let chain = bench.json(&["image", "chain", "top.qcow2"]);
    assert!(chain["layers"][1]["path"].as_str().unwrap().ends_with("base.raw"), "{chain}");
}

#[test]
fn what_writes_images_refuses_and_loses_nothing() {
    let bench = Workbench::new();
    bench.image(&["create", "-q", "-f", "qcow2", "disk.qcow2", "8M"]);
    bench.write("spy.qcow2", "");
    bench.image(&["create", "-q", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw", "spy.qcow2", "1M"]);
    for (arguments, status, said) in [
        (&["image", "create", "disk.qcow2", "1G"][..], 5, "already"),
        (&["image", "create", "new.qcow2", "1X"], 2, "no unit"),
        (&["image", "create", "new.foo", "1G", "--format", "foo"], 1, "no image format 'foo'"),
        (&["image", "create", "none/new.qcow2", "1G"], 3, "there is no directory"),
        (&["image", "create", "new.qcow2", "--backing", "disk.qcow2"], 4, "--backing-format qcow2"),
        (&["image", "resize", "disk.qcow2", "1G"], 4, "--format qcow2"),
        (&["image", "resize", "disk.qcow2", "1M", "--format", "qcow2"], 1, "--shrink"),
        (&["image", "convert", "spy.qcow2", "loot.raw", "--source-format", "qcow2"], 4, "reference policy"),
        (&["image", "rebase", "disk.qcow2", "--format", "qcow2", "--backing", "gone"], 3, "does not exist"),
        (&["image", "rebase", "disk.qcow2", "--no-backing", "--record-only"], 2, "cannot be used with"),
    ] {
        let answer = bench.run(arguments);
        assert_eq!(answer.status, status, "{arguments:?}: {}", answer.stderr);
        assert!(answer.stderr.contains(said), "{arguments:?}: {}", answer.stderr);
    }
    let left: Vec<_> = std::fs::read_dir(bench.path("disk.qcow2").parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("new") || name.contains("loot") || name.contains("part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn image_of_a_running_guest_is_left_alone() {
    let bench = Workbench::new();
    bench.image(&["create", "-q", "-f", "qcow2", "disk.qcow2", "8M"]);
    bench.define(&with_disk("busy", &qcow2_disk(&bench, "disk.qcow2")));
    bench.ok(&["start", "busy", "--paused"]);
    for arguments in [
        &["image", "resize", "disk.qcow2", "1G", "--format", "qcow2"][..],
        &["image", "convert", "disk.qcow2", "copy.raw", "--source-format", "qcow2", "--format", "raw"],
        &["image", "rebase", "disk.qcow2", "--format", "qcow2", "--no-backing"],
    ] {
        let answer = bench.run(arguments);
        assert_eq!(answer.status, 5, "{arguments:?}: {}", answer.stderr);
        assert!(answer.stderr.contains("'busy', which runs"), "{arguments:?}: {}", answer.stderr);
    }
    bench.ok(&["destroy", "busy"]);
    bench.ok(&["image", "resize", "disk.qcow2", "1G", "--format", "qcow2"]);
}
