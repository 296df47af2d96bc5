//! The descriptors and firmware files of the distribution, and the hostile variable stores.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hostler_firmware::{
    FirmwareRequest, Interface, PflashPair, Program, SearchPath, VariableStore, check_store, select,
};
use serde_json::Value;

/// What the distribution installs; the demo needs it as well.
fn descriptors() -> Vec<hostler_firmware::Descriptor> {
    let found = SearchPath::new(["/usr/share/qemu/firmware"]).load();
    assert!(found.errors.is_empty(), "{:?}", found.errors);
    assert!(!found.found.is_empty(), "the package ovmf is a prerequisite");
    found.found
}

fn chosen(request: &FirmwareRequest) -> (String, PflashPair) {
    let selection = select(&descriptors(), request).unwrap();
    let Program::Pflash(pair) = selection.program else { panic!("not flash") };
    (selection.descriptor.file_name().unwrap().to_string_lossy().into_owned(), pair)
}

#[test]
fn plain_efi_picks_the_enrolled_build_where_smm_runs_and_the_plain_one_elsewhere() {
    let q35 = FirmwareRequest::new(Interface::Efi, "x86_64", "pc-q35-7.2");
    assert_eq!(chosen(&q35).0, "40-edk2-x86_64-secure-enrolled.json");
    let (name, pair) = chosen(&FirmwareRequest { smm_available: false, ..q35 });
    assert_eq!(name, "60-edk2-x86_64.json");
    assert_eq!(pair.code.path, Path::new("/usr/share/OVMF/OVMF_CODE_4M.fd"));
    let (name, _) = chosen(&FirmwareRequest::new(Interface::Efi, "x86_64", "pc"));
    assert_eq!(name, "60-edk2-x86_64.json");
}

#[test]
fn every_template_of_the_distribution_is_a_sound_store() {
    let templates: Vec<PathBuf> = fs::read_dir("/usr/share/OVMF")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("OVMF_VARS"))
        .collect();
    assert!(templates.len() >= 4, "{templates:?}");
    for path in templates {
        let bytes = fs::read(&path).unwrap();
        let layout = check_store(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(layout.volume_bytes, bytes.len() as u64);
        let enrolled = path.to_string_lossy().contains(".ms.");
        assert_eq!(
            layout.variables > 0,
            enrolled || path.to_string_lossy().contains("snakeoil"),
            "{}",
            path.display()
        );
    }
}

#[test]
fn a_store_of_the_real_template_is_created_checked_and_reset() {
    let home = tempfile::tempdir().unwrap();
    let request = FirmwareRequest::new(Interface::Efi, "x86_64", "q35");
    let template = chosen(&request).1.template.unwrap();
    let store = VariableStore::new(home.path().join("nvram.fd"));
    assert!(store.create_if_missing(Some(&template)).unwrap());
    store.check().unwrap();
    let mut bytes = fs::read(store.path()).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(store.path(), &bytes).unwrap();
    store.reset(Some(&template)).unwrap();
    assert_eq!(fs::read(store.path()).unwrap(), fs::read(&template.path).unwrap());
}

#[test]
fn hostile_stores_get_the_verdict_they_deserve() {
    let Some(corpus) = shared("corpus/hostile-images") else { return };
    let home = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(&corpus).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), home.path().join(entry.file_name())).unwrap();
    }
    let made = Command::new("python3").args(["make.py", "gen"]).current_dir(home.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let expected: Value = serde_json::from_slice(&fs::read(corpus.join("expected.json")).unwrap()).unwrap();
    let (mut judged, mut wrong) = (0, Vec::new());
    for image in expected["images"].as_array().unwrap().iter().filter(|image| image["declared"] == "nvram") {
        judged += 1;
        let bytes = fs::read(home.path().join("images").join(image["file"].as_str().unwrap())).unwrap();
        let found = check_store(&bytes);
        if found.is_ok() != (image["verdict"] == "safe") {
            wrong.push(format!("{}: {found:?}", image["id"]));
        }
    }
    say(&format!("hostile variable stores passed {} of {judged}", judged - wrong.len()));
    assert!(wrong.is_empty() && judged >= 20, "{judged} judged, wrong: {wrong:#?}");
}

/// The shared data, or `None` with a line that says so where only this repository was cloned.
fn shared(part: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(part);
    if path.exists() {
        return Some(path);
    }
    say(&format!("SKIPPED: {} is absent", path.display()));
    None
}

/// A line for whoever reads the test's output.
#[expect(clippy::print_stderr, reason = "a skipped test and the figures of a corpus must be visible")]
fn say(line: &str) {
    eprintln!("{line}");
}
