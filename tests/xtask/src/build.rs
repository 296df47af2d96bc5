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
    shell::step("building hostler and hostler-shim (release; the first build takes some minutes)");
    build(&["--release"])
}

/// Builds the same for development, as the tests run them.
///
/// # Errors
/// When cargo fails.
pub(crate) fn development() -> Result<()> {
    shell::step("building hostler and hostler-shim (development; the first build takes some minutes)");
    build(&[])
}

fn build(profile: &[&str]) -> Result<()> {
    let mut cargo = Command::new(workspace::cargo());
    cargo.current_dir(workspace::root()?).args(["build", "--bins"]).args(profile);
    for package in PACKAGES {
        cargo.args(["-p", package]);
    }
    shell::run(&mut cargo)
}
