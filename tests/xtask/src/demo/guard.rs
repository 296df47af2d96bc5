//! Ends the demo's guest when the demo itself ends early: by an error, Ctrl-C, or a kill.

use anyhow::{Context, Result};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Waits for a word; without one (its writer is gone) it ends the guest.
const SCRIPT: &str = r#"read -r word || { hostler destroy "$1"; hostler undefine "$1"; }"#;

/// A process that outlives this one by as long as it takes to clean up.
pub(super) struct Guard {
    process: Child,
    /// Held open while the demo lives: no signal can keep the kernel from closing it.
    line: Option<ChildStdin>,
}

impl Guard {
    /// Begins to watch; `shell` is one in which `hostler` can be typed.
    pub(super) fn watch(mut shell: Command, domain: &str) -> Result<Self> {
        let command = shell.args(["-c", SCRIPT, "guard", domain]);
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

#[cfg(test)]
mod tests {
    use super::Guard;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    /// What the guard typed.
    fn typed(end: fn(Guard)) -> String {
        let directory = tempfile::tempdir().unwrap();
        let (program, log) = (directory.path().join("hostler"), directory.path().join("log"));
        fs::write(&program, format!("#!/bin/sh\necho \"$@\" >> {}\n", log.display())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut shell = Command::new("sh");
        shell.env("PATH", format!("{}:/usr/bin:/bin", directory.path().display()));
        end(Guard::watch(shell, "x").unwrap());
        fs::read_to_string(log).unwrap_or_default()
    }

    #[test]
    fn an_early_end_ends_the_guest_and_a_proper_one_does_not() {
        assert_eq!(typed(drop), "destroy x\nundefine x\n");
        assert_eq!(typed(Guard::release), "");
    }
}
