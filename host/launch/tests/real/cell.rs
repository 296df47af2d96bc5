//! The cell, from within: a process that tries what it may not, and what it may.

use std::process::{Command, Stdio};

#[test]
fn nothing_can_be_done_in_a_cell_but_to_compute() {
    let own = std::env::current_exe().unwrap();
    let program = own.ancestors().nth(2).unwrap().join("examples/cell");
    assert!(program.is_file(), "{} is not built; run: cargo xtask test", program.display());
    let mut victim = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
    let output = Command::new(program).arg(victim.id().to_string()).output().unwrap();
    assert_eq!(victim.try_wait().unwrap(), None, "another process was ended");
    victim.kill().unwrap();
    victim.wait().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let done: Vec<_> = said.lines().filter(|line| !line.starts_with("refused: ")).collect();
    assert_eq!(done, ["done: compute in a thread"], "{said}");
    assert_eq!(said.lines().count(), 16, "{said}");
}
