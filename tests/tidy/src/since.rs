//! The contract in `wit/host` and `wit/driver` only grows: whoever was built against a release of the same line runs on it.

use crate::Violation;
use anyhow::{Context, Result, anyhow};
use std::fs;
use std::path::{Path, PathBuf};
use wit_component::semver_check;
use wit_parser::{CloneMaps, PackageId, Resolve, SourceMap, WorldId};

/// The packages in the order in which they name each other.
pub const PACKAGES: [&str; 2] = ["host", "driver"];
/// The world of every driver.
const DRIVER: &str = "driver";
/// How the world of an optional interface alone is called: the interface's name before this.
const ABILITY: &str = "-ability";
/// A version that no release has: two packages of one name and version cannot be held side by side.
const LATEST: &str = "9999.0.0";

/// Every release below `wit/since` that the latest contract of its line no longer serves.
///
/// # Errors
/// When a package cannot be read or parsed.
pub fn violations(wit: &Path) -> Result<Vec<Violation>> {
    let latest = version_of(&wit.join("driver"))?;
    let mut found = Vec::new();
    for (version, release) in releases(wit)? {
        if line(&version) != line(&latest) {
            // Another line has an adapter in host/runtime; its frozen drivers show that it works.
            continue;
        }
        if let Err(error) = check(&release, &version, wit, &latest) {
            found.push(format!(
                "wit: what was built against the contract {version} no longer links: {error:#}; \
                 imports may be added, exports and released types stay as they are"
            ));
        }
    }
    Ok(found)
}

/// The released versions with their directories, in the order of their names.
///
/// # Errors
/// When the directory cannot be read.
pub fn releases(wit: &Path) -> Result<Vec<(String, PathBuf)>> {
    let since = wit.join("since");
    if !since.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(&since)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// The version that the package in this directory says.
///
/// # Errors
/// When no file of it says one.
pub fn version_of(package: &Path) -> Result<String> {
    for (_, text) in files(package)? {
        let line = text.lines().find_map(|line| line.strip_prefix("package ")?.strip_suffix(';'));
        if let Some((_, version)) = line.and_then(|line| line.split_once('@')) {
            return Ok(version.to_owned());
        }
    }
    Err(anyhow!("{}: no file says the package's version", package.display()))
}

/// What a version has in common with those that it is compatible with: the first number, below 1.0 the second too.
fn line(version: &str) -> Vec<&str> {
    let numbers = version.split('.');
    let count = if version.starts_with("0.") { 2 } else { 1 };
    numbers.take(count).collect()
}

fn check(release: &Path, version: &str, wit: &Path, latest: &str) -> Result<()> {
    let mut resolve = Resolve::default();
    let before = push(&mut resolve, release, version, version)?;
    let after = push(&mut resolve, wit, latest, LATEST)?;
    // What is new in the latest is nobody's yet.
    let abilities = abilities(&resolve, before);
    let before = with_abilities(&mut resolve, before, &abilities)?;
    let after = with_abilities(&mut resolve, after, &abilities)?;
    semver_check(resolve, before, after)
}

/// The world with everything in it that a driver of this package can import and export.
///
/// # Errors
/// When the package has no world for drivers.
pub fn everything(resolve: &mut Resolve, package: PackageId) -> Result<WorldId> {
    let abilities = abilities(resolve, package);
    with_abilities(resolve, package, &abilities)
}

fn abilities(resolve: &Resolve, package: PackageId) -> Vec<String> {
    let worlds = resolve.packages.get(package).map(|package| package.worlds.keys());
    worlds.into_iter().flatten().filter(|name| name.ends_with(ABILITY)).cloned().collect()
}

fn with_abilities(resolve: &mut Resolve, package: PackageId, abilities: &[String]) -> Result<WorldId> {
    let driver = resolve.select_world(&[package], Some(DRIVER))?;
    for ability in abilities {
        let alone = resolve.select_world(&[package], Some(ability))?;
        resolve.merge_worlds(alone, driver, &mut CloneMaps::default())?;
    }
    Ok(driver)
}

/// Adds both packages below a directory, under another version than their own; gives back the driver's.
fn push(resolve: &mut Resolve, root: &Path, own: &str, version: &str) -> Result<PackageId> {
    let mut last = None;
    for name in PACKAGES {
        let mut sources = SourceMap::default();
        for (path, text) in files(&root.join(name))? {
            sources
                .push_str(&path.to_string_lossy(), text.replace(&format!("@{own}"), &format!("@{version}")));
        }
        let group = sources.parse().map_err(|(_, error)| anyhow!("{}: {error}", root.display()))?;
        last = Some(resolve.push_group(group).map_err(|error| anyhow!("{}: {error}", root.display()))?);
    }
    last.context("no package")
}

fn files(directory: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wit") {
            let text = fs::read_to_string(&path)?;
            found.push((path, text));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{line, violations};
    use std::fs;
    use std::path::Path;

    const HOST: &str = "package hostler:host@0.1.0;\ninterface clock {\n  record time { seconds: u64 }\n  now: func() -> time;\n}\n";
    const DRIVER: &str = "package hostler:driver@0.1.0;\ninterface about {\n  describe: func() -> string;\n}\n\
                          interface show {\n  show: func();\n}\n\
                          world driver {\n  import hostler:host/clock@0.1.0;\n  export about;\n}\n\
                          world show-ability {\n  export show;\n}\n";

    fn check(change: impl Fn(&str) -> String) -> Vec<String> {
        let wit = tempfile::tempdir().unwrap();
        let write = |root: &Path, name: &str, text: &str| {
            fs::create_dir_all(root.join(name)).unwrap();
            fs::write(root.join(name).join("all.wit"), text).unwrap();
        };
        let release = wit.path().join("since/0.1.0");
        for (name, text) in [("host", HOST), ("driver", DRIVER)] {
            write(&release, name, text);
            write(wit.path(), name, &change(text));
        }
        violations(wit.path()).unwrap()
    }

    #[test]
    fn same_contract_later_patch_and_new_host_functions_are_fine() {
        assert_eq!(check(str::to_owned), Vec::<String>::new());
        assert_eq!(check(|text| text.replace("@0.1.0", "@0.1.4")), Vec::<String>::new());
        let grown = |text: &str| text.replace("  now:", "  later: func();\n  now:");
        assert_eq!(check(grown), Vec::<String>::new());
        let able = |text: &str| {
            let more = "interface save {\n  save: func();\n}\nworld save-ability {\n  export save;\n}\n";
            if text.contains("world") { format!("{text}{more}") } else { text.to_owned() }
        };
        assert_eq!(check(able), Vec::<String>::new(), "an optional interface that no driver has yet");
    }

    #[test]
    fn what_a_released_driver_could_not_link_is_found() {
        for (before, after) in [
            ("now: func", "today: func"),
            ("seconds: u64", "seconds: u64, nanoseconds: u32"),
            ("seconds: u64", "seconds: s64"),
            ("describe: func() -> string", "describe: func() -> u8"),
            ("  describe:", "  more: func();\n  describe:"),
            ("  show: func();", "  show: func(how: u8);"),
            ("world show-ability", "world shown-ability"),
        ] {
            let found = check(|text| text.replace(before, after));
            assert!(
                found.len() == 1 && found[0].contains("contract 0.1.0 no longer links"),
                "{after}: {found:?}"
            );
        }
    }

    #[test]
    fn another_line_is_for_its_adapter() {
        assert_eq!(line("0.1.7"), ["0", "1"]);
        assert_eq!(line("2.1.7"), ["2"]);
        assert_eq!(
            check(|text| text.replace("now:", "today:").replace("0.1.0", "0.2.0")),
            Vec::<String>::new()
        );
    }
}
