//! Running qemu-img: progress from its standard output, the reason of a failure from its standard error.

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::Progress;
use crate::error::{ErrorKind, StorageError};

/// Most bytes of a complaint that are kept.
const COMPLAINT_MAX_BYTES: u64 = 4096;

/// The name by which a program started here reaches an open file of this process: no directory is searched and no link
/// of anybody else followed on the way.
pub(crate) fn name_of(file: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_fd().as_raw_fd()))
}

/// Runs it to its end. `what` says what it does, as an infinitive, for the error.
pub(crate) fn run(
    program: &Path,
    arguments: &[String],
    what: &str,
    progress: Progress<'_>,
) -> Result<(), StorageError> {
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| StorageError::io("run", program.display(), error))?;
    let complaint = watch(&mut child, progress);
    let status = child.wait().map_err(|error| StorageError::io("wait for", program.display(), error))?;
    let complaint = complaint.map_err(|error| StorageError::io("listen to", program.display(), error))?;
    if status.success() {
        return Ok(());
    }
    Err(failed(what, &complaint))
}

/// Reads both streams to their ends; a child whose reader is gone ends at its next word.
fn watch(child: &mut Child, progress: Progress<'_>) -> io::Result<String> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let complaints = scope.spawn(move || {
            let mut text = Vec::new();
            if let Some(mut stderr) = stderr {
                stderr.by_ref().take(COMPLAINT_MAX_BYTES).read_to_end(&mut text)?;
                io::copy(&mut stderr, &mut io::sink())?;
            }
            Ok(String::from_utf8_lossy(&text).into_owned())
        });
        if let Some(stdout) = stdout {
            follow(stdout, progress)?;
        }
        complaints.join().unwrap_or_else(|_| Err(io::Error::other("the reader of its complaints stopped")))
    })
}

fn follow(mut stdout: impl Read, progress: Progress<'_>) -> io::Result<()> {
    let (mut line, mut chunk) = (Vec::new(), [0; 256]);
    loop {
        let count = match stdout.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for byte in chunk.iter().take(count) {
            if matches!(byte, b'\r' | b'\n') {
                if let Some(done) = parse_progress(&line) {
                    progress(done);
                }
                line.clear();
            } else if line.len() < chunk.len() {
                line.push(*byte);
            }
        }
    }
}

/// The fraction in a line such as `    (12.50/100%)`.
fn parse_progress(line: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(line).ok()?.trim();
    let number = text.strip_prefix('(')?.strip_suffix("/100%)")?;
    let percent: f64 = number.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

fn failed(what: &str, complaint: &str) -> StorageError {
    let said: Vec<&str> =
        complaint.lines().map(|line| line.trim().trim_start_matches("qemu-img: ")).collect();
    let said = said.join("; ");
    let message = format!("qemu-img cannot {what}");
    let error = if said.contains("No space left on device") || said.contains("quota exceeded") {
        StorageError::new(ErrorKind::Full, "storage.full", message)
            .hint("free space in the pool, or ask for less")
    } else if complaint.lines().any(is_about_a_lock) {
        StorageError::new(ErrorKind::Conflict, "volume.locked", message)
            .hint("something has the image open; end it first")
    } else {
        StorageError::new(ErrorKind::Io, "storage.qemu-img", message)
    };
    if said.is_empty() { error } else { error.caused_by(said) }
}

/// Such as `Failed to get "write" lock`, which names may stand before and the image after.
fn is_about_a_lock(line: &str) -> bool {
    line.split("Failed to get ").skip(1).any(|rest| {
        let quoted = rest.strip_prefix("shared ").unwrap_or(rest).strip_prefix('"');
        quoted.and_then(|quoted| quoted.split_once('"')).is_some_and(|(_, rest)| rest.starts_with(" lock"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_and_nothing_else_is() {
        assert_eq!(parse_progress(b"    (12.50/100%)"), Some(0.125));
        assert_eq!(parse_progress(b"(100.00/100%)"), Some(1.0));
        for text in ["", "(x/100%)", "(101/100%)", "(nan/100%)", "12.5"] {
            assert_eq!(parse_progress(text.as_bytes()), None, "{text}");
        }
        let mut seen = Vec::new();
        follow(&b"    (0.00/100%)\r    (50.00/100%)\rnoise\n    (100.00/100%)\r"[..], &mut |done| {
            seen.push(done)
        })
        .unwrap();
        assert_eq!(seen, [0.0, 0.5, 1.0]);
    }

    #[test]
    fn failures_are_told_apart_by_what_it_says() {
        let of = |text: &str| failed("do it", text);
        assert_eq!(of("qemu-img: x: No space left on device\n").kind, ErrorKind::Full);
        assert_eq!(of("qemu-img: Failed to get \"write\" lock\n").kind, ErrorKind::Conflict);
        assert_eq!(of("qemu-img: a: Failed to get shared \"write\" lock\n").kind, ErrorKind::Conflict);
        for text in [
            "qemu-img: x: Could not read refcount block: Invalid argument",
            "qemu-img: Could not open '/srv/lock/a'",
            "qemu-img: Failed to get size of 'lock'",
            "qemu-img: Failed to get the cluster, lock or not",
        ] {
            assert_eq!(of(text).kind, ErrorKind::Io, "{text}");
        }
        let other = of("qemu-img: one\nqemu-img: two\n");
        assert_eq!(std::error::Error::source(&other).unwrap().to_string(), "one; two");
        assert_eq!(other.to_string(), "qemu-img cannot do it");
    }

    #[test]
    fn a_program_that_fails_or_floods_is_not_waited_for_forever() {
        let sh = |script: &str| {
            let words = ["-c".to_owned(), script.to_owned()];
            run(Path::new("/bin/sh"), &words, "do it", &mut |_| {})
        };
        assert!(sh("yes | head -c 300000; yes | head -c 300000 >&2; exit 0").is_ok());
        assert_eq!(sh("echo no >&2; exit 3").unwrap_err().code(), "storage.qemu-img");
        let missing = run(Path::new("/nonexistent/qemu-img"), &[], "do it", &mut |_| {}).unwrap_err();
        assert_eq!(missing.kind, ErrorKind::NotFound);
    }
}
