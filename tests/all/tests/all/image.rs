//! `image chain`: the chain as a start would see it.

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
