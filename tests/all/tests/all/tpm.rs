//! Trusted platform modules: swtpm beside the hypervisor, in a cage of its own, with a state that stays.

use std::path::{Path, PathBuf};

use crate::kill::{killed_at, list_fits, points};
use crate::workbench::{Workbench, kill, rom_domain, until, without_rom};

/// System calls at which a starting command is killed: records and directories that are made, and what is said to the shim.
const KILL_AT: &[(&str, &[u32])] = &[
    ("mkdir,mkdirat", &[2, 3, 4]),
    ("fchown", &[1]),
    ("renameat,renameat2,rename", &[2, 4]),
    ("clone,clone3,vfork", &[2, 3, 4]),
    ("sendmsg,sendto", &[1, 3, 6]),
];
/// As [`KILL_AT`], for a command that undefines.
const KILL_UNDEFINE_AT: &[(&str, &[u32])] =
    &[("renameat,renameat2,rename", &[1, 2, 3, 4]), ("mkdir,mkdirat", &[1, 2]), ("fsync,fdatasync", &[2, 4])];
/// The identifier of the domain.
const UUID: &str = "5f2e6c3a-8a3e-4f0b-9a55-0d3c1a7f4e10";

fn document(name: &str, tpm: &str) -> String {
    rom_domain(name, "qemu")
        .replace("<name>", &format!("<uuid>{UUID}</uuid><name>"))
        .replace("<memballoon", &format!("{tpm}<memballoon"))
}

/// A workbench with a domain that has a module of this version.
fn with_module(version: &str) -> Workbench {
    let bench = Workbench::new();
    let model = if version == "1.2" { "tpm-tis" } else { "tpm-crb" };
    let tpm = format!("<tpm model='{model}'><backend type='emulator' version='{version}'/></tpm>");
    bench.define(&document("t", &tpm));
    bench
}

fn state(bench: &Workbench, version: &str) -> PathBuf {
    bench.state_root().join("domains").join(UUID).join("keeps").join(version)
}

fn content(directory: &Path) -> Vec<u8> {
    std::fs::read(directory.join("tpm2-00.permall")).unwrap()
}

/// The directories that a process has open.
fn directories(pid: u32) -> Vec<PathBuf> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(|entry| entry.unwrap().path());
    open.filter(|path| path.is_dir()).map(|path| std::fs::read_link(path).unwrap()).collect()
}

#[test]
fn module_runs_beside_its_guest_in_a_cage_of_its_own_and_keeps_its_state() {
    let bench = with_module("2.0");
    assert!(!state(&bench, "tpm2").exists(), "nothing is made before a start");
    bench.ok(&["start", "t"]);
    let record = bench.process_record("t");
    let [module] = record.companions.as_slice() else { panic!("{record:?}") };
    assert_eq!((module.name.as_str(), module.template.as_str()), ("tpm0", "swtpm"));
    assert_eq!(bench.running("swtpm"), [module.process.pid]);
    let (mine, its) = (module.cage.as_ref().unwrap(), record.cage.as_ref().unwrap());
    assert_eq!(mine.landlock_abi, its.landlock_abi);
    assert!(!mine.host_network);
    if rustix::process::geteuid().is_root() {
        assert_ne!(mine.uid, its.uid, "each program has a user of its own");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", module.process.pid)).unwrap();
    for line in ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    for namespace in ["net", "mnt", "pid", "user", "ipc"] {
        let of = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/{namespace}")).unwrap();
        let module = of(module.process.pid);
        assert!(module != of(std::process::id()) && module != of(record.program.pid), "{namespace}");
    }
    assert_eq!(directories(module.process.pid), Vec::<PathBuf>::new(), "`..` of one leads out of the cage");
    let first = content(&state(&bench, "tpm2"));
    bench.ok(&["destroy", "t"]);
    assert!(bench.running("swtpm").is_empty(), "it ended with its guest");
    bench.ok(&["start", "t"]);
    assert!(content(&state(&bench, "tpm2")) == first, "the same seeds: it is the same module");
    bench.ok(&["destroy", "t"]);
    let events = bench.ok(&["events"]);
    assert!(!events.contains("companion-ended"), "both ended together: {events}");
}

#[test]
fn firmware_of_the_guest_talks_to_the_module() {
    let bench = Workbench::new();
    let tpm = "<tpm model='tpm-tis'><backend type='emulator'/></tpm>";
    bench.define(&without_rom(&document("t", tpm)));
    bench.ok(&["start", "t", "--paused"]);
    let blank = content(&state(&bench, "tpm2"));
    bench.ok(&["resume", "t"]);
    until("SeaBIOS starts the module up, which it notes", || content(&state(&bench, "tpm2")) != blank);
    bench.ok(&["destroy", "t"]);
}

#[test]
fn older_module_has_a_state_of_its_own() {
    let bench = with_module("1.2");
    bench.ok(&["start", "t"]);
    assert!(state(&bench, "tpm1.2").join("tpm-00.permall").exists() && !state(&bench, "tpm2").exists());
    bench.ok(&["destroy", "t"]);
}

#[test]
fn state_is_the_same_in_a_cage_and_without() {
    let bench = with_module("2.0");
    bench.ok(&["--cage=off", "start", "t"]);
    let first = content(&state(&bench, "tpm2"));
    bench.ok(&["destroy", "t"]);
    bench.ok(&["start", "t"]);
    assert!(content(&state(&bench, "tpm2")) == first);
    bench.ok(&["destroy", "t"]);
    bench.ok(&["--cage=off", "start", "t"]);
    assert!(content(&state(&bench, "tpm2")) == first);
    bench.ok(&["destroy", "t"]);
}

#[test]
fn guest_goes_on_without_a_module_that_died_and_that_is_said() {
    let bench = with_module("2.0");
    bench.ok(&["start", "t"]);
    kill(bench.process_record("t").companions[0].process.pid);
    until("the event", || bench.ok(&["events"]).contains("companion-ended"));
    let events = bench.ok(&["events"]);
    assert!(events.contains("companion=tpm0") && events.contains("runs on without it"), "{events}");
    assert_eq!(bench.state_of("t").as_deref(), Some("running"));
    bench.ok(&["console", "t", "--until", "hostler-rom: tick 0002", "--timeout", "60"]);
    bench.ok(&["destroy", "t"]);
    bench.ok(&["start", "t"]);
    assert_eq!(bench.running("swtpm").len(), 1);
}

#[test]
fn module_that_cannot_read_its_state_fails_the_start_and_loses_nothing() {
    let bench = with_module("2.0");
    bench.ok(&["start", "t"]);
    bench.ok(&["destroy", "t"]);
    let file = state(&bench, "tpm2").join("tpm2-00.permall");
    std::fs::write(&file, "rubbish").unwrap();
    let failed = bench.run(&["start", "t"]);
    assert_ne!(failed.status, 0);
    assert!(failed.stderr.contains("swtpm"), "{}", failed.stderr);
    assert_eq!(std::fs::read(&file).unwrap(), b"rubbish");
    assert_eq!(bench.state_of("t").as_deref(), Some("off"));
    assert!(bench.running("swtpm").is_empty() && bench.processes().is_empty());
}

#[test]
fn saved_guest_comes_back_with_its_module() {
    let bench = with_module("2.0");
    bench.ok(&["start", "t"]);
    bench.ok(&["console", "t", "--until", "hostler-rom: tick 0002", "--timeout", "60"]);
    bench.ok(&["save", "t"]);
    assert!(bench.running("swtpm").is_empty());
    bench.ok(&["start", "t"]);
    assert_eq!((bench.state_of("t").as_deref(), bench.running("swtpm").len()), (Some("running"), 1));
    bench.ok(&["destroy", "t"]);
}

#[test]
fn state_of_an_undefined_domain_is_kept_archived_or_deleted() {
    let bench = with_module("2.0");
    let document = bench.write("again.xml", &bench.ok(&["xml", "t"]));
    let again = || bench.ok(&["define", document.to_str().unwrap()]);
    bench.ok(&["start", "t"]);
    bench.ok(&["destroy", "t"]);
    let first = content(&state(&bench, "tpm2"));
    let kept = PathBuf::from(bench.json(&["undefine", "t"])["kept_state"].as_str().unwrap());
    assert!(content(&kept.join("tpm2")) == first);
    again();
    bench.ok(&["start", "t"]);
    assert!(content(&state(&bench, "tpm2")) == first && !kept.exists(), "it has its module again");
    bench.ok(&["destroy", "t"]);
    let archived = bench.json(&["undefine", "t", "--nvram=archive"]);
    let archived = PathBuf::from(archived["kept_state"].as_str().unwrap());
    again();
    bench.ok(&["start", "t"]);
    assert!(content(&state(&bench, "tpm2")) != first, "what is archived nobody takes up");
    bench.ok(&["destroy", "t"]);
    assert!(bench.json(&["undefine", "t", "--nvram"])["kept_state"].is_null());
    assert!(content(&archived.join("tpm2")) == first && !kept.exists());
}

#[test]
fn start_killed_at_any_step_leaves_no_module_behind() {
    let bench = with_module("2.0");
    let (mut interrupted, list) = (0, points(KILL_AT));
    for (calls, count) in &list {
        interrupted += u32::from(!killed_at(&bench, &["start", "t"], calls, *count));
        let state = bench.state_of("t").expect("the definition is there");
        let verb = if state == "running" { "destroy" } else { "start" };
        bench.ok(&[verb, "t"]);
        if verb == "start" {
            bench.ok(&["destroy", "t"]);
        }
        bench.nothing_runs(&format!("{calls} {count}"));
        assert!(bench.running("swtpm").is_empty(), "{calls} {count}");
    }
    list_fits(interrupted, list.len());
}

#[test]
fn undefine_killed_at_any_step_loses_no_state() {
    let bench = with_module("2.0");
    let document = bench.write("again.xml", &bench.ok(&["xml", "t"]));
    bench.ok(&["start", "t"]);
    bench.ok(&["destroy", "t"]);
    let first = content(&state(&bench, "tpm2"));
    let (mut interrupted, list) = (0, points(KILL_UNDEFINE_AT));
    for (calls, count) in &list {
        interrupted += u32::from(!killed_at(&bench, &["undefine", "t"], calls, *count));
        bench.ok(&["define", document.to_str().unwrap()]);
        bench.ok(&["start", "t"]);
        assert!(content(&state(&bench, "tpm2")) == first, "{calls} {count}");
        bench.ok(&["destroy", "t"]);
    }
    list_fits(interrupted, list.len());
}

#[test]
fn killed_shim_leaves_nothing_that_a_destroy_does_not_end() {
    let bench = with_module("2.0");
    bench.ok(&["start", "t"]);
    kill(bench.process_record("t").shim.pid);
    assert_eq!(bench.state_of("t").as_deref(), Some("quarantined"));
    bench.ok(&["destroy", "t"]);
    assert!(bench.running("swtpm").is_empty() && bench.processes().is_empty());
    bench.ok(&["start", "t"]);
}

#[test]
fn modules_that_cannot_be_had_are_refused_with_place_and_remedy() {
    let bench = Workbench::new();
    for (tpm, word) in [
        (
            "<tpm><backend type='emulator'><encryption secret='6dd3e4a5-1d76-44ce-961f-f119f5aad935'/></backend></tpm>",
            "secret",
        ),
        (
            "<tpm><backend type='emulator' version='2.0'><active_pcr_banks><sha256/></active_pcr_banks></backend></tpm>",
            "banks",
        ),
        ("<tpm><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>", "module"),
        ("<tpm><backend type='external'><source type='unix' path='/tmp/s'/></backend></tpm>", "socket"),
    ] {
        bench.define(&document("t", tpm));
        let refused = bench.run(&["start", "t"]);
        assert_ne!(refused.status, 0, "{tpm}");
        let told = &refused.stderr;
        assert!(told.contains("qemu.not-offered") && told.contains(word) && told.contains("hint"), "{told}");
        assert!(!bench.state_root().join("domains").join(UUID).join("keeps").exists());
    }
}
