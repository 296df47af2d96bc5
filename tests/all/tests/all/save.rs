//! Guests that are put away and come back: where they were, once, whatever is killed in between.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use crate::kill::killed_at;
use crate::storage::{qcow2_disk, with_disk};
use crate::workbench::{Workbench, rom_domain};

/// System calls at which a command that saves is killed: those by which anything of it becomes durable, and those by which
/// it speaks to the hypervisor.
const KILL_SAVE_AT: &[(&str, &[u32])] = &[
    ("renameat,renameat2,rename", &[1, 2, 3, 4, 5, 6]),
    ("fsync,fdatasync", &[2, 4, 6, 8, 10, 11, 12]),
    ("pwrite64", &[1]),
    ("sendmsg,sendto", &[4, 8, 12, 16, 20, 24, 28]),
    ("unlink,unlinkat", &[1, 2]),
];
/// As [`KILL_SAVE_AT`], for a command that brings a guest back.
const KILL_START_AT: &[(&str, &[u32])] = &[
    ("renameat,renameat2,rename", &[1, 2, 3, 4, 5, 6]),
    ("fsync,fdatasync", &[1, 2, 3, 4, 5, 6, 7, 8]),
    ("unlink,unlinkat", &[1, 2, 3]),
    ("sendmsg,sendto", &[2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24]),
];

/// As [`KILL_SAVE_AT`], for a guest that is paused: above all between its last byte and the name of its file.
const KILL_PAUSED_AT: &[(&str, &[u32])] = &[
    ("pwrite64", &[1]),
    ("fsync,fdatasync", &[2, 3, 4, 5, 6, 7]),
    ("sendmsg,sendto", &[4, 8, 10, 12, 14, 16]),
];

/// A workbench whose ROM guest has counted to two.
fn counting() -> Workbench {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    bench.ok(&["start", "rom"]);
    counts_to(&bench, 2);
    bench
}

pub(crate) fn counts_to(bench: &Workbench, tick: u32) {
    bench.ok(&["console", "rom", "--until", &format!("hostler-rom: tick {tick:04x}"), "--timeout", "60"]);
}

/// Everything that the guest has written in this run.
fn written(bench: &Workbench) -> String {
    let log = bench.run_dir("rom").console_log_path("serial0").unwrap();
    String::from_utf8_lossy(&std::fs::read(log).unwrap()).into_owned()
}

/// The guest runs: it counts twice more, from now on.
///
/// What has been written says nothing of where it is: a guest that was brought back counts on from its own number, and the log
/// still ends with that of the run before until it does.
pub(crate) fn counts_on(bench: &Workbench) {
    for _ in 0..2 {
        bench.ok(&["console", "rom", "--no-replay", "--until", "tick 0", "--timeout", "60"]);
    }
}

/// The guest runs, and did not begin anew: in all that it has written, over its runs, it begins once.
pub(crate) fn went_on(bench: &Workbench) {
    counts_on(bench);
    let written = written(bench);
    assert!(written.matches("tick 0001").count() <= 1, "it began anew: {written}");
}

fn own_file(bench: &Workbench) -> PathBuf {
    let domain = bench.run_dir("rom").domain().to_string();
    bench.state_root().join("domains").join(domain).join("saved-guest")
}

#[test]
fn saved_guest_goes_on_at_the_next_start_and_is_not_brought_back_twice() {
    let bench = counting();
    let saved = bench.json(&["save", "rom"]);
    assert_eq!((saved["state"].as_str(), saved["running"].as_bool()), (Some("off"), Some(true)), "{saved}");
    assert!(bench.processes().is_empty(), "{:?}", bench.processes());
    assert!(bench.ok(&["list", "--all"]).contains("saved"));
    let refused = bench.run(&["undefine", "rom"]);
    assert!(
        refused.stderr.contains("domain.saved") && refused.stderr.contains("--saved-guest"),
        "{}",
        refused.stderr
    );
    bench.ok(&["start", "rom"]);
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"));
    went_on(&bench);
    assert!(!own_file(&bench).exists(), "what was brought back is out of date");
    bench.ok(&["destroy", "rom"]);
    bench.ok(&["start", "rom"]);
    counts_to(&bench, 1);
}

#[test]
fn guest_that_was_paused_comes_back_paused_and_one_can_be_left_behind() {
    let bench = counting();
    bench.ok(&["suspend", "rom"]);
    bench.ok(&["save", "rom"]);
    bench.ok(&["start", "rom"]);
    assert_eq!(bench.state_of("rom").as_deref(), Some("paused"));
    bench.ok(&["save", "rom", "--running"]);
    bench.ok(&["start", "rom", "--paused"]);
    assert_eq!(bench.state_of("rom").as_deref(), Some("paused"), "the command has the last word");
    bench.ok(&["resume", "rom"]);
    went_on(&bench);
    bench.ok(&["save", "rom"]);
    bench.ok(&["start", "rom", "--force-boot"]);
    counts_to(&bench, 1);
    assert!(!own_file(&bench).exists());
}

#[test]
fn guest_is_saved_to_a_file_and_restored_without_a_definition() {
    let bench = Workbench::new();
    let document = bench.write("rom.xml", &rom_domain("rom", "qemu"));
    bench.ok(&["run", document.to_str().unwrap()]);
    counts_to(&bench, 2);
    let own = bench.run(&["save", "rom"]);
    assert!(own.stderr.contains("domain.transient"), "{}", own.stderr);
    bench.ok(&["save", "rom", "rom.save"]);
    assert_eq!(bench.state_of("rom"), None, "a transient domain is gone when it is off");
    bench.ok(&["restore", "rom.save"]);
    went_on(&bench);
    let running = bench.run(&["restore", "rom.save"]);
    assert!(running.stderr.contains("domain.active"), "{}", running.stderr);
    let exists = bench.run(&["save", "rom", "rom.save"]);
    assert!(exists.stderr.contains("saved.exists"), "{}", exists.stderr);
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"), "nothing was lost by asking");
    // One that is defined is still there, and says where its guest went.
    bench.ok(&["define", document.to_str().unwrap()]);
    bench.ok(&["save", "rom", "other.save"]);
    assert_eq!(bench.json(&["list", "--all"])["domains"][0]["reason"], "saved");
}

#[test]
fn file_that_is_no_whole_saved_guest_is_refused_with_what_it_is() {
    let bench = counting();
    bench.ok(&["save", "rom", "rom.save"]);
    let change = |at: u64, bytes: &[u8]| {
        std::fs::copy(bench.path("rom.save"), bench.path("bad.save")).unwrap();
        let mut file = std::fs::OpenOptions::new().write(true).open(bench.path("bad.save")).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(bytes).unwrap();
    };
    let refused = |code: &str| {
        let answer = bench.run(&["restore", "bad.save"]);
        assert!(answer.status != 0 && answer.stderr.contains(code), "{code}: {}", answer.stderr);
        assert_eq!(bench.state_of("rom").as_deref(), Some("off"));
        assert!(bench.processes().is_empty(), "{:?}", bench.processes());
    };
    refused("file");
    change(0, b"LibvirtQemudPart");
    refused("saved.unfinished");
    change(0, b"something else..");
    refused("saved.foreign");
    change(16, &7_u32.to_le_bytes());
    refused("saved.unsupported");
    change(28, &1_u32.to_le_bytes());
    refused("gzip");
    change(20, &u32::MAX.to_le_bytes());
    refused("saved.damaged");
    // The document is in order, and what the hypervisor reads is not.
    let begins = 92
        + u64::from(u32::from_le_bytes(
            std::fs::read(bench.path("rom.save")).unwrap()[20..24].try_into().unwrap(),
        ));
    change(begins, b"NOPE");
    refused("saved");
    bench.ok(&["restore", "rom.save"]);
    went_on(&bench);
}

#[test]
fn save_that_fails_lets_the_guest_go_on() {
    let bench = Workbench::new();
    bench.image(&["create", "-q", "-f", "qcow2", "a.qcow2", "2M"]);
    bench.image(&["create", "-q", "-f", "raw", "b.raw", "2M"]);
    let raw = qcow2_disk(&bench, "b.raw").replace("type='qcow2'", "type='raw'").replace("vda", "vdb");
    bench.define(&with_disk("rom", &(qcow2_disk(&bench, "a.qcow2") + &raw)));
    bench.ok(&["start", "rom"]);
    counts_to(&bench, 2);
    let missing = bench.run(&["save", "rom", "no/such/place"]);
    assert!(missing.status != 0 && missing.stderr.contains("no/such"), "{}", missing.stderr);
    // A device that is always full.
    let small = bench.path("small");
    std::fs::create_dir(&small).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=128k", "tmpfs"])
        .arg(&small)
        .status()
        .unwrap();
    assert!(mounted.success(), "this test mounts a small file system, as root");
    let full = bench.run(&["save", "rom", "small/rom.save"]);
    let left: Vec<_> = std::fs::read_dir(&small).unwrap().flatten().map(|entry| entry.file_name()).collect();
    std::process::Command::new("umount").arg(&small).status().unwrap();
    assert!(full.status != 0, "{}", full.stdout);
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"), "{}", full.stderr);
    counts_on(&bench);
}

#[test]
fn save_killed_at_any_step_leaves_the_guest_running_or_whole_in_its_file() {
    let bench = counting();
    let (mut interrupted, mut brought_back) = (0, false);
    for (calls, counts) in KILL_SAVE_AT {
        for count in *counts {
            interrupted += u32::from(!killed_at(&bench, &["save", "rom"], calls, *count));
            // The next owner settles what was left.
            bench.run(&["destroy", "nobody"]);
            let state = bench.state_of("rom").expect("the definition is there");
            let saved = own_file(&bench).exists();
            assert_eq!(saved, state == "off", "{calls} {count}: {state}, saved: {saved}");
            brought_back |= saved;
            if saved {
                assert!(bench.processes().is_empty(), "{calls} {count}: {:?}", bench.processes());
                bench.ok(&["start", "rom"]);
            }
            assert_eq!(bench.state_of("rom").as_deref(), Some("running"), "{calls} {count}");
            if brought_back { went_on(&bench) } else { counts_on(&bench) }
        }
    }
    assert!(interrupted > 8, "only {interrupted} saves were interrupted: the list no longer fits the steps");
    assert!(
        std::fs::read_dir(own_file(&bench).parent().unwrap())
            .unwrap()
            .flatten()
            .all(|entry| { !entry.file_name().to_string_lossy().ends_with(".part") })
    );
}

#[test]
fn save_of_a_paused_guest_killed_at_any_step_leaves_it_paused_and_able_or_whole_in_its_file() {
    let bench = counting();
    bench.ok(&["suspend", "rom"]);
    let (mut interrupted, mut brought_back) = (0, false);
    for (calls, counts) in KILL_PAUSED_AT {
        for count in *counts {
            interrupted += u32::from(!killed_at(&bench, &["save", "rom"], calls, *count));
            bench.run(&["destroy", "nobody"]);
            let state = bench.state_of("rom").expect("the definition is there");
            let saved = own_file(&bench).exists();
            let expected = if saved { "off" } else { "paused" };
            assert_eq!(state, expected, "{calls} {count}, saved: {saved}");
            brought_back |= saved;
            if saved {
                bench.nothing_runs(&format!("{calls} {count}"));
                bench.ok(&["start", "rom"]);
                assert_eq!(bench.state_of("rom").as_deref(), Some("paused"), "{calls} {count}");
            }
            bench.ok(&["resume", "rom"]);
            if brought_back {
                went_on(&bench)
            } else {
                counts_on(&bench)
            }
            bench.ok(&["suspend", "rom"]);
        }
    }
    assert!(interrupted > 4, "only {interrupted} saves were interrupted: the list no longer fits the steps");
}

#[test]
fn start_of_a_saved_guest_killed_at_any_step_loses_it_never_and_brings_it_back_once() {
    let bench = counting();
    bench.ok(&["save", "rom"]);
    let mut interrupted = 0;
    for (calls, counts) in KILL_START_AT {
        for count in *counts {
            interrupted += u32::from(!killed_at(&bench, &["start", "rom"], calls, *count));
            bench.run(&["destroy", "nobody"]);
            let state = bench.state_of("rom").expect("the definition is there");
            let saved = own_file(&bench).exists();
            assert_eq!(saved, state == "off", "{calls} {count}: {state}, saved: {saved}");
            if state == "off" {
                bench.ok(&["start", "rom"]);
            }
            // One that was back already, and stood for a moment before it was to go on, goes on.
            assert_eq!(bench.state_of("rom").as_deref(), Some("running"), "{calls} {count}");
            went_on(&bench);
            bench.ok(&["save", "rom"]);
        }
    }
    assert!(interrupted > 8, "only {interrupted} starts were interrupted: the list no longer fits the steps");
}
