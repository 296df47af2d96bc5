//! Runs the program on each folder of `tests/golden`: arguments in, output and exit status out.
//!
//! A case is a folder with `args` (one argument on each line), and if it needs them `stdin` and `env`
//! (NAME=VALUE lines); it expects `stdout`, `stderr` and `exit`, where an absent file means empty or 0.
//! `BLESS=1` writes what was seen. Each case has a state directory and a driver directory of its own.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, also outside test functions")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Longest time that a case may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a run is compared by.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    stdout: String,
    stderr: String,
    exit: String,
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

fn text(case: &Path, name: &str) -> String {
    let path = case.join(name);
    if path.exists() { fs::read_to_string(path).unwrap() } else { String::new() }
}

fn run(case: &Path) -> Seen {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("drivers")).unwrap();
    let args = text(case, "args");
    assert!(case.join("args").exists(), "{} has no args", case.display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_hostler"));
    command.args(args.lines()).env_clear().current_dir(place.path());
    command.env("HOSTLER_STATE_DIR", place.path().join("state"));
    command.env("HOSTLER_DRIVER_DIR", place.path().join("drivers"));
    command.envs(text(case, "env").lines().map(|line| line.split_once('=').unwrap()));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let input = fs::read(case.join("stdin")).unwrap_or_default();
    let mut stdin = child.stdin.take().unwrap();
    // A command that does not read its input closes the pipe; that is no failure of the test.
    if let Err(error) = stdin.write_all(&input) {
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    }
    drop(stdin);
    let (pid, (ended, end)) = (Pid::from_child(&child), channel::<()>());
    let guard = thread::spawn(move || {
        // A command that hangs fails its case; it must not hold the others.
        end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout)
            && kill_process(pid, Signal::KILL).is_ok()
    });
    let output = child.wait_with_output().unwrap();
    drop(ended);
    assert!(!guard.join().unwrap(), "{} hung", case.display());
    let place = place.path().to_str().unwrap();
    let neutral = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(place, "[PLACE]");
    Seen {
        stdout: neutral(output.stdout),
        stderr: neutral(output.stderr),
        exit: format!("{}\n", output.status.code().map_or("signal".to_owned(), |code| code.to_string())),
    }
}

fn expected(case: &Path) -> Seen {
    let exit = text(case, "exit");
    let exit = if exit.is_empty() { "0\n".to_owned() } else { exit };
    Seen { stdout: text(case, "stdout"), stderr: text(case, "stderr"), exit }
}

fn bless(case: &Path, seen: &Seen) {
    let entries = [("stdout", &seen.stdout, ""), ("stderr", &seen.stderr, ""), ("exit", &seen.exit, "0\n")];
    for (name, content, default) in entries {
        let path = case.join(name);
        if content != default {
            fs::write(path, content).unwrap();
        } else if path.exists() {
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn every_case_gives_what_it_expects() {
    let cases = cases();
    assert!(cases.len() > 10, "the cases are gone: {}", cases.len());
    let blessing = std::env::var_os("BLESS").is_some();
    let mut failed = Vec::new();
    for case in cases {
        let seen = run(&case);
        if blessing {
            bless(&case, &seen);
        } else if seen != expected(&case) {
            failed.push(format!(
                "{}\nexpected {:#?}\nseen     {seen:#?}",
                case.file_name().unwrap().display(),
                expected(&case)
            ));
        }
    }
    assert!(failed.is_empty(), "{}\n(BLESS=1 accepts what was seen)", failed.join("\n\n"));
}
