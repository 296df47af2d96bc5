//! `cargo xtask guest`: the small Linux guests that the demo and the tests boot, made from Debian packages alone.
//!
//! Nothing is installed and nothing needs root: packages are downloaded and unpacked, the archive and the
//! disks are written here. What the guest says on its serial port is in `guest/init.sh`.

mod agent;
mod archive;
mod disks;
mod initrd;
mod modules;
mod packages;
mod rom;

use crate::args::Args;
use crate::{shell, workspace};
use anyhow::{Context, Result};
use packages::Package;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The files made; each lies in the guest directory.
const OUTPUTS: &[&str] = &["vmlinuz", "initrd.gz", "base.raw", "uefi.qcow2", "rom.bin", "agent.gz"];
/// What the files were made of; written last, so that its presence means they are whole.
const MANIFEST: &str = "manifest";
/// Everything that decides the result: a change here makes the guests anew.
const RECIPE: &[&str] = &[
    include_str!("guest.rs"),
    include_str!("guest/agent.rs"),
    include_str!("guest/agent-shutdown.sh"),
    include_str!("guest/archive.rs"),
    include_str!("guest/disks.rs"),
    include_str!("guest/init.sh"),
    include_str!("guest/initrd.rs"),
    include_str!("guest/modules.rs"),
    include_str!("guest/packages.rs"),
    include_str!("guest/power.sh"),
    include_str!("guest/rom.rs"),
    include_str!("guest/rom.s"),
];

/// Runs the verb.
pub(crate) fn run(args: Args) -> Result<()> {
    let [] = args.positional()?;
    let directory = ensure()?;
    print!("{}", fs::read_to_string(directory.join(MANIFEST))?);
    Ok(())
}

/// Makes the guests unless they are there already, and returns their directory.
///
/// # Errors
/// When a package cannot be had or a tool fails.
pub(crate) fn ensure() -> Result<PathBuf> {
    let directory = workspace::target_dir()?.join("guest");
    let recipe = recipe();
    if is_current(&directory, &recipe) {
        return Ok(directory);
    }
    let began = Instant::now();
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let work = tempfile::Builder::new().prefix("work-").tempdir_in(&directory)?;
    make(&directory, work.path(), &recipe)?;
    shell::step(format!("guests made in {:.0} s", began.elapsed().as_secs_f32()));
    Ok(directory)
}

fn recipe() -> String {
    let mut digest = Sha256::new();
    RECIPE.iter().for_each(|part| digest.update(part));
    format!("recipe {:x}", digest.finalize())
}

fn is_current(directory: &Path, recipe: &str) -> bool {
    let manifest = fs::read_to_string(directory.join(MANIFEST)).unwrap_or_default();
    manifest.lines().next() == Some(recipe) && OUTPUTS.iter().all(|file| directory.join(file).is_file())
}

fn make(directory: &Path, work: &Path, recipe: &str) -> Result<()> {
    let packages = packages::fetch(&directory.join("packages"), work)?;
    shell::step("making the guests' kernel, initrd and disks");
    let kernel = modules::Kernel::find(&packages.kernel.tree)?;
    fs::copy(&kernel.image, work.join("vmlinuz")).context("cannot copy the kernel")?;
    initrd::write(&work.join("initrd.gz"), &kernel, &packages.busybox.tree.join("bin/busybox"))?;
    disks::write_base(work)?;
    disks::write_uefi(work, &packages.uefi_stub.tree)?;
    rom::write(work)?;
    agent::write(&work.join("agent.gz"), &packages.agent)?;
    let mut used = vec![&packages.kernel, &packages.busybox, &packages.uefi_stub];
    used.extend(&packages.agent);
    let manifest = manifest(recipe, &used, work)?;
    for file in OUTPUTS {
        fs::rename(work.join(file), directory.join(file)).with_context(|| format!("cannot place {file}"))?;
    }
    fs::write(directory.join(MANIFEST), manifest).context("cannot write the manifest")
}

fn manifest(recipe: &str, packages: &[&Package], work: &Path) -> Result<String> {
    let mut text = format!("{recipe}\n");
    for package in packages {
        let _written = writeln!(text, "package {} {}", package.name, package.version);
    }
    for file in OUTPUTS {
        let bytes = fs::read(work.join(file)).with_context(|| format!("{file} was not made"))?;
        let _written = writeln!(text, "file {file} {} sha256 {:x}", bytes.len(), Sha256::digest(&bytes));
    }
    Ok(text)
}
