//! Completion gives every device the place that libvirt gave it.

#![expect(clippy::print_stderr, reason = "a skipped set and the figures must be visible")]

use std::fs;
use std::path::{Path, PathBuf};

use hostler_sdk::domain::Domain;

use super::completed;
use super::report::Machine;
use crate::complete::complete;

/// Where the recorded machines are; they are not part of the source.
const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus");

fn cases(set: &str) -> Vec<PathBuf> {
    let Ok(directory) = fs::read_dir(Path::new(CORPUS).join(set)) else {
        eprintln!("SKIPPED: no recorded machines at {CORPUS}/{set}");
        return Vec::new();
    };
    let mut cases: Vec<_> = directory.map(|entry| entry.unwrap().path()).collect();
    cases.retain(|case| case.join("domain.xml").exists() && case.join("expected.json").exists());
    cases.sort();
    cases
}

fn argv(case: &Path) -> Vec<String> {
    let text = fs::read_to_string(case.join("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    expected["argv"].as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// Devices compared, those that match, cases, and cases that match whole.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    devices: usize,
    matched: usize,
    cases: usize,
    whole: usize,
}

fn score(set: &str) -> Option<Score> {
    let mut score = Score::default();
    for case in cases(set) {
        score.cases += 1;
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let xml = fs::read_to_string(case.join("domain.xml")).unwrap();
        let domain = match Domain::parse(&xml) {
            Ok(domain) => domain,
            Err(error) => {
                eprintln!("{name}: {error}");
                continue;
            }
        };
        let domain = match complete(domain, |bytes| bytes.fill(0x5a)) {
            Ok(domain) => domain,
            Err(error) => {
                eprintln!("{name}: {error:?}");
                continue;
            }
        };
        let report = Machine::new(domain).compare(&argv(&case));
        for difference in &report.differences {
            eprintln!("{name}: {}: wanted {}, found {}", difference.id, difference.wanted, difference.found);
        }
        score.devices += report.compared;
        score.matched += report.matched;
        score.whole += usize::from(report.differences.is_empty());
    }
    let Score { devices, matched, cases, whole } = score;
    eprintln!("{set}: addresses matched {matched} of {devices} devices, {whole} of {cases} cases whole");
    (cases > 0).then_some(score)
}

#[test]
fn libvirt_8_5_places_devices_there_too() {
    if let Some(score) = score("argv") {
        assert!(score.whole >= 157, "{score:?}");
    }
}

#[test]
fn libvirt_9_0_places_devices_there_too() {
    if let Some(score) = score("oracle90") {
        assert!(score.whole >= 295, "{score:?}");
    }
}

#[test]
fn what_other_programs_write_is_placed_like_libvirt_does() {
    if let Some(score) = score("realistic") {
        assert!(score.whole >= 14, "{score:?}");
    }
}

/// What is wrong in these classes is a matter of places, controllers and topology.
const REFUSED: &[&str] = &["pci-address", "address-conflict", "usb-topology"];

#[test]
fn what_libvirt_refuses_for_its_places_is_refused() {
    let (mut wrong, mut refused) = (0_usize, 0_usize);
    for case in cases("xml_errors") {
        let text = fs::read_to_string(case.join("expected.json")).unwrap();
        let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
        let class = expected["category"].as_str().unwrap();
        if !REFUSED.contains(&class)
            || expected["portable_x86"] != true
            || expected["version_dependent"] == true
        {
            continue;
        }
        wrong += 1;
        let xml = fs::read_to_string(case.join("domain.xml")).unwrap();
        let outcome = Domain::parse(&xml).map_err(hostler_sdk::Error::from);
        match outcome.and_then(|domain| complete(domain, |bytes| bytes.fill(0x5a))) {
            Ok(_) => eprintln!("{}: accepted; libvirt: {}", case.display(), expected["error"]),
            Err(error) => {
                eprintln!("{}: {error:?}; libvirt: {}", case.display(), expected["error"]);
                refused += 1;
            }
        }
    }
    eprintln!("xml_errors: {refused} of {wrong} refused");
    assert!(refused >= wrong.saturating_sub(1), "{refused} of {wrong}");
}

#[test]
fn completing_a_completed_domain_changes_nothing() {
    for case in cases("argv").into_iter().chain(cases("oracle90")).chain(cases("realistic")) {
        let xml = fs::read_to_string(case.join("domain.xml")).unwrap();
        let Ok(domain) = Domain::parse(&xml) else { continue };
        let Ok(once) = complete(domain, |bytes| bytes.fill(0x5a)) else { continue };
        let once = once.to_xml();
        assert_eq!(completed(&once).to_xml(), once, "{}", case.display());
    }
}
