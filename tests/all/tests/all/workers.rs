//! Drivers in processes of their own, with a real hypervisor: the whole life of a guest, and what becomes of a start
//! whose driver's process is killed.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::workbench::{Workbench, rom_domain};

/// What the log says of a host call.
const CALL: &str = "a driver's process makes a host call";

fn with_workers(bench: &Workbench, arguments: &[&str]) -> Command {
    let mut command = bench.command(&["--workers=on"]);
    command.args(arguments);
    command
}

fn ok(bench: &Workbench, arguments: &[&str]) {
    let output = with_workers(bench, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The process of a line of the log that tells of a host call.
fn caller(line: &str) -> Option<i32> {
    let (_, fields) = line.split_once(CALL)?;
    let digits = fields.split_once("pid=")?.1;
    digits.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

#[test]
fn guest_goes_through_its_life_with_its_driver_in_a_process_of_its_own() {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    for (verb, state) in [
        ("start", "running"),
        ("suspend", "paused"),
        ("resume", "running"),
        ("reset", "running"),
        ("destroy", "off"),
    ] {
        ok(&bench, &[verb, "rom"]);
        assert_eq!(bench.state_of("rom").as_deref(), Some(state), "after {verb}");
    }
    let shown = with_workers(&bench, &["-vvv", "start", "rom"]).output().unwrap();
    assert!(shown.status.success());
    let log = String::from_utf8_lossy(&shown.stderr).into_owned();
    let process = log.lines().find_map(caller).expect("its calls are in the log");
    assert!(!std::path::Path::new(&format!("/proc/{process}/stat")).exists(), "it ends with the command");
    ok(&bench, &["console", "rom", "--until", "hostler-rom: tick 0002", "--timeout", "180"]);
    ok(&bench, &["destroy", "rom"]);
    ok(&bench, &["undefine", "rom"]);
}

/// Starts the domain, and kills the driver's process when it makes this call. Whether the start went through, and
/// how many calls it made.
fn killed_at(bench: &Workbench, at: usize) -> (bool, usize) {
    let mut command = with_workers(bench, &["-vvv", "start", "rom"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut calls = 0;
    let mut log = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(process) = caller(&line) {
            if calls == at {
                // It may have finished in the meantime, and have ended with its command.
                kill_process(Pid::from_raw(process).unwrap(), Signal::KILL).ok();
            }
            calls += 1;
        }
        log.push_str(&line);
        log.push('\n');
    }
    let status = child.wait().unwrap();
    if !status.success() {
        for part in ["driver.worker", "driver qemu", "start", "SIGKILL", "hint:"] {
            assert!(log.contains(part), "'{part}' is not in: {log}");
        }
    }
    (status.success(), calls)
}

#[test]
fn start_whose_driver_is_killed_at_any_host_call_is_undone_or_complete() {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    ok(&bench, &["start", "rom"]);
    ok(&bench, &["destroy", "rom"]);
    let (mut undone, mut most) = (0, 0);
    for at in 0.. {
        let (went_through, calls) = killed_at(&bench, at);
        most = most.max(calls);
        let state = bench.state_of("rom");
        if went_through {
            assert_eq!(state.as_deref(), Some("running"), "killed at call {at}");
            ok(&bench, &["destroy", "rom"]);
        } else {
            assert_eq!(state.as_deref(), Some("off"), "killed at call {at}");
            undone += 1;
        }
        assert_eq!(bench.processes(), Vec::<String>::new(), "killed at call {at}");
        assert!(!bench.run_dir("rom").is_held().unwrap(), "killed at call {at}");
        if calls <= at {
            break;
        }
    }
    // How often a kill comes in time depends on how busy the machine is.
    assert!(undone > 0, "none of the {most} calls was met by a kill");
    ok(&bench, &["start", "rom"]);
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"));
    ok(&bench, &["destroy", "rom"]);
}

#[test]
fn word_that_is_neither_on_nor_off_is_refused() {
    let bench = Workbench::new();
    let mut list = bench.command(&["list"]);
    let output = list.env("HOSTLER_WORKERS", "perhaps").output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && complaint.contains("config.workers"), "{complaint}");
}
