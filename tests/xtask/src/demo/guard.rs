//! Ends the demo's guest when the demo itself ends early: by an error, Ctrl-C, or a kill.

use super::terminal::Terminal;
use anyhow::{Context, Result};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Stdio};

/// Waits for a word; without one (its writer is gone) it ends the guest.
const SCRIPT: &str = r#"read -r word || { hostler destroy "$1"; hostler undefine "$1"; }"#;

/// A process that outlives this one by as long as it takes to clean up.
pub(super) struct Guard {
    process: Child,
    /// Held open while the demo lives: no signal can keep the kernel from closing it.
    line: Option<ChildStdin>,
}

impl Guard {
    /// Begins to watch.
    pub(super) fn watch(terminal: &Terminal, domain: &str) -> Result<Self> {
        let mut command = terminal.command("sh", &["-c", SCRIPT, "guard", domain]);
        // A group of its own, so that Ctrl-C at the terminal does not reach it.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().context("cannot start the guard")?;
        let line = process.stdin.take();
        Ok(Self { process, line })
    }

    /// All is well: nothing is left to clean up.
    pub(super) fn release(mut self) {
        if let Some(line) = &mut self.line
            && let Err(error) = writeln!(line, "done")
        {
            eprintln!("the guard ended early: {error}");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.line.take());
        if let Err(error) = self.process.wait() {
            eprintln!("cannot wait for the guard: {error}");
        }
    }
}
