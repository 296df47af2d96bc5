//! Types the demo's commands: each is shown as typed, then run, in the demo's own directory.

use crate::shell;
use crate::workspace;
use anyhow::{Context, Result};
use serde_json::Value;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the demo's commands run, and with what environment.
pub(super) struct Terminal {
    directory: PathBuf,
    variables: Vec<(&'static str, OsString)>,
}

impl Terminal {
    /// A terminal in the given directory; state and programs are those of this tree.
    pub(super) fn open(directory: &Path) -> Result<Self> {
        let target = workspace::target_dir()?;
        let path = env::var_os("PATH").unwrap_or_default();
        let programs = [target.join("debug")].into_iter().chain(env::split_paths(&path));
        let variables = vec![
            ("HOSTLER_STATE_DIR", directory.join("state").into_os_string()),
            ("HOSTLER_DRIVER_DIR", target.join("drivers").into_os_string()),
            ("PATH", env::join_paths(programs).context("PATH has a colon in a name")?),
        ];
        Ok(Self { directory: directory.to_owned(), variables })
    }

    /// Where commands run.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Shows how to type the commands oneself.
    pub(super) fn introduce(&self) {
        println!("\nTo type along in another terminal:\n");
        println!("$ cd {}", self.directory.display());
        for (name, value) in &self.variables {
            let value = value.to_string_lossy();
            // The user's own part of PATH is long and known.
            let value = if *name == "PATH" { value.split(':').next().unwrap_or_default() } else { &value };
            println!("$ export {name}={value}{}", if *name == "PATH" { ":$PATH" } else { "" });
        }
    }

    /// A heading.
    pub(super) fn section(&self, title: &str) {
        println!("\n── {title}");
    }

    /// Shows a command, runs it, and leaves its output to the user.
    pub(super) fn show(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let mut command = self.command(program, arguments);
        println!("\n$ {}", shell::words(&command));
        shell::run(&mut command)
    }

    /// Asks `hostler` for JSON, unseen.
    pub(super) fn json(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = self.command("hostler", &["-o", "json"]);
        let text = shell::read(command.args(arguments))?;
        serde_json::from_str(&text).with_context(|| format!("{}: not JSON", shell::words(&command)))
    }

    /// Runs `hostler` unseen and does not mind if it fails.
    pub(super) fn quiet(&self, arguments: &[&str]) -> bool {
        shell::succeeds(&mut self.command("hostler", arguments))
    }

    /// Writes a file and shows its content.
    pub(super) fn write(&self, name: &str, content: &str) -> Result<()> {
        fs::write(self.directory.join(name), content).with_context(|| format!("cannot write {name}"))?;
        println!("\n$ cat {name}\n{content}");
        Ok(())
    }

    /// A command in this terminal.
    pub(super) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.directory).args(arguments);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}
