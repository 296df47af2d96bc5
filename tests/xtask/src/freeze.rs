//! `cargo xtask freeze-contract`: releases the contract in `wit/`, once for each version.
//!
//! A release is a copy of both packages below `wit/since/VERSION` and drivers built against it below
//! `tests/guests/frozen/VERSION`. Neither is ever made again: the tests hold this host against what was released.

use crate::args::Args;
use crate::{shell, workspace};
use anyhow::{Context, Result, ensure};
use hostler_tidy::frozen::{self, LIST};
use hostler_tidy::since::{self, PACKAGES};
use std::fs;
use std::path::Path;
use wit_component::{StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

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
    list(&wit.join("since"), &version)?;
    list(&root.join("tests/guests/frozen"), &version)?;
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
    let world = since::everything(&mut resolve, last.context("no package")?)?;
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, true)?;
    let manifest = format!(
        r#"{{"name":"everything","version":"{version}","contract":"{version}","domain-types":["everything"],"grants":[]}}"#
    );
    Ok(hostler_author::encode(&module, Some(manifest.as_bytes()))?)
}

/// Adds the digests of a release to the list of its directory, in the format of `sha256sum`.
fn list(directory: &Path, version: &str) -> Result<()> {
    let path = directory.join(LIST);
    let mut lines = if path.is_file() { fs::read_to_string(&path)? } else { String::new() };
    let release = directory.join(version);
    let files = frozen::files(&release)?;
    ensure!(!files.is_empty(), "nothing to list below {}", release.display());
    for file in files {
        lines.push_str(&format!("{}  {version}/{file}\n", frozen::digest(&release.join(&file))?));
    }
    fs::write(path, lines)?;
    Ok(())
}
