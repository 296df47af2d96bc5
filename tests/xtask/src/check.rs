//! `cargo xtask check`: everything that can be judged without running a guest.

use crate::args::Args;
use crate::{shell, wit_check, workspace};
use anyhow::{Result, bail};
use std::process::Command;

/// What cargo checks, by what it says of it.
const STEPS: &[(&str, &[&str])] = &[
    ("formatting", &["fmt", "--all", "--check"]),
    ("lints", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]),
    ("architecture and style", &["test", "--package", "hostler-tidy", "--quiet", "--no-fail-fast"]),
    ("documentation", &["doc", "--workspace", "--no-deps", "--quiet"]),
];

/// Runs the verb: all steps, so that one run shows all that is wrong.
pub(crate) fn run(args: Args) -> Result<()> {
    let [] = args.positional()?;
    let mut failed = Vec::new();
    shell::step("contract");
    if let Err(error) = wit_check::check() {
        eprintln!("{error:#}");
        failed.push("contract");
    }
    for (name, arguments) in STEPS {
        shell::step(name);
        let mut cargo = Command::new(workspace::cargo());
        cargo.current_dir(workspace::root()?).args(*arguments).env("RUSTDOCFLAGS", "-D warnings");
        if let Err(error) = shell::run(&mut cargo) {
            eprintln!("{error:#}");
            failed.push(name);
        }
    }
    if failed.is_empty() {
        println!("check: all is well");
        return Ok(());
    }
    bail!("check failed: {}", failed.join(", "))
}
