//! Drivers are installed, upgraded under running guests, pinned, signed and verified; hostile packages get nowhere.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::tenants::Shared;
use crate::workbench::{Answer, Workbench, components, rom_domain};

/// A build of a driver of this tree with some of its manifest replaced by text of the same length.
fn build(bench: &Workbench, driver: &str, file: &str, changes: &[(&str, &str)]) -> PathBuf {
    let mut bytes = std::fs::read(components("drivers").join(format!("{driver}.wasm"))).unwrap();
    for (from, to) in changes {
        assert_eq!(from.len(), to.len());
        bytes = replaced(bytes, from.as_bytes(), to.as_bytes());
    }
    let path = bench.path(file);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The in-memory driver under the name `acme`, for domains of type `acme`.
pub(crate) fn acme(bench: &Workbench, file: &str, version: &str) -> PathBuf {
    let (name, version) = (r#""name":"acme""#, format!(r#""version":"{version}""#));
    let changes = [
        (r#""name":"test""#, name),
        (r#""version":"0.1.0""#, version.as_str()),
        (r#""domain-types":["test"]"#, r#""domain-types":["acme"]"#),
    ];
    build(bench, "test", file, &changes)
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn digest(path: &Path) -> String {
    Sha256::digest(std::fs::read(path).unwrap())
        .iter()
        .fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

fn refused(answer: &Answer, code: &str) {
    assert_eq!(answer.status, 4, "{}{}", answer.stdout, answer.stderr);
    assert!(answer.stderr.contains(code) && answer.stderr.contains("hint:"), "{code}: {}", answer.stderr);
}

fn driver(bench: &Workbench, name: &str) -> Value {
    bench.json(&["driver", "show", name])
}

fn listed(bench: &Workbench, name: &str) -> Vec<Value> {
    let list = bench.json(&["driver", "list"]);
    let drivers = list["drivers"].as_array().unwrap().clone();
    drivers.into_iter().filter(|driver| driver["name"] == name).collect()
}

#[test]
fn third_party_driver_is_installed_used_and_removed() {
    let bench = Workbench::new();
    let file = acme(&bench, "any.wasm", "0.1.0");
    let plan = bench.json(&["driver", "install", text(&file), "--dry-run"]);
    assert_eq!(plan["plan"]["digest"], digest(&file));
    assert!(listed(&bench, "acme").is_empty(), "a dry run installs nothing");
    let shown = bench.run(&["driver", "install", text(&file)]);
    assert_eq!(shown.status, 0, "{}", shown.stderr);
    assert!(shown.stderr.contains("driver:        acme 0.1.0"), "it is shown first: {}", shown.stderr);
    assert_eq!(listed(&bench, "acme")[0]["origin"], "installed");
    assert!(bench.ok(&["driver", "install", text(&file)]).contains("installed already"));

    std::fs::remove_file(&file).unwrap();
    bench
        .define("<domain type='acme'><name>a</name><memory>65536</memory><os><type>hvm</type></os></domain>");
    bench.ok(&["start", "a"]);
    let changes = [
        (r#""name":"test""#, r#""name":"acme""#),
        (r#""domain-types":["test"]"#, r#""domain-types":["else"]"#),
    ];
    let other =
        bench.run(&["driver", "upgrade", "acme", text(&build(&bench, "test", "other.wasm", &changes))]);
    refused(&other, "driver.type-needed");
    let busy = bench.run(&["driver", "remove", "acme"]);
    assert_eq!(busy.status, 5, "{}", busy.stderr);
    assert!(busy.stderr.contains("is needed by: a"), "{}", busy.stderr);
    bench.ok(&["destroy", "a"]);
    bench.ok(&["undefine", "a"]);
    bench.ok(&["driver", "remove", "acme"]);
    assert!(listed(&bench, "acme").is_empty());
    assert_eq!(bench.run(&["driver", "remove", "acme"]).status, 3);
}

/// A tenant's domains are not the operator's to list, and still keep the driver that they need.
#[test]
fn driver_that_a_tenants_domain_needs_is_not_removed() {
    let shared = Shared::new(&["blue"]);
    let bench = &shared.0;
    bench.ok(&["driver", "install", text(&acme(bench, "acme.wasm", "0.1.0"))]);
    let document =
        "<domain type='acme'><name>a</name><memory>65536</memory><os><type>hvm</type></os></domain>";
    let file = bench.write("a.xml", document);
    let defined = shared.run("blue", &["define", text(&file)]);
    assert_eq!(defined.status, 0, "{}", defined.stderr);
    let busy = bench.run(&["driver", "remove", "acme"]);
    assert_eq!(busy.status, 5, "{}", busy.stderr);
    assert!(busy.stderr.contains("driver.in-use"), "{}", busy.stderr);
    assert!(busy.stderr.contains("is needed by: a of the tenant blue"), "{}", busy.stderr);
    assert_eq!(listed(bench, "acme").len(), 1, "it is there, and its domain starts");
    for verb in ["start", "destroy", "undefine"] {
        let answer = shared.run("blue", &[verb, "a"]);
        assert_eq!(answer.status, 0, "{verb}: {}", answer.stderr);
    }
    bench.ok(&["driver", "remove", "acme"]);
    assert!(listed(bench, "acme").is_empty());
}

#[test]
fn driver_is_upgraded_under_a_running_guest_and_back() {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    bench.ok(&["start", "rom"]);
    let pid = bench.json(&["show", "rom"])["pid"].clone();
    let newer = build(&bench, "qemu", "newer.wasm", &[(r#""version":"0.1.0""#, r#""version":"0.1.1""#)]);
    // The newest spells an event otherwise, which shows who has done it.
    let version = (r#""version":"0.1.0""#, r#""version":"0.2.0""#);
    let newest = build(&bench, "qemu", "newest.wasm", &[version, ("resumed", "renewed")]);
    let mut by_newest = 0;
    refused(&bench.run(&["driver", "install", text(&newer)]), "driver.consent");
    bench.ok(&["driver", "install", text(&newer), "--yes"]);
    bench.ok(&["driver", "upgrade", "qemu", text(&newest)]);
    let rows = listed(&bench, "qemu");
    assert_eq!(
        (rows[0]["origin"].as_str(), rows[1]["origin"].as_str()),
        (Some("installed"), Some("directory"))
    );
    assert_eq!((&rows[0]["hidden"], &rows[1]["hidden"]), (&Value::Bool(false), &Value::Bool(true)));

    let used = |version: &str| assert_eq!(driver(&bench, "qemu")["version"], version);
    for (step, version) in [
        (&["driver", "list"][..], "0.2.0"),
        (&["driver", "rollback", "qemu"], "0.1.1"),
        (&["driver", "upgrade", "qemu", "--to", "0.2.0"], "0.2.0"),
    ] {
        bench.ok(step);
        used(version);
        bench.ok(&["suspend", "rom"]);
        assert_eq!(bench.state_of("rom").as_deref(), Some("paused"));
        bench.ok(&["resume", "rom"]);
        assert_eq!(bench.state_of("rom").as_deref(), Some("running"));
        assert_eq!(bench.json(&["show", "rom"])["pid"], pid, "the guest was never stopped");
        by_newest += usize::from(version == "0.2.0");
        assert_eq!(bench.ok(&["events"]).matches("renewed").count(), by_newest);
    }
    bench.ok(&["driver", "remove", "qemu"]);
    used("0.1.0");
    bench.ok(&["destroy", "rom"]);
    assert_eq!(bench.state_of("rom").as_deref(), Some("off"));
}

#[test]
fn each_operation_goes_through_the_version_that_is_used_then() {
    let bench = Workbench::new();
    bench.ok(&["driver", "install", text(&acme(&bench, "1.wasm", "0.1.0"))]);
    // The newer one spells an event otherwise, which shows who has done it.
    let newer = acme(&bench, "2.wasm", "0.2.0");
    let bytes = std::fs::read(&newer).unwrap();
    std::fs::write(&newer, replaced(bytes, b"resumed", b"renewed")).unwrap();
    bench
        .define("<domain type='acme'><name>a</name><memory>65536</memory><os><type>hvm</type></os></domain>");
    bench.ok(&["start", "a"]);
    let mut seen = Vec::new();
    for step in [
        &["driver", "list"][..],
        &["driver", "upgrade", "acme", text(&newer)],
        &["driver", "rollback", "acme"],
    ] {
        bench.ok(step);
        bench.ok(&["suspend", "a"]);
        bench.ok(&["resume", "a"]);
        let events = bench.ok(&["events"]);
        seen.push((events.matches("resumed").count(), events.matches("renewed").count()));
    }
    assert_eq!(seen, [(1, 0), (1, 1), (2, 1)]);
    bench.ok(&["destroy", "a"]);
}

fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let found: Vec<_> = (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    assert!(!found.is_empty(), "there is no {}", String::from_utf8_lossy(from));
    for at in found {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

#[test]
fn what_a_driver_asks_for_beyond_the_policy_needs_consent_and_each_upgrade_that_asks_for_more() {
    let bench = Workbench::new();
    let policy = bench.write("policy.json", "{}");
    let run = |arguments: &[&str]| bench.run(&[&["--policy", text(&policy)], arguments].concat());
    let name = (r#""name":"qemu""#, r#""name":"acme""#);
    let types = (r#""domain-types":["kvm","qemu"]"#, r#""domain-types":["acm","acme"]"#);
    let all = r#"["process:qemu-system-x86_64","process:swtpm","process:virtiofsd","process:passt","qmp","storage","firmware","endpoint","network","secret"]"#;
    let few = format!("{:width$}]", r#"["process:qemu-system-x86_64","qmp""#, width = all.len() - 1);
    let less = build(&bench, "qemu", "less.wasm", &[name, types, (all, few.as_str())]);
    let more =
        build(&bench, "qemu", "more.wasm", &[name, types, (r#""version":"0.1.0""#, r#""version":"0.2.0""#)]);
    let answer = run(&["driver", "install", text(&less)]);
    refused(&answer, "driver.consent");
    assert!(answer.stderr.contains("'qmp', which the policy does not give it"), "{}", answer.stderr);
    assert_eq!(run(&["driver", "install", text(&less), "--yes"]).status, 0);
    refused(&run(&["driver", "upgrade", "acme", text(&more)]), "driver.consent");
    let shown = run(&["-o", "json", "driver", "show", "acme"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!((&shown["version"], shown["grants"].as_array().unwrap().len()), (&Value::from("0.1.0"), 2));
    assert_eq!(shown["grants"][1]["by"], "operator");
    assert_eq!(run(&["driver", "upgrade", "acme", text(&more), "--yes"]).status, 0);

    assert_eq!(run(&["driver", "grant", "acme", "qmp", "endpoint", "--deny"]).status, 0);
    let shown = run(&["driver", "show", "acme"]).stdout;
    assert!(shown.contains("denied:        qmp: the operator has withdrawn 'qmp'"), "{shown}");
    assert_eq!(run(&["driver", "grant", "acme", "qmp"]).status, 0);
    assert!(!run(&["driver", "show", "acme"]).stdout.contains("withdrawn 'qmp'"));
    assert_eq!(run(&["driver", "grant", "acme", "qpm"]).status, 1);
    assert_eq!(run(&["driver", "grant", "nobody", "qmp"]).status, 3);
}

#[test]
fn used_grants_are_shown_beside_those_that_were_given() {
    let bench = Workbench::new();
    let used = |name: &str| -> Vec<String> {
        let grants = driver(&bench, name)["grants"].as_array().unwrap().clone();
        let used = grants.iter().filter(|grant| grant["first_used_unix_ms"].is_u64());
        used.map(|grant| grant["grant"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(used("qemu"), Vec::<String>::new());
    bench.define(&rom_domain("rom", "qemu"));
    bench.ok(&["start", "rom"]);
    let after = used("qemu");
    assert!(
        after.contains(&"qmp".to_owned()) && after.contains(&"process:qemu-system-x86_64".to_owned()),
        "{after:?}"
    );
    assert!(!after.contains(&"storage".to_owned()), "the domain has no disk: {after:?}");
    bench.ok(&["destroy", "rom"]);
}

#[test]
fn signatures_are_asked_for_at_install_and_at_load_once_a_key_is_configured() {
    let bench = Workbench::new();
    let made = bench.json(&["driver", "keygen", "key"]);
    let policy = format!(
        r#"{{"signers":{{"acme inc":{{"key":"{}","drivers":["acme*"]}}}}}}"#,
        made["key"].as_str().unwrap()
    );
    let policy = bench.write("policy.json", &policy);
    let signed_only = |arguments: &[&str]| bench.run(&[&["--policy", text(&policy)], arguments].concat());

    let file = acme(&bench, "acme.wasm", "0.1.0");
    refused(&signed_only(&["driver", "install", text(&file)]), "grant.unsigned");
    bench.ok(&["driver", "install", text(&file)]);
    refused(&signed_only(&["driver", "show", "acme"]), "driver.denied");
    refused(&signed_only(&["driver", "show", "test"]), "driver.denied");

    bench.ok(&["driver", "sign", text(&file), "--key", "key"]);
    assert_eq!(signed_only(&["driver", "install", text(&file)]).status, 0);
    let shown = signed_only(&["-o", "json", "driver", "show", "acme"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["signer"], "acme inc");

    let newer = acme(&bench, "newer.wasm", "0.2.0");
    std::fs::copy(bench.path("acme.wasm.sig"), bench.path("newer.wasm.sig")).unwrap();
    refused(&signed_only(&["driver", "upgrade", "acme", text(&newer)]), "grant.signature-invalid");
    let test = build(&bench, "test", "test.wasm", &[]);
    bench.ok(&["driver", "sign", text(&test), "--key", "key"]);
    refused(&signed_only(&["driver", "install", text(&test)]), "may sign acme* only");

    let answer = signed_only(&["-o", "json", "driver", "verify"]);
    assert_eq!(answer.status, 4);
    let answer: Value = serde_json::from_str(&answer.stdout).unwrap();
    for found in answer["drivers"].as_array().unwrap() {
        let good = found["name"] == "acme";
        assert_eq!((found["problem"].is_null(), found["signer"].is_string()), (good, good), "{found}");
    }
}

#[test]
fn key_that_others_may_read_signs_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Workbench::new();
    bench.ok(&["driver", "keygen", "key"]);
    refused(&bench.run(&["driver", "keygen", "key"]), "package.key");
    std::fs::set_permissions(bench.path("key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let file = acme(&bench, "acme.wasm", "0.1.0");
    refused(&bench.run(&["driver", "sign", text(&file), "--key", "key"]), "chmod 600");
    assert!(!bench.path("acme.wasm.sig").exists());
}

#[test]
fn changed_file_of_an_installed_driver_is_refused_at_load_and_found_by_verify() {
    let bench = Workbench::new();
    bench.ok(&["driver", "install", text(&acme(&bench, "acme.wasm", "0.1.0"))]);
    let stored = PathBuf::from(driver(&bench, "acme")["path"].as_str().unwrap());
    assert_eq!(bench.run(&["driver", "verify", "acme"]).status, 0);
    let whole = std::fs::read(&stored).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(&stored, &changed).unwrap();
    refused(&bench.run(&["driver", "show", "acme"]), "was changed");
    let verified = bench.run(&["driver", "verify"]);
    assert_eq!(verified.status, 4);
    assert!(verified.stdout.contains("package.digest"), "{}", verified.stdout);

    std::fs::remove_file(&stored).unwrap();
    std::os::unix::fs::symlink(bench.path("acme.wasm"), &stored).unwrap();
    let linked = bench.run(&["driver", "show", "acme"]);
    assert!(linked.status != 0 && linked.stderr.contains("is a link"), "{}", linked.stderr);
    assert_eq!(bench.run(&["driver", "verify", "acme"]).status, 4);
    bench.ok(&["driver", "install", text(&bench.path("acme.wasm"))]);
    assert_eq!(std::fs::read(&stored).unwrap(), whole, "installing it again mends it");
    assert_eq!(bench.run(&["driver", "verify", "acme"]).status, 0);
}

#[test]
fn older_and_pinned_out_versions_are_refused_until_the_operator_says_otherwise() {
    let bench = Workbench::new();
    let [old, new, newest] =
        ["0.1.0", "0.1.9", "0.2.0"].map(|version| acme(&bench, &format!("{version}.wasm"), version));
    bench.ok(&["driver", "install", text(&new)]);
    refused(&bench.run(&["driver", "upgrade", "acme", text(&old)]), "driver.older");
    bench.ok(&["driver", "pin", "acme"]);
    refused(&bench.run(&["driver", "upgrade", "acme", text(&newest)]), "grant.digest-mismatch");
    bench.ok(&["driver", "pin", "acme", "--none"]);
    bench.ok(&["driver", "upgrade", "acme", text(&old), "--allow-older", "--yes"]);
    bench.ok(&["driver", "upgrade", "acme", text(&newest)]);
    let wrong = bench.run(&["driver", "pin", "acme", &digest(&old)]);
    assert_eq!(wrong.status, 5, "{}", wrong.stderr);
    let versions = driver(&bench, "acme")["versions"].as_array().unwrap().len();
    assert_eq!(versions, 3);
    let to = &digest(&new)["sha256:".len()..][..12];
    bench.ok(&["driver", "upgrade", "acme", "--to", to]);
    assert_eq!(driver(&bench, "acme")["version"], "0.1.9");
    assert_eq!(bench.run(&["driver", "upgrade", "acme", "--to", "9.9"]).status, 3);

    bench.ok(&["driver", "pin", "qemu"]);
    let other = build(&bench, "qemu", "qemu.wasm", &[(r#""version":"0.1.0""#, r#""version":"0.1.1""#)]);
    refused(&bench.run(&["driver", "install", text(&other), "--yes"]), "grant.digest-mismatch");
}

#[test]
fn domain_type_belongs_to_one_driver_until_the_operator_gives_it_away() {
    let bench = Workbench::new();
    let rival = build(&bench, "test", "rival.wasm", &[(r#""name":"test""#, r#""name":"best""#)]);
    refused(&bench.run(&["driver", "install", text(&rival)]), "driver.type-taken");
    refused(&bench.run(&["driver", "install", text(&rival), "--take-types"]), "driver.consent");
    bench.ok(&["driver", "install", text(&rival), "--take-types", "--yes"]);
    let define = |name: &str| {
        bench.define(&format!(
            "<domain type='test'><name>{name}</name><memory>65536</memory><os><type>hvm</type></os></domain>"
        ));
        bench.json(&["show", name])["driver"].clone()
    };
    assert_eq!(define("a"), "best");
    bench.ok(&["undefine", "a"]);
    bench.ok(&["driver", "remove", "best"]);
    assert_eq!(define("b"), "test");
}

#[test]
fn packages_that_mean_harm_are_refused_with_everything_that_is_wrong() {
    let bench = Workbench::new();
    let good = acme(&bench, "good.wasm", "0.1.0");
    let whole = std::fs::read(&good).unwrap();
    let make = |name: &str, bytes: &[u8]| {
        let path = bench.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let pipe = bench.path("pipe.wasm");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    let large = bench.path("large.wasm");
    std::fs::File::create(&large).unwrap().set_len(17 << 20).unwrap();
    let cases = [
        (pipe, "is not a file"),
        (large, "larger than 16 MiB"),
        (make("torn.wasm", &whole[..whole.len() / 2]), "package.component"),
        (make("cut.wasm", &whole[..whole.len() - 1]), "package.component"),
        (make("text.wasm", b"#!/bin/sh"), "not WebAssembly"),
        (make("extra.wasm", &[whole.as_slice(), &[0x7f, 1, 0]].concat()), "driver.load"),
        (bench.path("absent.wasm"), "package.not-found"),
    ];
    for (path, expected) in cases {
        for verb in ["check", "install"] {
            let answer = bench.run(&["driver", verb, text(&path)]);
            let told = format!("{}{}", answer.stdout, answer.stderr);
            assert!(answer.status != 0 && told.contains(expected), "{verb} {}: {told}", path.display());
        }
    }
    for name in ["../good", "", "a/b", "GOOD"] {
        for verb in ["show", "remove", "rollback"] {
            let answer = bench.run(&["driver", verb, name]);
            assert_eq!(answer.status, 3, "{verb} '{name}': {}", answer.stderr);
        }
    }
    assert_eq!(bench.run(&["driver", "pin", "../x", &digest(&good)]).status, 1);
    let wrong = bench.run(&["driver", "upgrade", "test", text(&good)]);
    refused(&wrong, "driver.name-mismatch");
    assert!(listed(&bench, "acme").is_empty());
}

#[test]
fn check_tells_every_reason_at_once_and_compiles_nothing_then() {
    let bench = Workbench::new();
    let file = build(
        &bench,
        "test",
        "bad.wasm",
        &[
            (r#""contract":"0.1.1""#, r#""contract":"0.9.0""#),
            (r#""name":"test""#, r#""name":"Test""#),
            ("hostler:host/log@0.1.1", "hostler:host/lag@0.1.1"),
        ],
    );
    let cache = bench.path("cache");
    let mut command = bench.command(&["-o", "json", "driver", "check", text(&file)]);
    let answer = Answer::of(command.env("HOSTLER_CACHE_DIR", &cache).output().unwrap());
    assert_eq!(answer.status, 4, "{}", answer.stderr);
    let plan: Value = serde_json::from_str(&answer.stdout).unwrap();
    let codes: Vec<_> =
        plan["plan"]["problems"].as_array().unwrap().iter().map(|problem| problem["code"].clone()).collect();
    for code in ["grant.contract-version", "grant.manifest-invalid", "package.contract"] {
        assert!(codes.iter().any(|found| found == code), "{code}: {codes:?}");
    }
    assert_eq!(plan["plan"]["contract_offered"], "0.1.1");
    assert!(!cache.exists(), "nothing was compiled");
    assert_eq!(
        bench.json(&["driver", "check", text(&acme(&bench, "good.wasm", "0.1.0"))])["verdict"],
        "accepted"
    );
}

#[test]
fn oci_layout_is_installed_with_its_signature_and_a_wrong_blob_is_not() {
    let bench = Workbench::new();
    let made = bench.json(&["driver", "keygen", "key"]);
    let policy = format!(r#"{{"signers":{{"acme":"{}"}}}}"#, made["key"].as_str().unwrap());
    let policy = bench.write("policy.json", &policy);
    let file = acme(&bench, "acme.wasm", "0.1.0");
    bench.ok(&["driver", "sign", text(&file), "--key", "key"]);
    let blobs = bench.path("layout/blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let blob = |path: &Path, kind: &str| {
        let digest = digest(path);
        std::fs::copy(path, blobs.join(&digest["sha256:".len()..])).unwrap();
        serde_json::json!({"mediaType": kind, "digest": digest, "size": std::fs::metadata(path).unwrap().len()})
    };
    let empty = bench.write("empty", "{}");
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "artifactType": "application/vnd.hostler.driver.v1+wasm",
        "config": blob(&empty, "application/vnd.oci.empty.v1+json"),
        "layers": [blob(&file, "application/wasm"),
            blob(&bench.path("acme.wasm.sig"), "application/vnd.hostler.driver.signatures.v1")],
    });
    let manifest = bench.write("manifest", &manifest.to_string());
    let index = serde_json::json!({"schemaVersion": 2,
        "manifests": [blob(&manifest, "application/vnd.oci.image.manifest.v1+json")]});
    bench.write("layout/index.json", &index.to_string());
    bench.write("layout/oci-layout", r#"{"imageLayoutVersion": "1.0.0"}"#);
    let layout = bench.path("layout");

    let component = blobs.join(&digest(&file)["sha256:".len()..]);
    let whole = std::fs::read(&component).unwrap();
    std::fs::write(&component, &whole[1..]).unwrap();
    let wrong = bench.run(&["--policy", text(&policy), "driver", "install", text(&layout)]);
    refused(&wrong, "package.digest");
    std::fs::write(&component, whole).unwrap();
    let installed = bench.run(&["--policy", text(&policy), "-o", "json", "driver", "install", text(&layout)]);
    assert_eq!(installed.status, 0, "{}", installed.stderr);
    let installed: Value = serde_json::from_str(&installed.stdout).unwrap();
    assert_eq!(
        (&installed["plan"]["form"], &installed["plan"]["signer"]),
        (&Value::from("oci-layout"), &Value::from("acme"))
    );
    assert_eq!(installed["driver"]["digest"], digest(&file));
}

#[test]
fn folder_with_one_component_is_a_package() {
    let bench = Workbench::new();
    std::fs::create_dir(bench.path("folder")).unwrap();
    let file = acme(&bench, "folder/acme.wasm", "0.1.0");
    let installed = bench.json(&["driver", "install", text(&bench.path("folder"))]);
    assert_eq!(installed["driver"]["digest"], digest(&file));
    std::os::unix::fs::symlink(&file, bench.path("folder/other.wasm")).unwrap();
    let several = bench.run(&["driver", "install", text(&bench.path("folder"))]);
    assert!(several.status == 1 && several.stderr.contains("several components"), "{}", several.stderr);
}
