//! `cargo xtask bench [NAME]`: builds everything for release and runs the benchmarks.

use crate::args::Args;
use crate::{build, components, guest, setup, shell, workspace};
use anyhow::Result;
use std::process::Command;

/// Runs the verb; its arguments go to the benchmarks.
pub(crate) fn run(args: Args) -> Result<()> {
    setup::ensure()?;
    build::release_with(&["hostler-bench"])?;
    components::build_all()?;
    guest::ensure()?;
    let target = workspace::target_dir()?;
    let programs = target.join("release");
    let mut bench = Command::new(programs.join("hostler-bench"));
    bench
        .current_dir(workspace::root()?)
        .args(args.rest())
        .env("HOSTLER_COMPONENTS", &target)
        .env("HOSTLER_TEST_GUEST", target.join("guest"))
        .env("HOSTLER_BIN_DIR", programs);
    shell::run(&mut bench)
}
