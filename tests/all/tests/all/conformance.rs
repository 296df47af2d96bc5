//! `driver test`: our drivers pass the conformance suite with a real QEMU, and each broken rule is found by its case.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::workbench::{Workbench, components, guest, rom_domain};

/// What stands in the misbehaving driver where the rule goes that it breaks.
const FLAW: &[u8; 40] = b"flaw=none                               ";

/// Rules that a driver of domains of `type='flawed'` breaks, and the cases that fail then: these, and no others.
const BROKEN: &[(&str, &[&str])] = &[
    ("about-changes", &["about.pure"]),
    ("about-empty", &["about.pure"]),
    ("check-other-type", &["check.minimal"]),
    ("check-grows", &["check.idempotent", "limits.large-document", "limits.long-values"]),
    ("check-drops-comments", &["check.keeps-foreign", "limits.long-values"]),
    ("check-drops-unknown", &["check.unknown-elements"]),
    ("check-spoils-names", &["check.keeps-identity"]),
    ("check-drops-uuid", &["check.keeps-identity", "parallel.checks"]),
    ("check-emits", &["check.changes-nothing"]),
    ("check-notes", &["check.changes-nothing"]),
    ("check-wants-images", &["check.opens-nothing"]),
    ("input-traps", REFUSED),
    ("input-no-place", REFUSED_BY_CHECK),
    ("input-wrong-type", &["input.wrong-type"]),
    ("input-start-unchecked", &["input.at-start"]),
    ("input-hangs", &["input.junk"]),
    ("input-hoards", &["input.junk"]),
    ("input-recurses", &["input.nesting"]),
    ("life-ignores-paused", &["life.start-paused", "parallel.lives"]),
    (
        "life-suspend-does-nothing",
        &["life.suspend-resume", "state.suspend-twice", "recovery.reattach", "parallel.lives"],
    ),
    ("life-reset-ends", &["life.reset"]),
    ("life-shutdown-pauses", &["life.shutdown"]),
    ("life-destroy-leaves-paused", &["life.destroy", "recovery.undisturbed"]),
    ("life-once", &["life.again", "parallel.lives"]),
    ("state-starts-twice", &["state.start-twice"]),
    (
        "state-ignores-off",
        &["state.suspend-off", "state.resume-off", "state.reset-off", "state.shutdown-off"],
    ),
    ("state-destroy-off-fails", &["life.shutdown", "state.destroy-off"]),
    ("state-suspend-twice-resumes", &["state.suspend-twice"]),
    ("state-resume-twice-fails", &["state.resume-twice"]),
    ("event-unknown-fails", &["event.unknown"]),
    ("event-counts", &["event.twice"]),
    ("event-revives", &["event.late"]),
    ("event-trusts-data", &["event.malformed"]),
    ("recovery-forgets", &["recovery.reattach", "recovery.undisturbed"]),
    ("recovery-disturbs", &["recovery.undisturbed"]),
    ("recovery-off-fails", &["recovery.off"]),
    ("recovery-complete-traps", &["recovery.complete"]),
    ("limits-slow", &["limits.large-document"]),
    ("limits-cuts", &["limits.long-values"]),
    ("native-shows-nothing", &["native.shows", "native.same"]),
    ("native-fails", &["native.shows", "native.same"]),
    ("native-changes", &["native.same"]),
    ("statistics-repeats", &["statistics.reads"]),
    ("statistics-spaces", &["statistics.reads"]),
    ("statistics-miscounts", &["statistics.reads"]),
    ("statistics-notes", &["statistics.changes-nothing"]),
];

/// The cases of documents that are refused as no documents of a domain.
const REFUSED: &[&str] = &[
    "input.empty",
    "input.malformed",
    "input.not-a-domain",
    "input.wrong-type",
    "input.no-name",
    "input.junk",
    "input.nesting",
    "input.control-characters",
    "input.numbers",
    "input.at-start",
];

/// Those of them that ask for a place.
const REFUSED_BY_CHECK: &[&str] = REFUSED.split_at(9).0;

/// Runs the suite; the report and the exit status.
fn tested(bench: &Workbench, driver: &Path, more: &[&str]) -> (Value, i32) {
    let answer =
        bench.run(&[&["-o", "json", "driver", "test", driver.to_str().unwrap(), "--yes"], more].concat());
    let report = serde_json::from_str(&answer.stdout);
    (report.unwrap_or_else(|error| panic!("{error}: {}{}", answer.stdout, answer.stderr)), answer.status)
}

/// The names of the cases with this verdict.
fn with_verdict(report: &Value, verdict: &str) -> BTreeSet<String> {
    let cases = report["cases"].as_array().unwrap().iter();
    let cases = cases.filter(|case| case["verdict"] == verdict);
    cases.map(|case| case["name"].as_str().unwrap().to_owned()).collect()
}

/// What the cases say that did not pass.
fn why(report: &Value) -> String {
    let cases = report["cases"].as_array().unwrap().iter().filter(|case| case["verdict"] != "passed");
    cases.map(|case| format!("\n{}: {}{}", case["name"], case["fault"], case["reason"])).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A driver's file with one text in the place of another of the same length.
fn changed(bench: &Workbench, driver: &Path, from: &[u8], to: &[u8]) -> PathBuf {
    assert_eq!(from.len(), to.len());
    let mut bytes = std::fs::read(driver).unwrap();
    let found: Vec<_> = (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    assert!(!found.is_empty(), "there is no {} in {}", String::from_utf8_lossy(from), driver.display());
    for at in found {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    let path = bench.path("changed.wasm");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn flawed() -> PathBuf {
    components("guests").join("flawed.wasm")
}

/// The driver with these broken rules, each of which has to be found by its cases.
fn each_is_found(group: &str) {
    let bench = Workbench::new();
    let rules: Vec<_> = BROKEN.iter().filter(|(rule, _)| rule.starts_with(group)).collect();
    assert!(!rules.is_empty(), "no rule begins with {group}");
    for (rule, cases) in rules {
        let mut text = FLAW.map(|_| b' ');
        text[..5].copy_from_slice(b"flaw=");
        text[5..5 + rule.len()].copy_from_slice(rule.as_bytes());
        let (report, status) = tested(&bench, &changed(&bench, &flawed(), FLAW, &text), &[]);
        assert_eq!(with_verdict(&report, "failed"), names(cases), "{rule}: {}", why(&report));
        assert_eq!(with_verdict(&report, "skipped"), names(&["recovery.lost"]), "{rule}");
        assert_eq!(status, 7, "{rule}");
    }
}

#[test]
fn broken_rules_of_descriptions_are_found() {
    each_is_found("about-");
}

#[test]
fn broken_rules_of_check_are_found() {
    each_is_found("check-");
}

#[test]
fn broken_rules_of_bad_input_are_found() {
    each_is_found("input-");
}

#[test]
fn broken_rules_of_the_life_cycle_are_found() {
    each_is_found("life-");
}

#[test]
fn broken_rules_of_wrong_states_are_found() {
    each_is_found("state-");
}

#[test]
fn broken_rules_of_events_are_found() {
    each_is_found("event-");
}

#[test]
fn broken_rules_of_recovery_are_found() {
    each_is_found("recovery-");
}

#[test]
fn broken_rules_of_limits_are_found() {
    each_is_found("limits-");
}

#[test]
fn broken_rules_of_shown_launches_are_found() {
    each_is_found("native-");
}

#[test]
fn broken_rules_of_statistics_are_found() {
    each_is_found("statistics-");
}

/// What a driver need not have.
const STATISTICS: [&str; 2] = ["statistics.reads", "statistics.changes-nothing"];

#[test]
fn driver_that_breaks_no_rule_passes_and_so_do_ours() {
    let bench = Workbench::new();
    for (driver, skipped) in [
        (flawed(), &["recovery.lost"][..]),
        (
            components("drivers").join("test.wasm"),
            &["recovery.lost", "native.shows", "native.same", STATISTICS[0], STATISTICS[1]],
        ),
    ] {
        let (report, status) = tested(&bench, &driver, &[]);
        assert_eq!(with_verdict(&report, "failed"), names(&[]), "{}", why(&report));
        assert_eq!(with_verdict(&report, "skipped"), names(skipped), "{}", driver.display());
        assert_eq!(status, 0);
    }
}

#[test]
fn drivers_with_programs_pass_every_case_with_the_real_ones() {
    let bench = Workbench::new();
    for (driver, skipped) in [("qemu.wasm", &[][..]), ("storage-daemon.wasm", &STATISTICS)] {
        let (report, status) = tested(&bench, &components("drivers").join(driver), &[]);
        assert_eq!(with_verdict(&report, "failed"), names(&[]), "{driver}: {}", why(&report));
        assert_eq!(with_verdict(&report, "skipped"), names(skipped), "{driver}: {}", why(&report));
        assert_eq!(status, 0, "{driver}");
    }
}

#[test]
fn domain_of_the_author_is_started_and_nothing_of_it_is_left() {
    let bench = Workbench::new();
    let xml = bench.write("rom.xml", &rom_domain("rom", "qemu"));
    let driver = components("drivers").join("qemu.wasm");
    let more = ["--domain", xml.to_str().unwrap(), "--only", "life", "recovery.lost"];
    let (report, status) = tested(&bench, &driver, &more);
    assert_eq!((with_verdict(&report, "passed").len(), status), (9, 0), "{}", why(&report));
    assert!(!bench.state_root().exists(), "the operator's state directory is not touched");
    let rom = guest("rom.bin");
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        assert!(!line.contains("hostler-driver-test-") || !line.contains(rom.to_str().unwrap()), "{line}");
    }
}

#[test]
fn disks_of_the_author_are_not_given_to_two_domains_at_once() {
    let bench = Workbench::new();
    bench.image(&["create", "-q", "-f", "qcow2", "disk.qcow2", "1M"]);
    let disk = format!(
        "<disk type='file'><driver type='qcow2'/><source file='{}'/><target dev='vda' bus='virtio'/></disk></devices>",
        bench.path("disk.qcow2").display()
    );
    let xml = bench.write("disk.xml", &rom_domain("rom", "qemu").replace("</devices>", &disk));
    let more = ["--domain", xml.to_str().unwrap(), "--only", "life.start", "parallel.lives"];
    let (report, status) = tested(&bench, &components("drivers").join("qemu.wasm"), &more);
    assert_eq!(with_verdict(&report, "passed"), names(&["life.start"]), "{}", why(&report));
    assert_eq!(with_verdict(&report, "skipped"), names(&["parallel.lives"]), "{}", why(&report));
    assert_eq!(status, 0);
}

#[test]
fn file_that_is_no_driver_of_this_contract_fails_where_it_is_wrong_and_nothing_of_it_is_run() {
    let bench = Workbench::new();
    let driver = components("drivers").join("test.wasm");
    for (from, to, failed) in [
        (r#""contract":"0.1.1""#, r#""contract":"0.9.0""#, &["component.contract", "component.loads"][..]),
        (
            r#""domain-types":["test"]"#,
            r#""domain-typos":["test"]"#,
            &["component.manifest", "component.loads"],
        ),
        ("hostler:host/log@0.1.1", "hostler:hose/log@0.1.1", &["component.imports", "component.loads"]),
        ("driver/lifecycle@0.1.1", "driver/lifecycla@0.1.1", &["component.exports", "component.loads"]),
    ] {
        let file = changed(&bench, &driver, from.as_bytes(), to.as_bytes());
        let (report, status) = tested(&bench, &file, &[]);
        let found = with_verdict(&report, "failed");
        assert!(names(failed).is_subset(&found), "{to}: {found:?}");
        assert!(found.iter().all(|name| name.starts_with("component.")), "{to}: {found:?}");
        assert_eq!(with_verdict(&report, "passed").len() + found.len(), 6, "{to}: all others are skipped");
        assert_eq!(status, 7);
    }
    let large = bench.path("large.wasm");
    std::fs::File::create(&large).unwrap().set_len(17 << 20).unwrap();
    let (report, status) = tested(&bench, &large, &[]);
    assert!(with_verdict(&report, "failed").contains("component.size"), "{}", why(&report));
    assert_eq!(status, 7);
    assert_eq!(bench.run(&["driver", "test", "nowhere.wasm"]).status, 3);
}

#[test]
fn what_the_policy_does_not_give_needs_consent_and_names_of_cases_are_checked() {
    let bench = Workbench::new();
    let asks = bench.run(&["driver", "test", flawed().to_str().unwrap()]);
    assert_eq!(asks.status, 4, "{}", asks.stderr);
    assert!(asks.stderr.contains("driver.consent") && asks.stderr.contains("--yes"), "{}", asks.stderr);
    let unknown = bench.run(&["driver", "test", "x.wasm", "--only", "life.strat"]);
    assert_eq!(unknown.status, 3, "{}", unknown.stderr);
    assert!(unknown.stderr.contains("did you mean 'life.start'?"), "{}", unknown.stderr);
    let listed = bench.json(&["driver", "test", "--list", "--only", "recovery"]);
    assert_eq!(listed["cases"].as_array().unwrap().len(), 5);
    assert!(listed["cases"][0]["demands"].is_string() && listed["cases"][0]["why"].is_string());
}
