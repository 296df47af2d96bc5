//! Drivers that misbehave on purpose: an error that names driver, version and operation, and nothing else harmed.

use std::fs::File;
use std::process::{Command, Output, Stdio};

use crate::workbench::{Answer, Workbench, built, components, rom_domain};

/// The one argument of the process in which a driver is compiled.
const COMPILE: &str = "compile-driver-from-stdin";

fn fault_domain(name: &str) -> String {
    format!(
        "<domain type='fault'><name>{name}</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>\
         <os><type>hvm</type></os></domain>"
    )
}

fn start_fault(bench: &Workbench, name: &str) -> Answer {
    bench.define(&fault_domain(name));
    let answer = bench.run(&["start", name]);
    assert_eq!(bench.state_of(name).as_deref(), Some("off"));
    answer
}

fn assert_driver_fault(answer: &Answer, code: &str) {
    assert_eq!(answer.status, 7, "{}", answer.stderr);
    for word in [code, "driver fault 0.1.0", "start"] {
        assert!(answer.stderr.contains(word), "'{word}' is not in: {}", answer.stderr);
    }
}

#[test]
fn trap_is_an_error_of_the_driver() {
    assert_driver_fault(&start_fault(&Workbench::new(), "trap"), "driver.trap");
}

#[test]
fn endless_loop_is_stopped() {
    assert_driver_fault(&start_fault(&Workbench::new(), "loop"), "driver.timeout");
}

#[test]
fn memory_bomb_is_stopped() {
    assert_driver_fault(&start_fault(&Workbench::new(), "memory"), "driver.memory");
}

#[test]
fn recursion_is_stopped() {
    assert_driver_fault(&start_fault(&Workbench::new(), "recursion"), "driver.trap");
}

#[test]
fn storm_of_host_calls_is_stopped() {
    let answer = start_fault(&Workbench::new(), "host-calls");
    // On a slow host the processor time of the call is used up before the rate of its tenant is.
    let code = if answer.stderr.contains("driver.rate") { "driver.rate" } else { "driver.timeout" };
    assert_driver_fault(&answer, code);
}

#[test]
fn log_flood_is_cut_and_harms_nothing() {
    let bench = Workbench::new();
    bench.define(&fault_domain("log-flood"));
    let answer = bench.run(&["-v", "start", "log-flood"]);
    assert_eq!(answer.status, 0, "{}", answer.stderr);
    assert!(answer.stderr.len() < 1 << 20, "{} bytes of log came through", answer.stderr.len());
}

#[test]
fn other_domains_go_on_beside_a_faulty_driver() {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    bench.ok(&["start", "rom"]);
    for name in ["trap", "loop", "memory"] {
        start_fault(&bench, name);
        assert_eq!(bench.state_of("rom").as_deref(), Some("running"), "after {name}");
    }
    bench.ok(&["console", "rom", "--until", "hostler-rom: tick 0002", "--timeout", "60"]);
    bench.ok(&["destroy", "rom"]);
}

/// Runs a command under strace, and what it traced.
fn traced(bench: &Workbench, calls: &str, command: &Command, input: Stdio) -> (Output, String) {
    let trace = bench.path("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-s", "80", "-e", &format!("trace={calls}"), "-o"]).arg(&trace);
    strace.arg(command.get_program()).args(command.get_args()).stdin(input);
    strace.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = strace.output().expect("strace is there: cargo xtask setup installs it");
    (output, std::fs::read_to_string(trace).unwrap())
}

#[test]
fn driver_is_compiled_by_a_process_of_its_own() {
    let bench = Workbench::new();
    let mut list = bench.command(&["driver", "list"]);
    list.env("HOSTLER_CACHE_DIR", bench.path("fresh-cache"));
    let (output, calls) = traced(&bench, "execve", &list, Stdio::null());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(calls.contains(COMPILE), "{calls}");
}

#[test]
fn compiler_opens_and_starts_nothing_once_it_has_its_component() {
    let bench = Workbench::new();
    let component = File::open(components("drivers").join("test.wasm")).unwrap();
    let mut compiler = Command::new(built("hostler"));
    compiler.arg(COMPILE);
    let calls = "landlock_restrict_self,open,openat,openat2,execve,connect,socket";
    let (output, calls) = traced(&bench, calls, &compiler, component.into());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.starts_with(b"\x7fELF"), "machine code comes out");
    let Some((_, after)) = calls.split_once("landlock_restrict_self") else {
        eprintln!("SKIPPED: this kernel has no Landlock");
        return;
    };
    let opened: Vec<_> = after.lines().skip(1).filter(|line| !line.contains(" = -1 ")).collect();
    assert!(opened.iter().all(|line| line.contains("+++")), "{opened:?}");
}

#[test]
fn compiler_closes_what_its_starter_left_open_before_it_reads() {
    let bench = Workbench::new();
    let leaked = bench.write("leaked", "a secret");
    let component = File::open(components("drivers").join("test.wasm")).unwrap();
    let mut shell = Command::new("/bin/sh");
    let script = format!("exec 7<'{}' && exec '{}' {COMPILE}", leaked.display(), built("hostler").display());
    shell.args(["-c", &script]);
    let (output, calls) = traced(&bench, "close,landlock_restrict_self", &shell, component.into());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let before = calls.split_once("landlock_restrict_self").map_or(calls.as_str(), |(before, _)| before);
    assert!(before.lines().any(|line| line.contains("close(7)") && line.ends_with("= 0")), "{calls}");
}

#[test]
fn compiler_that_is_given_no_component_says_what_is_wrong() {
    let bench = Workbench::new();
    let garbage = File::open(bench.write("garbage", "no component")).unwrap();
    let output = Command::new(built("hostler")).arg(COMPILE).stdin(garbage).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty() && !output.stderr.is_empty());
}
