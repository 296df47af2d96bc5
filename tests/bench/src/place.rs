//! Where the programs under test are, and a state directory of the benchmark's own.

use anyhow::{Context, Result};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The programs and files of one run.
pub(crate) struct Place {
    /// The directory of `hostler` and `hostler-shim`.
    pub(crate) programs: PathBuf,
    /// The directory that holds `drivers` and `guests`.
    pub(crate) components: PathBuf,
    /// The directory of the test guests.
    pub(crate) guest: PathBuf,
    state: TempDir,
}

impl Place {
    /// Reads the environment that `cargo xtask bench` sets.
    ///
    /// # Errors
    /// When it is not set.
    pub(crate) fn find() -> Result<Self> {
        let variable = |name: &str| {
            let value =
                env::var_os(name).with_context(|| format!("{name} is not set: run cargo xtask bench"))?;
            Ok::<_, anyhow::Error>(PathBuf::from(value))
        };
        Ok(Self {
            programs: variable("HOSTLER_BIN_DIR")?,
            components: variable("HOSTLER_COMPONENTS")?,
            guest: variable("HOSTLER_TEST_GUEST")?,
            state: tempfile::tempdir()?,
        })
    }

    /// A directory for the run's own files; gone afterwards.
    pub(crate) fn work(&self) -> &Path {
        self.state.path()
    }

    /// `hostler` with the run's own state.
    pub(crate) fn hostler(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join("hostler"));
        command
            .arg("--state-dir")
            .arg(self.state.path().join("state"))
            .arg("--driver-dir")
            .arg(self.components.join("drivers"))
            .args(arguments);
        command
    }
}

/// Runs a command quietly and returns its stdout; the error holds its stderr.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {:?}", command.get_program()))?;
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    let complaint = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{} failed: {}", words.join(" "), complaint.trim());
    Ok(String::from_utf8(output.stdout)?)
}
