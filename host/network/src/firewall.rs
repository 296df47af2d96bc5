//! The firewall: tables of nftables, each put in place or taken away at once.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::error::{ErrorKind, NetworkError};

/// Directories that programs of the system's administrator lie in, which are on not everybody's path.
const DIRECTORIES: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
/// Most of what a program has said that a message repeats, in characters.
const SAID_MAX: usize = 512;

/// Puts a table in place, at once: all of it, or what there was before.
pub(crate) fn apply(rules: &str) -> Result<(), NetworkError> {
    run(rules)
}

/// Takes a table away; one that is gone is gone.
pub(crate) fn remove(table: &str) -> Result<(), NetworkError> {
    // Of a table that is not there nothing can be deleted, so it is made first; both happen at once.
    run(&format!("table inet {table} {{}}\ndelete table inet {table}\n"))
}

fn run(rules: &str) -> Result<(), NetworkError> {
    let nft = program("nft", "nftables")?;
    let failed = |error| NetworkError::io("run", "nft", error);
    let mut child = Command::new(nft)
        .args(["-f", "-"])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        // Who has ended says why.
        if let Err(error) = input.write_all(rules.as_bytes()) {
            tracing::debug!(%error, "nft did not read its rules");
        }
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let said = said(&output.stderr);
    let denied = said.contains("Operation not permitted");
    let kind = if denied { ErrorKind::Denied } else { ErrorKind::Io };
    let error = NetworkError::new(kind, "network.rules", format!("nft did not take the rules: {said}"));
    Err(if denied {
        error.hint("networks of the host are root's to change: run hostler as root")
    } else {
        error
    })
}

/// Where a program is.
pub(crate) fn program(name: &str, package: &str) -> Result<PathBuf, NetworkError> {
    let mut places = DIRECTORIES.iter().map(|directory| PathBuf::from(directory).join(name));
    places.find(|path| path.is_file()).ok_or_else(|| {
        NetworkError::new(
            ErrorKind::NotFound,
            "network.program",
            format!("the program '{name}' is not installed"),
        )
        .about("program", name)
        .hint_command("install it", format!("apt-get install {package}"))
    })
}

/// What a program has said, in one line.
pub(crate) fn said(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    line.chars().filter(|letter| !letter.is_control()).take(SAID_MAX).collect()
}
