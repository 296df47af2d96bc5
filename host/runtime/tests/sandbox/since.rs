//! Drivers that were built against released contracts and are never built again: each links with this host.

use std::path::{Path, PathBuf};

use hostler_runtime::{Driver, Limits, RuntimeErrorKind};

use super::setting::{Place, policy, runtime, tenant};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn entries(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new(ROOT).join(directory);
    let entries =
        std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn frozen(release: &Path) -> Vec<Driver> {
    let version = release.file_name().unwrap().to_str().unwrap();
    let mut drivers = Vec::new();
    for path in entries(&format!("tests/guests/frozen/{version}")) {
        let driver = runtime(Place::Here, Limits::default()).load(&path, &policy(), &tenant());
        let driver = driver.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(driver.manifest().contract, version, "{}", path.display());
        drivers.push(driver);
    }
    drivers
}

#[tokio::test]
async fn drivers_of_every_release_link_with_this_host() {
    let releases: Vec<_> = entries("wit/since").into_iter().filter(|path| path.is_dir()).collect();
    assert!(!releases.is_empty(), "no contract was released");
    for release in releases {
        let drivers = frozen(&release);
        let everything = drivers.iter().find(|driver| driver.identity().name == "everything");
        let everything =
            everything.unwrap_or_else(|| panic!("{}: nothing links everything", release.display()));
        assert!(everything.has_native_config());
        // It has a body for every export, and all that a body does is to end in a trap.
        assert_eq!(everything.describe().await.unwrap_err().kind, RuntimeErrorKind::Trap);
    }
}
