//! Which firmware a domain is given: listed, explained, chosen when it is defined, and kept from then on.

use crate::firmware_scene::{CODE, ENROLLED, Scene, TEMPLATE};

/// The names and verdicts of an explanation.
fn verdicts(explanation: &serde_json::Value) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let all = explanation["descriptors"].as_array().unwrap().iter();
    all.map(|one| (text(&one["name"]), text(&one["verdict"]))).collect()
}

#[test]
fn list_has_every_descriptor_with_its_standing() {
    let scene = Scene::new();
    scene.describe("vendor/40-keys.json", (CODE, ENROLLED, "raw"), r#""enrolled-keys","requires-smm""#);
    scene.describe("vendor/50-other.json", (CODE, TEMPLATE, "raw"), "");
    scene.describe("local/60-plain.json", (CODE, TEMPLATE, "qcow2"), "");
    scene.bench.write("local/50-other.json", "");
    scene.bench.write("local/70-broken.json", "{");
    let list = scene.json(&["firmware", "list"]);
    let found: Vec<_> = list["descriptors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (one["name"].as_str().unwrap(), one["standing"].as_str().unwrap(), one["code_format"].as_str())
        })
        .collect();
    assert_eq!(
        found,
        [
            ("40-keys.json", "used", Some("raw")),
            ("50-other.json", "masked", None),
            ("60-plain.json", "used", Some("qcow2")),
            ("60-plain.json", "hidden", None),
            ("70-broken.json", "invalid", None),
        ]
    );
    assert_eq!(list["descriptors"][0]["needs"][0], "smm");
    assert_eq!(list["descriptors"][0]["features"][0], "enrolled-keys");
    assert!(list["descriptors"][3]["hidden_by"].as_str().unwrap().ends_with("local/60-plain.json"));
    let table = scene.run(&["firmware", "list"]);
    assert!(table.stdout.contains("masked") && table.stdout.contains("OVMF_CODE_4M.fd"), "{}", table.stdout);
    assert!(table.stderr.contains("70-broken.json"), "{}", table.stderr);
}

#[test]
fn firmware_that_only_kvm_cannot_run_here_is_chosen_and_said_when_it_is_to_start() {
    let scene = Scene::new();
    scene.describe(
        "vendor/40-keys.json",
        (CODE, ENROLLED, "raw"),
        r#""enrolled-keys","secure-boot","requires-smm""#,
    );
    let wish = "<firmware><feature name='secure-boot' enabled='yes'/></firmware>";
    let file = scene.document("s", " firmware='efi'", wish);
    let emulated = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, emulated.replace("type='qemu'", "type='kvm'")).unwrap();
    let defined = scene.run(&["define", &file]);
    assert_eq!(defined.status, 0, "{}", defined.stderr);
    if defined.stderr.contains("system management mode") {
        let started = scene.run(&["start", "s"]);
        assert!(started.status != 0 && started.stderr.contains("firmware.no-smm"), "{}", started.stderr);
        assert!(scene.ok(&["native", "s"]).contains("smm=on"));
    } else {
        eprintln!("KVM runs system management mode here: the refusal at a start was not seen");
    }
    std::fs::write(&file, emulated).unwrap();
    assert!(scene.run(&["define", &file]).stderr.is_empty(), "emulated, everything has it");
}

#[test]
fn choice_is_made_at_define_and_no_later_descriptor_changes_it() {
    let scene = Scene::new();
    scene.describe("vendor/40-keys.json", (CODE, ENROLLED, "raw"), r#""enrolled-keys""#);
    let wish = "<firmware><feature name='enrolled-keys' enabled='no'/></firmware>";
    let defined = scene.json(&["define", &scene.document("u", " firmware='efi'", wish)]);
    assert!(defined["firmware"]["descriptor"].as_str().unwrap().ends_with("60-plain.json"), "{defined}");
    assert!(
        defined["firmware"]["passed_over"][0]["reason"].as_str().unwrap().contains("enrolled-keys"),
        "{defined}"
    );
    std::fs::remove_file(scene.path("vendor/40-keys.json")).unwrap();
    let written = scene.ok(&["xml", "u"]);
    assert!(written.contains(&format!("<loader type='pflash' readonly='yes'>{CODE}</loader>")), "{written}");
    assert!(written.contains(&format!("<nvram template='{TEMPLATE}'/>")), "{written}");
    // A descriptor that would win now, and none at all, are the same to a domain that is defined.
    scene.describe("local/10-new.json", ("/nonexistent/code", "/nonexistent/vars", "raw"), "");
    let explanation = scene.json(&["firmware", "explain", "u"]);
    assert_eq!(explanation["chosen_by"], "definition");
    let expected = [("10-new.json", "fits"), ("60-plain.json", "chosen")];
    assert_eq!(verdicts(&explanation), expected.map(|(name, verdict)| (name.to_owned(), verdict.to_owned())));
    scene.start_and_end(&[]);
    std::fs::remove_file(scene.path("vendor/60-plain.json")).unwrap();
    std::fs::remove_file(scene.path("local/10-new.json")).unwrap();
    scene.start_and_end(&[]);
    // Defined again as it is, it stays what it is, and that is said.
    let file = scene.bench.write("again.xml", &scene.ok(&["xml", "u"]));
    let again = scene.json(&["define", file.to_str().unwrap()]);
    assert!(again.to_string().contains("no descriptor of this host describes the firmware"), "{again}");
    scene.start_and_end(&[]);
    // A new one is not.
    let (code, text) = scene.refused(&["define", &scene.document("new", " firmware='efi'", "")]);
    assert_eq!(code, "firmware.no-match", "{text}");
}

#[test]
fn wishes_decide_and_each_refusal_says_why() {
    let scene = Scene::new();
    scene.describe(
        "vendor/40-keys.json",
        (CODE, ENROLLED, "raw"),
        r#""enrolled-keys","secure-boot","requires-smm""#,
    );
    scene.describe("vendor/70-s3.json", (CODE, TEMPLATE, "raw"), r#""acpi-s3""#);
    let explain = |os: &str| {
        let file = scene.document("w", " firmware='efi'", os);
        scene.json(&["firmware", "explain", "--file", &file])
    };
    let chosen = |os: &str| {
        let explanation = explain(os);
        verdicts(&explanation).into_iter().find(|(_, verdict)| verdict == "chosen").map(|(name, _)| name)
    };
    let feature =
        |name: &str, on: &str| format!("<firmware><feature name='{name}' enabled='{on}'/></firmware>");
    assert_eq!(chosen("").as_deref(), Some("40-keys.json"));
    assert_eq!(chosen(&feature("enrolled-keys", "no")).as_deref(), Some("60-plain.json"));
    assert_eq!(chosen(&feature("secure-boot", "yes")).as_deref(), Some("40-keys.json"));
    assert_eq!(chosen("<loader secure='no'/>").as_deref(), Some("60-plain.json"));
    assert_eq!(chosen("<loader secure='yes'/>").as_deref(), Some("40-keys.json"));
    let none = explain("<loader stateless='yes'/>");
    assert!(
        none["firmware"].is_null() && none["problem"].as_str().unwrap().contains("no firmware"),
        "{none}"
    );
    assert!(none.to_string().contains("stateless firmware is asked for"), "{none}");
    let qcow2 = explain("<loader format='qcow2'/>");
    assert!(qcow2.to_string().contains("but format qcow2 is asked for"), "{qcow2}");
    assert_eq!(explain("")["firmware"]["needs_smm"], true);
    let named = scene.document("w", "", &format!("<loader type='pflash' readonly='yes'>{CODE}</loader>"));
    let named = scene.json(&["firmware", "explain", "--file", &named]);
    assert_eq!((named["chosen_by"].as_str(), verdicts(&named)[0].1.as_str()), (Some("document"), "chosen"));
    let table = scene.ok(&["firmware", "explain", "--file", &scene.document("w", " firmware='efi'", "")]);
    assert!(table.contains("40-keys.json   chosen"), "{table}");
    let machine = scene.json(&["firmware", "explain", "--file", &scene.document("w", "", "")]);
    assert_eq!(machine["chosen_by"], "machine");
}

#[test]
fn what_no_start_could_have_is_refused_when_it_is_defined() {
    let scene = Scene::new();
    let network =
        "<nvram type='network'><source protocol='nbd' name='x'><host name='h' port='1'/></source></nvram>";
    let loader = format!("<loader type='pflash' readonly='yes'>{CODE}</loader>");
    for (os, expected) in [
        (format!("{loader}{network}"), "firmware.store-elsewhere"),
        // libvirt lets this one pass, and a reset is silently not done.
        (
            format!("{loader}{}", network.replace("<nvram ", &format!("<nvram template='{TEMPLATE}' "))),
            "firmware.store-elsewhere",
        ),
        (loader.replace("readonly='yes'", "readonly='no'"), "firmware.code-writable"),
        (loader.replace("readonly='yes'", "format='vmdk'"), "firmware.format-unknown"),
    ] {
        let (code, text) = scene.refused(&["define", &scene.document("u", "", &os)]);
        assert_eq!(code, expected, "{text}");
    }
}

#[test]
fn tenant_is_given_installed_firmware_and_names_no_other() {
    let scene = Scene::new();
    std::fs::create_dir(scene.path("blue")).unwrap();
    scene.ok(&["tenant", "create", "blue", "--storage-root", &scene.shown("blue"), "--driver", "*"]);
    let file = scene.document("u", " firmware='efi'", "");
    scene.ok(&["--tenant", "blue", "define", &file]);
    let written = scene.ok(&["--tenant", "blue", "xml", "u"]);
    assert!(written.contains(CODE) && written.contains(TEMPLATE), "{written}");
    scene.ok(&["--tenant", "blue", "start", "u", "--paused", "--reset-nvram"]);
    scene.ok(&["--tenant", "blue", "destroy", "u"]);
    // What was written may come back; what no descriptor has may not be named.
    for (from, to, expected) in [
        (CODE, CODE, None),
        (TEMPLATE, ENROLLED, Some("tenant.nvram")),
        (CODE, "/etc/shadow", Some("storage.outside-roots")),
    ] {
        let file =
            scene.bench.write("changed.xml", &written.replace(" firmware='efi'", "").replace(from, to));
        let define = ["--tenant", "blue", "define", file.to_str().unwrap()];
        match expected {
            Some(code) => assert_eq!(scene.refused(&define).0, code),
            None => drop(scene.ok(&define)),
        }
    }
}
