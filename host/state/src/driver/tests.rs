//! Drivers come, change and go, and a stop at any step leaves the state before or after.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::disk::{Disk, Draft, RealDisk};

fn digest(digit: char) -> String {
    format!("{DIGEST_START}{}", digit.to_string().repeat(DIGEST_DIGITS))
}

fn version(digit: char) -> InstalledVersion {
    InstalledVersion {
        digest: digest(digit),
        version: format!("1.{digit}"),
        contract: "0.1.0".to_owned(),
        size: 3,
        domain_types: vec!["acme".to_owned()],
        source: "/x.wasm".to_owned(),
        installed_unix_ms: 1,
    }
}

fn record(digits: &str) -> DriverRecord {
    let versions: Vec<_> = digits.chars().map(version).collect();
    let active = versions.last().map(|version| version.digest.clone());
    DriverRecord { active, versions, ..DriverRecord::new("acme") }
}

fn owner(root: &Path) -> Owner {
    StateDir::open_owner(root, Duration::ZERO).unwrap()
}

fn install(owner: &Owner, digits: &str) -> Result<(), StateError> {
    let record = record(digits);
    let newest = record.active.clone().unwrap();
    owner.put_driver_component("acme", &newest, newest.as_bytes(), Some(b"signed"))?;
    owner.put_driver(&record)
}

#[test]
fn installed_driver_is_found_with_its_component_and_signatures() {
    let root = tempfile::tempdir().unwrap();
    let state = owner(root.path());
    install(&state, "a").unwrap();
    install(&state, "ab").unwrap();
    let reader = StateDir::open_reader(root.path()).unwrap();
    let found = reader.driver("acme").unwrap().unwrap();
    assert_eq!((found.versions.len(), found.active_version()), (2, Some(&version('b'))));
    assert_eq!(reader.drivers().unwrap(), [found]);
    for digit in ['a', 'b'] {
        let path = reader.driver_component("acme", &digest(digit)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), digest(digit));
        assert_eq!(std::fs::read_to_string(with_signatures(&path)).unwrap(), "signed");
    }
    state.remove_driver("acme").unwrap();
    assert_eq!(reader.driver("acme").unwrap(), None);
    assert_eq!(state.remove_driver("acme").unwrap_err().kind, Kind::NotFound);
    assert!(reader.names_in(&reader.drivers_dir()).unwrap().is_empty());
}

#[test]
fn component_installed_again_without_signatures_has_none() {
    let root = tempfile::tempdir().unwrap();
    let state = owner(root.path());
    install(&state, "a").unwrap();
    state.put_driver_component("acme", &digest('a'), b"x", None).unwrap();
    assert!(!with_signatures(&state.driver_component("acme", &digest('a')).unwrap()).exists());
    state.remove_driver_component("acme", &digest('a')).unwrap();
    assert!(!state.driver_component("acme", &digest('a')).unwrap().exists());
}

#[test]
fn no_name_and_no_digest_becomes_a_path_by_chance() {
    let root = tempfile::tempdir().unwrap();
    let state = owner(root.path());
    for name in ["", "..", "../x", "a/b", "A", "1a", "a.b", "removed-\u{e9}", &"a".repeat(65)] {
        assert_eq!(state.driver(name).unwrap(), None, "{name}");
        assert_eq!(state.put_driver(&DriverRecord::new(name)).unwrap_err().kind, Kind::InvalidName, "{name}");
        assert_eq!(state.remove_driver(name).unwrap_err().kind, Kind::InvalidName, "{name}");
        assert!(state.driver_component(name, &digest('a')).is_err(), "{name}");
        assert!(state.put_driver_usage(name, &DriverUsage::default()).is_err(), "{name}");
    }
    for wrong in ["", "sha256:", "sha256:../../x", "sha512:00", &digest('A')] {
        assert_eq!(state.driver_component("acme", wrong).unwrap_err().kind, Kind::InvalidName, "{wrong}");
    }
}

#[test]
fn usage_is_kept_beside_the_record_and_without_one() {
    let root = tempfile::tempdir().unwrap();
    let state = owner(root.path());
    let usage = DriverUsage { grants: BTreeMap::from([("qmp".to_owned(), 7)]) };
    state.put_driver_usage("qemu", &usage).unwrap();
    drop(state);
    let state = owner(root.path());
    assert_eq!(state.driver_usage("qemu").unwrap(), usage);
    assert_eq!((state.driver("qemu").unwrap(), state.drivers().unwrap()), (None, vec![]));
    std::fs::write(state.driver_dir("qemu").join("usage"), "torn").unwrap();
    assert_eq!(state.driver_usage("qemu").unwrap(), DriverUsage::default());
    assert_eq!(state.driver_usage("../qemu").unwrap(), DriverUsage::default());
}

#[test]
fn damaged_record_is_set_aside_and_the_one_before_it_is_read() {
    let root = tempfile::tempdir().unwrap();
    let state = owner(root.path());
    install(&state, "a").unwrap();
    install(&state, "ab").unwrap();
    std::fs::write(state.driver_dir("acme").join("record"), "torn").unwrap();
    assert_eq!(state.driver("acme").unwrap().unwrap().versions.len(), 1);
    drop(state);
    let state = owner(root.path());
    let component = |digit| state.driver_component("acme", &digest(digit)).unwrap().exists();
    assert!(component('a') && !component('b'), "what the record names stays, and nothing else");
    std::fs::write(state.driver_dir("acme").join("record"), "torn").unwrap();
    std::fs::remove_file(state.driver_dir("acme").join("record.prev")).unwrap();
    assert_eq!(state.driver("acme").unwrap_err().kind, Kind::Corrupt);
    assert!(state.drivers().unwrap().is_empty());
}

#[test]
fn record_under_another_name_is_damage() {
    let root = tempfile::tempdir().unwrap();
    let state = owner(root.path());
    install(&state, "a").unwrap();
    std::fs::create_dir(state.driver_dir("other")).unwrap();
    std::fs::copy(state.driver_dir("acme").join("record"), state.driver_dir("other").join("record")).unwrap();
    assert_eq!(state.driver("other").unwrap_err().kind, Kind::Corrupt);
}

/// Fails every call that changes something after the first so many.
#[derive(Debug)]
struct Stopping {
    left: AtomicUsize,
}

impl Stopping {
    fn step(&self) -> io::Result<()> {
        match self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Ok(()),
            Err(_) => Err(io::Error::other("stopped")),
        }
    }
}

impl Disk for Stopping {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        RealDisk.read(path, limit)
    }
    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        RealDisk.names(directory)
    }
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        self.step().and_then(|()| RealDisk.make_directory(path))
    }
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn Draft>> {
        self.step().and_then(|()| RealDisk.create_new(path))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step().and_then(|()| RealDisk.rename(from, to))
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.step().and_then(|()| RealDisk.remove_file(path))
    }
    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.step().and_then(|()| RealDisk.remove_directory(path))
    }
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.step().and_then(|()| RealDisk.sync_directory(path))
    }
}

#[test]
fn upgrade_and_removal_that_stop_anywhere_leave_the_state_before_or_after() {
    let mut stopped = 0;
    for remove in [false, true] {
        for steps in 0.. {
            let root = tempfile::tempdir().unwrap();
            install(&owner(root.path()), "a").unwrap();
            let disk = Arc::new(Stopping { left: AtomicUsize::new(steps) });
            let done = StateDir::open_owner_on(disk, root.path(), Duration::ZERO)
                .and_then(|state| if remove { state.remove_driver("acme") } else { install(&state, "ab") });
            let state = owner(root.path());
            let found = state.driver("acme").unwrap();
            let versions = found.as_ref().map_or(0, |record| record.versions.len());
            let allowed = if remove { [1, 0] } else { [1, 2] };
            assert!(allowed.contains(&versions), "after {steps} steps: {found:?}");
            let entries = state.names_in(&state.drivers_dir()).unwrap();
            assert_eq!(entries.len(), usize::from(versions > 0), "{entries:?}");
            for version in found.iter().flat_map(|record| &record.versions) {
                let path = state.driver_component("acme", &version.digest).unwrap();
                assert_eq!(std::fs::read_to_string(path).unwrap(), version.digest);
            }
            if done.is_ok() {
                assert_eq!(versions, allowed[1], "acknowledged");
                break;
            }
            stopped += 1;
        }
    }
    assert!(stopped > 10, "only {stopped} steps were stopped at");
}

#[test]
fn first_install_that_stops_before_its_record_is_swept() {
    let root = tempfile::tempdir().unwrap();
    let state = owner(root.path());
    state.put_driver_component("acme", &digest('a'), b"x", Some(b"s")).unwrap();
    drop(state);
    let state = owner(root.path());
    assert!(state.names_in(&state.drivers_dir()).unwrap().is_empty());
}
