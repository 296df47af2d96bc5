//! `cargo xtask wit-check`: the rules of the contract. They are those of `tests/tidy`, run alone and at once.

use crate::args::Args;
use crate::workspace;
use anyhow::{Result, bail};
use hostler_tidy::{contract, frozen, since};

/// Runs the verb.
pub(crate) fn run(args: Args) -> Result<()> {
    let [] = args.positional()?;
    check()?;
    println!("wit-check: all is well");
    Ok(())
}

/// Checks the contract.
///
/// # Errors
/// With every violation, one a line.
pub(crate) fn check() -> Result<()> {
    let wit = workspace::root()?.join("wit");
    let mut violations = contract::violations(&wit)?;
    violations.extend(frozen::violations(&wit.join("since"))?);
    violations.extend(since::violations(&wit)?);
    if violations.is_empty() {
        return Ok(());
    }
    bail!("the contract in wit/ breaks its rules:\n{}", violations.join("\n"))
}
