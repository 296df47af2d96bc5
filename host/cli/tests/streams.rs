//! How the program treats its streams and signals: closed pipes, full disks, interrupts, JSON.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, also outside test functions")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hostler_state::{NewEvent, StateDir, Uuid};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Longest time that anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn hostler(place: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hostler"));
    command.args(args).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("HOSTLER_STATE_DIR", place.join("state")).env("HOSTLER_DRIVER_DIR", place.join("drivers"));
    command
}

fn place_with_state() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("drivers")).unwrap();
    drop(StateDir::open_owner(&place.path().join("state"), Duration::ZERO).unwrap());
    place
}

fn event(kind: &str) -> NewEvent {
    NewEvent { domain: Uuid::nil(), name: "web".to_owned(), kind: kind.to_owned(), detail: BTreeMap::new() }
}

/// Waits until the program handles interrupts itself, as the kernel tells.
fn wait_for_signal_handler(child: &Child) {
    let interrupt = 1_u64 << (Signal::INT.as_raw() - 1);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        if u64::from_str_radix(caught.trim(), 16).unwrap() & interrupt != 0 {
            return;
        }
        assert!(Instant::now() < deadline, "the program never handled interrupts");
        std::thread::yield_now();
    }
}

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

#[test]
fn closed_pipe_ends_quietly_with_success() {
    let place = place_with_state();
    let mut child = hostler(place.path(), &["completions", "zsh"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn full_disk_is_a_failure_with_its_cause() {
    let place = place_with_state();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = hostler(place.path(), &["list", "--all"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("error[cli.io]: cannot write to standard output\n  caused by: "), "{stderr}");
}

#[test]
fn follower_writes_events_as_they_come_and_an_interrupt_ends_it_with_success() {
    let place = place_with_state();
    let log = StateDir::open_reader(&place.path().join("state")).unwrap().events();
    log.append(event("defined")).unwrap();
    let mut child =
        hostler(place.path(), &["events", "--follow", "--since", "0", "-o", "json"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["kind"], "defined");
    log.append(event("started")).unwrap();
    let second = next();
    assert_eq!((&second["schema"], &second["kind"]), (&1.into(), &"started".into()));
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn follower_ends_when_its_reader_is_gone() {
    let place = place_with_state();
    let mut child = hostler(place.path(), &["events", "--follow"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn interrupt_while_waiting_for_the_lock_is_status_130() {
    let place = place_with_state();
    let owner = StateDir::open_owner(&place.path().join("state"), Duration::ZERO).unwrap();
    let child = hostler(place.path(), &["destroy", "web", "--lock-timeout", "600"]).spawn().unwrap();
    wait_for_signal_handler(&child);
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    drop(owner);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.starts_with("error[cli.interrupted]: "), "{stderr}");
}

#[test]
fn lock_held_by_another_is_status_5_and_readers_do_not_wait_for_it() {
    let place = place_with_state();
    let owner = StateDir::open_owner(&place.path().join("state"), Duration::ZERO).unwrap();
    let changing =
        hostler(place.path(), &["destroy", "web", "--lock-timeout", "0", "-o", "json"]).output().unwrap();
    assert_eq!(changing.status.code(), Some(5), "{}", String::from_utf8_lossy(&changing.stderr));
    let error: Value = serde_json::from_slice(&changing.stderr).unwrap();
    assert_eq!(error["error"]["retryable"], true);
    let reading = hostler(place.path(), &["list", "--all"]).output().unwrap();
    assert_eq!(reading.status.code(), Some(0), "{}", String::from_utf8_lossy(&reading.stderr));
    drop(owner);
}

/// One call of every command, such that it succeeds or fails without a hypervisor.
const CALLS: &[&[&str]] = &[
    &["define", "/nonexistent"],
    &["undefine", "nobody"],
    &["start", "nobody"],
    &["run", "/nonexistent"],
    &["autostart", "nobody"],
    &["list", "--all"],
    &["show", "nobody"],
    &["xml", "nobody"],
    &["console", "nobody"],
    &["shutdown", "nobody"],
    &["destroy", "nobody"],
    &["suspend", "nobody"],
    &["resume", "nobody"],
    &["reboot", "nobody"],
    &["reset", "nobody"],
    &["agent", "ping", "nobody"],
    &["stats"],
    &["dump", "nobody", "/nonexistent"],
    &["save", "nobody"],
    &["restore", "/nonexistent"],
    &["migrate", "nobody", "--to", "unix:/nonexistent"],
    &["receive", "unix:/nonexistent/socket"],
    &["snapshot", "list", "nobody"],
    &["attach", "nobody", "/dev/null"],
    &["detach", "nobody", "vdb"],
    &["media", "nobody", "sda", "eject"],
    &["set-memory", "nobody", "1MiB"],
    &["set-vcpus", "nobody", "1"],
    &["limits", "nobody"],
    &["bandwidth", "nobody", "vnet0"],
    &["display", "nobody"],
    &["link", "nobody", "net0", "down"],
    &["screenshot", "nobody", "/nonexistent"],
    &["send-key", "nobody", "A"],
    &["events"],
    &["native", "nobody"],
    &["driver", "list"],
    &["firmware", "list"],
    &["block", "jobs", "nobody"],
    &["image", "chain", "/nonexistent", "--format", "raw"],
    &["pool", "list", "--all"],
    &["vol", "list", "nowhere"],
    &["net", "list", "--all"],
    &["secret", "list"],
    &["tenant", "list"],
    &["serve", "--socket", "/nonexistent/socket"],
    &["doctor"],
    &["completions", "bash"],
    &["man"],
];

#[test]
fn json_of_every_command_parses_and_has_the_version() {
    let place = place_with_state();
    let log = StateDir::open_reader(&place.path().join("state")).unwrap().events();
    log.append(event("defined")).unwrap();
    for call in CALLS {
        let output = hostler(place.path(), call).args(["-o", "json"]).output().unwrap();
        let (code, stderr) = (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr));
        let document = if output.stdout.is_empty() { &output.stderr } else { &output.stdout };
        let parsed: Value =
            serde_json::from_slice(document).unwrap_or_else(|e| panic!("{call:?}: {e}: {stderr}"));
        assert_eq!(parsed["schema"], 1, "{call:?}");
        if output.stdout.is_empty() {
            assert_eq!(parsed["error"]["exit"], code, "{call:?}");
            assert_eq!(code, 3, "{call:?} names something that does not exist: {stderr}");
        }
    }
}

#[test]
fn calls_cover_every_command() {
    let place = place_with_state();
    let help = hostler(place.path(), &["--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A description that goes on in the next line is further in.
    let commands = commands.filter(|line| !line.starts_with("   "));
    let named: Vec<&str> = commands.map(|line| line.split_whitespace().next().unwrap()).collect();
    let called: Vec<&str> = CALLS.iter().map(|call| call[0]).collect();
    assert_eq!(named, called);
}

#[test]
fn quiet_and_piped_output_hold_no_colour_and_no_progress() {
    let place = place_with_state();
    let mut child = hostler(place.path(), &["start", "nobody", "--quiet"]).spawn().unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert!(stderr.starts_with("error[domain.not-found]: "), "{stderr}");
    assert!(!stderr.contains('\x1b'), "{stderr}");
}
