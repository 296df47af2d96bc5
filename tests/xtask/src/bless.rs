//! `cargo xtask bless`: records the goldens anew. Read the difference before committing it.

use crate::args::Args;
use crate::{components, shell, test, workspace};
use anyhow::Result;
use std::process::Command;

/// Part of the name of every test that compares with a recorded file.
const GOLDEN: &str = "golden";

/// Runs the verb.
pub(crate) fn run(args: Args) -> Result<()> {
    let [] = args.positional()?;
    components::build_all()?;
    let mut cargo = test::prepared(Command::new(workspace::cargo()))?;
    cargo.env("BLESS", "1").args(["test", "--workspace", "--lib", "--bins", "--tests", GOLDEN]);
    shell::run(&mut cargo)?;
    shell::step("what changed:");
    shell::run(Command::new("git").current_dir(workspace::root()?).args(["status", "--short"]))
}
