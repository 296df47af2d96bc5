//! `cargo xtask test`: prepares everything that a test needs, then runs all of them.

use crate::args::Args;
use crate::{build, components, guest, setup, shell, workspace};
use anyhow::Result;
use std::process::Command;

/// Runs the verb; its arguments go to the test runner.
pub(crate) fn run(args: Args) -> Result<()> {
    setup::ensure_for_tests()?;
    components::build_all()?;
    guest::ensure()?;
    build::development()?;
    shell::step("documentation tests");
    shell::run(prepared(Command::new(workspace::cargo()))?.args([
        "test",
        "--workspace",
        "--doc",
        "--quiet",
    ]))?;
    // Last, so that the closing line is the runner's.
    shell::step("tests");
    let mut runner = prepared(Command::new(workspace::cargo()))?;
    if has_nextest() {
        runner.args(["nextest", "run", "--workspace"]);
    } else {
        runner.args(["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]);
    }
    shell::run(runner.args(args.rest()))
}

/// Tells tests where components, guests and programs are.
pub(crate) fn prepared(mut command: Command) -> Result<Command> {
    let target = workspace::target_dir()?;
    command
        .current_dir(workspace::root()?)
        .env("HOSTLER_COMPONENTS", &target)
        .env("HOSTLER_TEST_GUEST", target.join("guest"));
    Ok(command)
}

fn has_nextest() -> bool {
    shell::succeeds(Command::new(workspace::cargo()).args(["nextest", "--version"]))
}
