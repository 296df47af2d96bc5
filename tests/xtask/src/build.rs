//! Builds the product's native programs.

use crate::{shell, workspace};
use anyhow::Result;
use std::process::Command;

/// The packages whose programs make the product.
const PACKAGES: &[&str] = &["hostler-cli", "hostler-launch"];

/// Builds `hostler` and `hostler-shim` for release; cargo shows its own progress.
///
/// # Errors
/// When cargo fails.
pub(crate) fn release() -> Result<()> {
    release_with(&[])
}

/// The same with the programs of more packages, in one go: what dependencies are built for is then decided once.
///
/// # Errors
/// When cargo fails.
pub(crate) fn release_with(more: &[&str]) -> Result<()> {
    shell::step("building hostler and hostler-shim (release; the first build takes some minutes)");
    let mut cargo = Command::new(workspace::cargo());
    cargo.current_dir(workspace::root()?).args(["build", "--release", "--bins"]);
    for package in PACKAGES.iter().chain(more) {
        cargo.args(["-p", package]);
    }
    shell::run(&mut cargo)
}

/// Builds every program and test for development.
///
/// In one go: cargo then decides the features of dependencies once, and builds each of them once.
///
/// # Errors
/// When cargo fails.
pub(crate) fn development() -> Result<()> {
    shell::step("building programs and tests (the first build takes some minutes)");
    let mut cargo = Command::new(workspace::cargo());
    shell::run(cargo.current_dir(workspace::root()?).args(["build", "--workspace", "--bins", "--tests"]))
}
