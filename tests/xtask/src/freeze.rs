//! `cargo xtask freeze-contract`: releases the contract in `wit/`, once for each version.
//!
//! A release is a copy of both packages below `wit/since/VERSION` and drivers built against it below
//! `tests/guests/frozen/VERSION`. Neither is ever made again: the tests hold this host against what was released.

use crate::args::Args;
use crate::{shell, workspace};
use anyhow::{Context, Result, bail, ensure};
use hostler_tidy::since;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;
use wit_component::{StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

/// The packages of the contract, in the order in which they name each other.
const PACKAGES: [&str; 2] = ["host", "driver"];
/// The world with everything in it that a driver can import and export.
const WORLD: &str = "driver-native-config";
/// The frozen driver that calls nothing and links with everything.
const EVERYTHING: &str = "everything.wasm";

/// Runs the verb.
pub(crate) fn run(args: Args) -> Result<()> {
    let [] = args.positional()?;
    let root = workspace::root()?;
    let wit = root.join("wit");
    let version = since::version_of(&wit.join("driver"))?;
    let release = wit.join("since").join(&version);
    ensure!(
        !release.exists(),
        "contract {version} is released already; give the packages in wit/ a new version"
    );
    for package in PACKAGES {
        copy(&wit.join(package), &release.join(package))?;
    }
    let guests = root.join("tests/guests/frozen").join(&version);
    fs::create_dir_all(&guests)?;
    let guest = everything(&release, &version)?;
    fs::write(guests.join(EVERYTHING), &guest)?;
    list(&wit.join("since"), &version, &["wit"])?;
    list(&root.join("tests/guests/frozen"), &version, &["wasm"])?;
    shell::step(format!("contract {version} is frozen; commit wit/since and tests/guests/frozen"));
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let name = path.file_name().context("a file without a name")?;
        fs::copy(&path, to.join(name))?;
    }
    Ok(())
}

/// A component that imports and exports everything of the contract, and traps when it is called.
fn everything(release: &Path, version: &str) -> Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let mut last = None;
    for package in PACKAGES {
        last = Some(resolve.push_dir(release.join(package))?.0);
    }
    let world = resolve.select_world(&[last.context("no package")?], Some(WORLD))?;
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, true)?;
    let manifest = format!(
        r#"{{"name":"everything","version":"{version}","contract":"{version}","domain-types":["everything"],"grants":[]}}"#
    );
    Ok(hostler_author::encode(&module, Some(manifest.as_bytes()))?)
}

/// Adds the digests of a release to the list of its directory, in the format of `sha256sum`.
fn list(directory: &Path, version: &str, endings: &[&str]) -> Result<()> {
    let path = directory.join("SHA256SUMS");
    let mut lines = if path.is_file() { fs::read_to_string(&path)? } else { String::new() };
    let mut files = Vec::new();
    let mut todo = vec![directory.join(version)];
    while let Some(next) = todo.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|found| endings.iter().any(|ending| found == *ending)) {
                files.push(path);
            }
        }
    }
    files.sort();
    if files.is_empty() {
        bail!("nothing to list below {}", directory.display());
    }
    for file in files {
        let digest = Sha256::digest(fs::read(&file)?);
        lines.push_str(&format!("{digest:x}  {}\n", file.strip_prefix(directory)?.display()));
    }
    fs::write(path, lines)?;
    Ok(())
}
