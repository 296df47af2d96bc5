//! Puts the SDK and the contract into the program, so that it can hand them to authors who have neither.
//!
//! Three things are made: the list of the SDK's files with their text, a workspace manifest for them, and the part
//! of the repository's lock file that they need.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What an author is handed, relative to the repository.
const HANDED_OUT: [&str; 7] = [
    "sdk/rust/Cargo.toml",
    "sdk/rust/src",
    "sdk/domain/Cargo.toml",
    "sdk/domain/src",
    "wit/host",
    "wit/driver",
    "sdk/guide",
];
/// The tables of the repository's manifest that the SDK's manifests inherit from.
const INHERITED: [&str; 2] = ["[workspace.package]", "[workspace.dependencies]"];
/// The dependencies that they inherit.
const DEPENDENCIES: [&str; 5] = ["hostler-domain", "hostler-sdk", "wit-bindgen", "quick-xml", "proptest"];
/// The package whose dependencies a driver has.
const SDK: &str = "hostler-sdk";
/// What only the SDK's own tests need.
const FOR_TESTS: &str = "proptest";

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut files = Vec::new();
    for name in HANDED_OUT {
        collect(&root.join(name), &mut files)?;
    }
    let mut list = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&root)?.display().to_string();
        writeln!(list, "    ({name:?}, include_str!({:?})),", file.display().to_string())?;
    }
    list.push(']');
    fs::write(out.join("sources.rs"), list)?;
    fs::write(out.join("workspace.toml"), workspace(&read(&root.join("Cargo.toml"))?))?;
    fs::write(out.join("Cargo.lock"), lock(&read(&root.join("Cargo.lock"))?)?)?;
    Ok(())
}

/// The files of a directory, or the one file, in order. Tests that lie in files of their own come along: the
/// modules name them.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", path.display());
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries =
        fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    entries.sort();
    entries.iter().try_for_each(|entry| collect(entry, files))
}

fn read(path: &Path) -> Result<String, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", path.display());
    Ok(fs::read_to_string(path)?)
}

/// A workspace of the SDK's two crates, with what they inherit as the repository has it.
fn workspace(manifest: &str) -> String {
    let mut text = String::from("[workspace]\nresolver = \"3\"\nmembers = [\"sdk/domain\", \"sdk/rust\"]\n");
    let mut table = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            table = line;
            if INHERITED.contains(&table) {
                text.push_str(&format!("\n{table}\n"));
            }
            continue;
        }
        let key = line.split([' ', '=']).next().unwrap_or_default();
        let wanted = table != "[workspace.dependencies]" || DEPENDENCIES.contains(&key);
        if INHERITED.contains(&table) && wanted && !line.trim().is_empty() && !line.starts_with('#') {
            text.push_str(&format!("{line}\n"));
        }
    }
    // The SDK's manifests say that they have the workspace's lints; those are for its own repository.
    text.push_str("\n[workspace.lints.rust]\n");
    text
}

/// The entries of a lock file that the SDK needs.
fn lock(text: &str) -> Result<String, Box<dyn Error>> {
    let mut entries: BTreeMap<String, String> = BTreeMap::new();
    for entry in text.split("[[package]]\n").skip(1) {
        let entry: String = entry
            .lines()
            .filter(|line| *line != format!(" \"{FOR_TESTS}\","))
            .fold(String::new(), |text, line| text + line + "\n");
        let name = quoted(&entry, "name").ok_or("a locked package has no name")?;
        let version = quoted(&entry, "version").ok_or("a locked package has no version")?;
        entries.insert(format!("{name} {version}"), entry.trim_end().to_owned());
    }
    let mut wanted: Vec<String> = vec![SDK.to_owned()];
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    while let Some(name) = wanted.pop() {
        // `name`, or `name version` where there are several.
        let (key, entry) = entries
            .iter()
            .find(|(key, _)| **key == name || key.split(' ').next() == Some(&name))
            .ok_or_else(|| format!("{name} is not locked"))?;
        if found.insert(key.clone(), entry.clone()).is_none() {
            let dependencies = entry.lines().filter_map(|line| line.strip_prefix(" \"")?.strip_suffix("\","));
            wanted.extend(dependencies.map(str::to_owned));
        }
    }
    Ok(found.into_values().map(|entry| format!("[[package]]\n{entry}\n\n")).collect())
}

/// The value of `key = "value"`.
fn quoted<'a>(entry: &'a str, key: &str) -> Option<&'a str> {
    let line = entry.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))?;
    line.strip_suffix('"')
}
