//! The SDK and the contract as this program carries them, and how a project gets them.

use std::fs;
use std::path::Path;

use crate::error::AuthorError;

/// The directory of a project that is hostler's: written by it, and replaced as a whole.
pub(crate) const DIRECTORY: &str = "hostler";
/// The file in it that says which template it was written for.
pub(crate) const MARK: &str = "TEMPLATE";
/// Every file, by its path in the repository.
const SOURCES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/sources.rs"));
/// The manifest above the SDK's two crates.
const WORKSPACE: &str = include_str!(concat!(env!("OUT_DIR"), "/workspace.toml"));
/// The packages that the SDK needs, as a part of a lock file.
const LOCKED: &str = include_str!(concat!(env!("OUT_DIR"), "/Cargo.lock"));

/// The files of the contract: path and text.
pub(crate) fn contract(package: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let beneath = format!("wit/{package}/");
    SOURCES.iter().filter(move |(path, _)| path.starts_with(&beneath)).copied()
}

/// Writes the SDK's crates and the contract beneath a directory.
pub(crate) fn write_crates(directory: &Path) -> Result<(), AuthorError> {
    write(&directory.join("Cargo.toml"), WORKSPACE)?;
    SOURCES.iter().try_for_each(|(path, text)| write(&directory.join(path), text))
}

/// Writes the contract and the guide alone.
pub(crate) fn write_contract(directory: &Path) -> Result<(), AuthorError> {
    let of_any_language = |path: &str| ["wit/", "sdk/guide/"].iter().any(|part| path.starts_with(part));
    let files = SOURCES.iter().filter(|(path, _)| of_any_language(path));
    files.into_iter().try_for_each(|(path, text)| write(&directory.join(path), text))
}

/// A lock file for a package that has the SDK as its one dependency: the versions that hostler was tested with.
pub(crate) fn lock_file(package: &str) -> String {
    let own = format!(
        "[[package]]\nname = \"{package}\"\nversion = \"0.1.0\"\ndependencies = [\n \"hostler-sdk\",\n]\n"
    );
    format!("version = 4\n\n{own}\n{}\n", LOCKED.trim_end())
}

/// Writes a file, and the directories above it.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), AuthorError> {
    let failed = |error| AuthorError::io("write", path, error);
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
    fs::write(path, content).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sdk_is_whole_and_brings_nothing_of_the_host() {
        let has = |wanted: &str| SOURCES.iter().any(|(path, _)| *path == wanted);
        for wanted in [
            "sdk/rust/src/lib.rs",
            "sdk/rust/Cargo.toml",
            "sdk/domain/src/lib.rs",
            "wit/driver/world.wit",
            "sdk/guide/capabilities.md",
        ] {
            assert!(has(wanted), "{wanted}");
        }
        assert!(SOURCES.iter().all(|(path, _)| !path.starts_with("host/")));
        assert_eq!(contract("host").count(), 10);
    }

    #[test]
    fn manifests_inherit_only_what_the_workspace_has() {
        for (_, manifest) in SOURCES.iter().filter(|(path, _)| path.ends_with("Cargo.toml")) {
            let inherited = manifest.lines().filter_map(|line| line.strip_suffix(".workspace = true"));
            for key in inherited {
                assert!(
                    WORKSPACE.lines().any(|line| line.starts_with(&format!("{key} ="))),
                    "{key}: {WORKSPACE}"
                );
            }
        }
    }

    #[test]
    fn lock_file_has_every_package_that_it_names_and_none_for_tests() {
        let text = lock_file("hostler-driver-acme");
        let names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("name = ")).collect();
        for line in text.lines().filter_map(|line| line.strip_prefix(" \"")) {
            let name = line.trim_end_matches("\",").split(' ').next().unwrap();
            assert!(names.contains(&format!("{name:?}").as_str()), "{name}");
        }
        assert!(
            names.contains(&"\"wit-bindgen\"") && !text.contains("proptest") && !text.contains("wasmtime")
        );
    }
}
