//! `kill -9` at any moment: nothing is lost, nothing runs that is not listed, nothing is started twice.

use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::Duration;

use hostler_launch::{ShimClient, end_orphan};
use hostler_state::RunRecord;

use crate::workbench::{Workbench, rom_domain};

/// System calls at which a starting command is killed. A start makes a few thousand; these are spread over them
/// by their kinds, which name each step: files made, renamed, synced, processes made, sockets used.
const KILL_AT: &[(&str, &[u32])] = &[
    ("flock", &[1, 2, 3]),
    ("renameat,renameat2,rename", &[1, 2, 3, 4, 5]),
    ("fsync,fdatasync", &[1, 2, 3, 5, 7]),
    ("clone,clone3,vfork", &[1, 2, 3, 4]),
    ("connect", &[1, 2, 3, 4, 5]),
    ("sendmsg,sendto", &[1, 2, 4, 6, 9]),
    ("unlink,unlinkat", &[1, 2]),
];

/// How often a domain is started and ended under the eyes of a reader: about one look in ten met it half gone.
const ROUNDS: usize = 15;

#[test]
fn start_killed_at_any_step_leaves_a_domain_that_is_off_or_runs_and_is_listed() {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    let mut interrupted = 0;
    for (calls, counts) in KILL_AT {
        for count in *counts {
            interrupted += u32::from(!killed_at(&bench, &["start", "rom"], calls, *count));
            let state = bench.state_of("rom").expect("the definition is there");
            assert!(["off", "running", "starting"].contains(&state.as_str()), "{calls} {count}: {state}");
            // The next owner settles what was left; then it can be started, or ended, like any other.
            let verb = if state == "running" { "destroy" } else { "start" };
            let answer = bench.run(&[verb, "rom"]);
            let settled = bench.state_of("rom");
            assert_eq!(answer.status, 0, "{calls} {count}: {verb}: {}", answer.stderr);
            if settled.as_deref() == Some("running") {
                bench.ok(&["destroy", "rom"]);
            }
            assert_eq!(bench.state_of("rom").as_deref(), Some("off"), "{calls} {count}");
            bench.nothing_runs(&format!("{calls} {count}"));
        }
    }
    assert!(
        interrupted > 10,
        "only {interrupted} starts were interrupted: the list no longer fits the steps"
    );
}

#[test]
fn run_killed_at_any_step_leaves_a_guest_that_is_listed_or_nothing() {
    let bench = Workbench::new();
    let file = bench.write("run.xml", &rom_domain("passing", "qemu"));
    let mut interrupted = 0;
    for (calls, counts) in KILL_AT {
        for count in *counts {
            interrupted += u32::from(!killed_at(&bench, &["run", file.to_str().unwrap()], calls, *count));
            if bench.state_of("passing").is_some() {
                bench.run(&["destroy", "passing"]);
            } else {
                // Any owner settles; this one has nothing else to do.
                bench.run(&["destroy", "nobody"]);
            }
            assert_eq!(bench.state_of("passing"), None, "{calls} {count}");
            bench.nothing_runs(&format!("{calls} {count}"));
        }
    }
    assert!(interrupted > 10, "only {interrupted} runs were interrupted: the list no longer fits the steps");
}

/// The points of a list: calls, and which of them the command is killed at. Every third of them, for each takes seconds; all
/// with `HOSTLER_KILL_AT=all`, as before a release.
pub(crate) fn points(list: &[(&'static str, &[u32])]) -> Vec<(&'static str, u32)> {
    let all = list.iter().flat_map(|(calls, counts)| counts.iter().map(|count| (*calls, *count)));
    let step = if std::env::var_os("HOSTLER_KILL_AT").is_some_and(|at| at == "all") { 1 } else { 3 };
    all.step_by(step).collect()
}

/// Holds a list against the steps that there are: at a quarter of its points at least a command has to have been interrupted.
pub(crate) fn list_fits(interrupted: u32, points: usize) {
    let points = u32::try_from(points).unwrap();
    assert!(
        interrupted * 4 >= points && interrupted > 0,
        "only {interrupted} of {points} were interrupted: the list no longer fits the steps"
    );
}

/// Runs the command under strace, which kills it at its `count`th call of these. Whether it ended well before.
pub(crate) fn killed_at(bench: &Workbench, arguments: &[&str], calls: &str, count: u32) -> bool {
    let start = bench.command(arguments);
    let mut strace = bench.program("strace".as_ref());
    // All threads are followed; what they start is let go at its exec, for the shim is not to be killed here.
    strace.args(["-f", "-b", "execve", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
    strace.args(["-e", &format!("inject={calls}:signal=KILL:when={count}")]);
    // What puts the command into its network namespace comes before strace, which lets go at the next exec.
    let words = std::iter::once(start.get_program()).chain(start.get_args());
    strace.args(words.skip_while(|word| !word.as_encoded_bytes().ends_with(b"/hostler")));
    strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    strace.status().expect("strace is installed by cargo xtask setup").success()
}

#[test]
fn guest_outlives_the_command_and_its_session() {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    bench.ok(&["start", "rom"]);
    let status = ShimClient::connect(&bench.run_dir("rom")).unwrap().status().unwrap();
    assert_ne!(
        session_of(&status.pid.to_string()),
        session_of("self"),
        "the hypervisor is in a session of its own"
    );
    bench.ok(&["console", "rom", "--until", "hostler-rom: tick 0001", "--timeout", "60"]);
    bench.ok(&["destroy", "rom"]);
}

/// The session of a process, as the kernel numbers it. Where a pid namespace began without a session of its own,
/// as on some build machines, this is 0, which `getsid` cannot give as a process id.
fn session_of(process: &str) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    stat.rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap().parse().unwrap()
}

#[test]
fn killed_shim_leaves_a_quarantined_guest_that_is_never_started_twice() {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    bench.ok(&["start", "rom"]);
    let run = bench.run_dir("rom");
    let pid = ShimClient::connect(&run).unwrap().status().unwrap().pid;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let shim: i32 = stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(shim).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();

    assert!(run.is_held().unwrap(), "the hypervisor holds the lock");
    assert_eq!(bench.state_of("rom").as_deref(), Some("quarantined"));
    let again = bench.run(&["start", "rom"]);
    assert_eq!(again.status, 5, "{}", again.stderr);
    assert!(again.stderr.contains("hostler destroy rom"), "{}", again.stderr);
    bench.ok(&["destroy", "rom"]);
    assert_eq!(bench.state_of("rom").as_deref(), Some("off"));
    end_orphan(&run).expect("nothing is left to end, and that is fine");
    bench.ok(&["start", "rom"]);
}

#[test]
fn killed_hypervisor_is_seen_and_told() {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    bench.ok(&["start", "rom"]);
    let run = bench.run_dir("rom");
    let pid = ShimClient::connect(&run).unwrap().status().unwrap().pid;
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert!(run.wait_released(Duration::from_secs(30)).unwrap());
    let list = bench.json(&["list", "--all"]);
    assert_eq!(list["domains"][0]["state"], "off");
    assert!(list["domains"][0]["reason"].as_str().unwrap().contains("signal 9"), "{list}");
    assert!(bench.ok(&["-o", "json", "events"]).contains("crashed"));
    bench.ok(&["start", "rom"]);
}

#[test]
fn damaged_definition_of_a_running_guest_does_not_hide_it() {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    bench.ok(&["start", "rom"]);
    let domain = bench.run_dir("rom").domain().to_string();
    let record = bench.state_root().join("domains").join(&domain).join("definition");
    std::fs::write(record, b"damaged").unwrap();
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"));
    assert_eq!(bench.json(&["show", &domain])["state"], "running");
    let again = bench.run(&["start", "rom"]);
    assert_eq!(again.status, 5, "{}", again.stderr);
    bench.ok(&["destroy", "rom"]);
    assert_eq!(bench.state_of("rom").as_deref(), Some("off"), "what ran is what is defined now");
    assert!(!bench.run_dir("rom").is_held().unwrap());
    bench.ok(&["start", "rom"]);
}

#[test]
fn readers_never_take_a_domain_on_its_way_up_or_down_for_quarantined() {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    let over = std::sync::atomic::AtomicBool::new(false);
    let looks = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut looks = Vec::new();
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                looks.push(bench.json(&["list", "--all"])["domains"][0].clone());
            }
            looks
        });
        for _ in 0..ROUNDS {
            let (started, ended) = (bench.run(&["start", "rom"]), bench.run(&["destroy", "rom"]));
            assert_eq!((started.status, ended.status), (0, 0), "{}{}", started.stderr, ended.stderr);
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(looks.len() > ROUNDS, "only {} looks", looks.len());
    let wrong: Vec<_> = looks.iter().filter(|domain| domain["state"] == "quarantined").collect();
    assert!(wrong.is_empty(), "{} of {} looks: {wrong:?}", wrong.len(), looks.len());
}

#[test]
fn notes_that_cannot_be_written_keep_nobody_from_ending_a_guest() {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    bench.ok(&["start", "rom"]);
    // A directory in the record's place: it can be neither read nor replaced.
    let note = bench.run_dir("rom").record_path(RunRecord::Seen);
    std::fs::create_dir(&note).unwrap();
    std::fs::write(note.join("full"), b"").unwrap();
    bench.ok(&["suspend", "rom"]);
    bench.ok(&["destroy", "rom"]);
    assert_eq!(bench.state_of("rom").as_deref(), Some("off"));
}

#[test]
fn damaged_document_of_a_run_is_told_and_the_guest_can_be_ended() {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    bench.ok(&["start", "rom"]);
    std::fs::write(bench.run_dir("rom").record_path(RunRecord::Document), b"damaged").unwrap();
    let shown = bench.json(&["show", "rom"]);
    assert_eq!(shown["state"], "quarantined", "{shown}");
    assert!(shown["reason"].as_str().unwrap().contains("document.json"), "{shown}");
    bench.define(&rom_domain("other", "qemu"));
    bench.ok(&["destroy", "rom"]);
    assert_eq!(bench.state_of("rom").as_deref(), Some("off"));
}

#[test]
fn domain_whose_run_directory_was_removed_is_not_started_twice() {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    bench.ok(&["start", "rom"]);
    let run = bench.run_dir("rom");
    let pid = ShimClient::connect(&run).unwrap().status().unwrap().pid;
    std::fs::remove_dir_all(run.path()).unwrap();
    let again = bench.run(&["start", "rom"]);
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(again.status, 5, "{}", again.stderr);
    assert!(again.stderr.contains("domain.run-lost") && again.stderr.contains("kill "), "{}", again.stderr);
}
