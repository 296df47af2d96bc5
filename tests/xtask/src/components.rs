//! `cargo xtask components`: the one mechanism that builds driver components.
//!
//! Drivers and the misbehaving test guests become core modules by cargo, then components by encoding; what
//! they import and say of themselves is checked here, so that a wrong one never reaches a host.

use crate::args::Args;
use crate::{shell, workspace};
use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::{CrateType, Package};
use hostler_author::{NATIVE_SETTINGS, PROFILE};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// No system interface at all: the host gives everything a driver has.
pub(crate) use hostler_author::TARGET;

/// Wrappers of the host's compiler, which must not leak into components beside [`NATIVE_SETTINGS`].
const WRAPPERS: [&str; 2] = ["RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"];

/// A component to build.
struct Source {
    package: &'static Package,
    /// Where it goes.
    output: PathBuf,
}

/// Runs the verb; its words are the names of the components wanted, all without any.
pub(crate) fn run(args: Args) -> Result<()> {
    build(&args.words()?)
}

/// Builds every component below `drivers/` and `tests/guests/`.
///
/// # Errors
/// When the target is missing, a build fails, or a component breaks the rules.
pub(crate) fn build_all() -> Result<()> {
    build(&[])
}

fn build(wanted: &[String]) -> Result<()> {
    check_target()?;
    let mut sources = sources()?;
    if let Some(unknown) = wanted.iter().find(|name| sources.iter().all(|source| !source.is_called(name))) {
        bail!("there is no component {unknown} below drivers/ or tests/guests/");
    }
    sources.retain(|source| wanted.is_empty() || wanted.iter().any(|name| source.is_called(name)));
    shell::step(format!("building {} components", sources.len()));
    let build_dir = workspace::target_dir()?.join("components-build");
    let mut failures = Vec::new();
    for source in &sources {
        if let Err(error) = compile(source, &build_dir).and_then(|()| finish(source, &build_dir)) {
            failures.push(format!("component {}: {error:#}", source.package.name));
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

impl Source {
    /// Called by its file or by its package.
    fn is_called(&self, name: &str) -> bool {
        self.package.name.as_str() == name || self.output.file_stem().is_some_and(|stem| stem == name)
    }
}

/// The components of the workspace: drivers and test guests are told by where they lie.
fn sources() -> Result<Vec<Source>> {
    let target = workspace::target_dir()?;
    let mut sources = Vec::new();
    for (directory, out) in [("drivers", "drivers"), ("tests/guests", "guests")] {
        for package in workspace::members_in(directory)? {
            // A host looks for a driver in the file of its name, and refuses it under another.
            let name = package.name.as_str();
            let name = name.strip_prefix("hostler-driver-").or(name.strip_prefix("guest-")).unwrap_or(name);
            sources.push(Source { package, output: target.join(out).join(format!("{name}.wasm")) });
        }
    }
    Ok(sources)
}

/// Fails with the remedy when the wasm target is not installed.
fn check_target() -> Result<()> {
    if target_is_installed() {
        return Ok(());
    }
    bail!(
        "the Rust target {TARGET} is not installed, and drivers are WebAssembly components\n  \
         run: rustup target add {TARGET}    (or cargo xtask setup, which does it)"
    )
}

/// Whether the compiler in use has the target.
pub(crate) fn target_is_installed() -> bool {
    workspace::root().is_ok_and(|root| hostler_author::target_is_installed(&root).unwrap_or(false))
}

/// In a directory of its own: the outer cargo may hold the lock of the usual one.
///
/// The crate type is given here, one package at a time, and not in the manifests: a driver's tests run natively,
/// and native linkers do not take the names of a component's exports.
fn compile(source: &Source, build_dir: &Path) -> Result<()> {
    let mut cargo = Command::new(workspace::cargo());
    cargo
        .current_dir(workspace::root()?)
        .args(["rustc", "--lib", "--crate-type", "cdylib", "--profile", PROFILE, "--target", TARGET])
        .arg("--target-dir")
        .arg(build_dir)
        .args(["-p", &source.package.name]);
    for setting in NATIVE_SETTINGS.iter().chain(&WRAPPERS) {
        cargo.env_remove(setting);
    }
    shell::run(&mut cargo)
}

/// Encodes, checks and writes one component, and says what came out.
fn finish(source: &Source, build_dir: &Path) -> Result<()> {
    let library = source.package.targets.iter().find(|target| target.crate_types.contains(&CrateType::Lib));
    let library = library.context("the package has no library")?;
    let file = build_dir.join(TARGET).join(PROFILE).join(format!("{}.wasm", library.name.replace('-', "_")));
    let core = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let component = encode(&core)?;
    write_if_changed(&source.output, &component)?;
    let digest = format!("{:x}", Sha256::digest(&component));
    let short = digest.get(..16).unwrap_or(&digest);
    println!("{:<14} {:>9} bytes  sha256 {short}", source.package.name.as_str(), component.len());
    Ok(())
}

/// Encodes a core module, and refuses what a host would refuse.
fn encode(core: &[u8]) -> Result<Vec<u8>> {
    let component = hostler_author::encode(core, None)?;
    let problems = hostler_package::judge(&component).problems;
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(component)
}

/// Rewrites a file only when it differs, so that what depends on it stays up to date.
pub(crate) fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
