//! Running qemu-img: progress from its standard output, the reason of a failure from its standard error.

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit};

use super::Progress;
use crate::error::{ErrorKind, StorageError};

/// Most bytes of a complaint that are kept.
const COMPLAINT_MAX_BYTES: u64 = 4096;

/// Most memory it may address: its caches for the largest images take some tens of MiB.
const MEMORY_MAX_BYTES: u64 = 2 << 30;
/// Everything it is told of the environment: nothing that changes what it does or says. On large machines each of its
/// threads would set aside much of the memory that it may address.
const ENVIRONMENT: [(&str, &str); 3] =
    [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("LC_ALL", "C"), ("MALLOC_ARENA_MAX", "2")];
/// What has a program killed when who started it is gone.
const SETPRIV: &str = "/usr/bin/setpriv";

/// The code of a failure to measure how long the derivation of a key takes, which is a matter of luck.
pub(super) const UNMEASURED: &str = "storage.processor-time";

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
    // In front of it another program may stand, which would be there where it is not.
    std::fs::metadata(program).map_err(|error| StorageError::io("run", program.display(), error))?;
    let mut child = command(program, Path::new(SETPRIV))
        .args(arguments)
        .env_clear()
        .envs(ENVIRONMENT)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| StorageError::io("run", program.display(), error))?;
    if let Err(error) = bound(&child) {
        // Not without its bounds; nothing is to be said about how it ends.
        child
            .kill()
            .and_then(|()| child.wait())
            .map_err(|error| StorageError::io("end", program.display(), error))?;
        return Err(StorageError::io("bound", program.display(), error));
    }
    let complaint = watch(&mut child, progress);
    let status = child.wait().map_err(|error| StorageError::io("wait for", program.display(), error))?;
    let complaint = complaint.map_err(|error| StorageError::io("listen to", program.display(), error))?;
    if status.success() {
        return Ok(());
    }
    Err(failed(what, &complaint))
}

/// The program, killed when the thread ends that waits for it: an image must not change while its next owner looks at
/// what is left. Without `setpriv` (of util-linux) it runs on.
fn command(program: &Path, setpriv: &Path) -> Command {
    if !setpriv.is_file() {
        return Command::new(program);
    }
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Bounds the memory of a program that reads what others wrote.
fn bound(child: &Child) -> io::Result<()> {
    let Some(child) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
        return Err(io::Error::other("it has no process id"));
    };
    let most = Rlimit { current: Some(MEMORY_MAX_BYTES), maximum: Some(MEMORY_MAX_BYTES) };
    match rustix::process::prlimit(Some(child), Resource::As, most) {
        // It is through already.
        Err(rustix::io::Errno::SRCH) => Ok(()),
        other => Ok(other.map(|_| ())?),
    }
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
    } else if said.contains("accurate CPU usage") {
        StorageError::new(ErrorKind::Io, UNMEASURED, message)
            .hint("this machine counts processor time too coarsely at the moment; try again")
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
        assert_eq!(of("qemu-img: a: Unable to get accurate CPU usage\n").code(), UNMEASURED);
        let other = of("qemu-img: one\nqemu-img: two\n");
        assert_eq!(std::error::Error::source(&other).unwrap().to_string(), "one; two");
        assert_eq!(other.to_string(), "qemu-img cannot do it");
    }

    #[test]
    fn it_runs_bounded_and_knows_nothing_of_the_environment() {
        // The bound is set while it runs already.
        let script = "n=0; until [ \"$(ulimit -v)\" = 2097152 ] || [ $n = 100000 ]; do n=$((n+1)); done; \
                      [ \"$(ulimit -v)\" = 2097152 ] || { echo unbounded >&2; exit 1; }; \
                      [ -z \"$CARGO_MANIFEST_DIR\" ] && [ \"$LC_ALL\" = C ] || { env >&2; exit 1; }";
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let words = ["-c".to_owned(), script.to_owned()];
        run(Path::new("/bin/sh"), &words, "do it", &mut |_| {}).unwrap();
    }

    #[test]
    fn it_ends_with_the_thread_that_waits_for_it() {
        let start = || {
            let mut sleep = command(Path::new("/bin/sh"), Path::new(SETPRIV));
            // A word says that it is past setpriv.
            sleep.args(["-c", "echo up; exec sleep 600"]).stdout(Stdio::piped());
            let mut child = sleep.spawn().unwrap();
            child.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
            child
        };
        let mut child = std::thread::spawn(start).join().unwrap();
        let ended = std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap());
        assert_eq!(ended, Some(9));
        let plain = command(Path::new("/bin/sh"), Path::new("/nonexistent/setpriv"));
        assert_eq!(plain.get_program(), "/bin/sh");
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
