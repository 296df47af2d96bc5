//! Snapshots of guests that run, with their memory: the guest goes on from there, with the disks of that moment.

use serde_json::Value;

use crate::kill::{killed_at, list_fits, points};
use crate::save::{counts_on, counts_to, went_on};
use crate::storage::{qcow2_disk, with_disk};
use crate::workbench::{Workbench, rom_domain};

/// System calls at which a command is killed: those by which anything becomes durable, and those by which it speaks to the
/// hypervisor.
const KILL_AT: &[(&str, &[u32])] =
    &[("renameat,renameat2,rename", &[1, 2, 3, 4, 5, 6, 7]), ("sendmsg,sendto", &[6, 9, 12, 16, 20, 26, 32])];

/// A guest that counts, with these disks: `vda` is qcow2, `vdb` is raw.
fn counting(raw: bool) -> Workbench {
    let bench = Workbench::of_drivers();
    bench.image(&["create", "-q", "-f", "qcow2", "a.qcow2", "8M"]);
    let mut disks = qcow2_disk(&bench, "a.qcow2");
    if raw {
        bench.image(&["create", "-q", "-f", "raw", "b.raw", "2M"]);
        let other = qcow2_disk(&bench, "b.raw").replace("type='qcow2'", "type='raw'").replace("vda", "vdb");
        disks.push_str(&other);
    }
    bench.define(&with_disk("rom", &disks));
    bench.ok(&["start", "rom"]);
    counts_to(&bench, 2);
    bench
}

fn refused(bench: &Workbench, arguments: &[&str], code: &str) {
    let answer = bench.run(arguments);
    assert!(answer.status != 0 && answer.stderr.contains(code), "{arguments:?}: {}", answer.stderr);
}

/// What is recorded of a snapshot.
fn snapshot(bench: &Workbench, name: &str) -> Value {
    bench.json(&["snapshot", "show", "rom", name])
}

fn names(bench: &Workbench) -> Vec<String> {
    let listed = bench.json(&["snapshot", "list", "rom"]);
    let name = |one: &Value| one["name"].as_str().unwrap().to_owned();
    listed["snapshots"].as_array().unwrap().iter().map(name).collect()
}

/// How many snapshots an image keeps within it.
fn within(bench: &Workbench, image: &str) -> u64 {
    let path = bench.path(image).display().to_string();
    bench.json(&["image", "inspect", &path, "--format", "qcow2"])["internal_snapshots"].as_u64().unwrap()
}

/// Files of the domain's own directory with the memory of guests.
fn memories(bench: &Workbench) -> usize {
    let directory = bench.state_root().join("domains").join(bench.run_dir("rom").domain().to_string());
    let names = std::fs::read_dir(directory).unwrap().flatten().map(|entry| entry.file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".memory")).count()
}

fn reverted(bench: &Workbench, arguments: &[&str], state: &str) {
    let reverted = bench.json(&[&["snapshot", "revert", "rom"], arguments].concat());
    assert_eq!(reverted["state"], state, "{reverted}");
    assert_eq!(bench.state_of("rom").as_deref(), Some(state));
}

#[test]
fn guest_is_kept_within_its_images_and_goes_on_from_there() {
    let bench = counting(false);
    let taken = bench.json(&["snapshot", "create", "rom", "s1"]);
    assert_eq!(
        (taken["kind"].as_str(), taken["state"].as_str()),
        (Some("internal"), Some("running")),
        "{taken}"
    );
    assert!(bench.ok(&["snapshot", "xml", "rom", "s1"]).contains("<memory snapshot='internal'/>"));
    counts_on(&bench);
    bench.ok(&["suspend", "rom"]);
    bench.ok(&["snapshot", "create", "rom", "s2"]);
    assert_eq!((snapshot(&bench, "s2")["state"].as_str(), within(&bench, "a.qcow2")), (Some("paused"), 2));
    assert_eq!(bench.state_of("rom").as_deref(), Some("paused"));
    reverted(&bench, &["s1"], "running");
    went_on(&bench);
    reverted(&bench, &["s2"], "paused");
    bench.ok(&["resume", "rom"]);
    went_on(&bench);
    bench.ok(&["destroy", "rom"]);
    reverted(&bench, &["s1", "--paused"], "paused");
    bench.ok(&["destroy", "rom"]);
    reverted(&bench, &["s2", "--running"], "running");
    went_on(&bench);
    bench.ok(&["snapshot", "delete", "rom", "s1"]);
    counts_on(&bench);
    assert_eq!((names(&bench), within(&bench, "a.qcow2")), (vec!["s2".to_owned()], 1));
    bench.ok(&["destroy", "rom"]);
    bench.ok(&["snapshot", "delete", "rom", "s2"]);
    assert_eq!(within(&bench, "a.qcow2"), 0);
}

#[test]
fn guest_is_kept_in_a_file_and_goes_on_from_there_with_the_disks_of_that_moment() {
    let bench = counting(true);
    let taken = bench.json(&["snapshot", "create", "rom", "s1"]);
    assert_eq!(
        (taken["kind"].as_str(), taken["state"].as_str()),
        (Some("external"), Some("running")),
        "{taken}"
    );
    assert_eq!(memories(&bench), 1);
    counts_on(&bench);
    let live = bench.ok(&["xml", "rom"]);
    assert!(live.contains("a.s1'") && live.contains("b.s1'"), "{live}");
    reverted(&bench, &["s1"], "running");
    went_on(&bench);
    bench.ok(&["destroy", "rom"]);
    reverted(&bench, &["s1", "--paused"], "paused");
    bench.ok(&["resume", "rom"]);
    went_on(&bench);
    bench.ok(&["snapshot", "delete", "rom", "s1"]);
    counts_on(&bench);
    assert_eq!((names(&bench).len(), memories(&bench)), (0, 0));
    let live = bench.ok(&["xml", "rom"]);
    assert!(live.contains("a.qcow2'") && live.contains("b.raw'"), "{live}");
    bench.ok(&["destroy", "rom"]);
    bench.ok(&["start", "rom"]);
    counts_to(&bench, 1);
}

#[test]
fn guest_without_disks_is_kept_too_and_what_cannot_be_is_said() {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    refused(&bench, &["snapshot", "create", "rom", "s1", "--memory"], "domain.off");
    bench.ok(&["start", "rom"]);
    counts_to(&bench, 2);
    bench.ok(&["snapshot", "create", "rom", "s1"]);
    bench.ok(&["suspend", "rom"]);
    refused(&bench, &["snapshot", "create", "rom", "s2", "--memory"], "snapshot.paused");
    let xml = "<domainsnapshot><memory snapshot='external' file='/m'/></domainsnapshot>";
    let file = bench.write("snapshot.xml", xml).display().to_string();
    refused(&bench, &["snapshot", "create", "rom", "--xml", &file], "snapshot.memory-place");
    assert_eq!((names(&bench).len(), memories(&bench)), (1, 1));
    bench.ok(&["resume", "rom"]);
    reverted(&bench, &["s1"], "running");
    went_on(&bench);
}

#[test]
fn reverted_guest_is_booted_without_its_memory_only_when_that_is_asked_for() {
    let bench = counting(false);
    bench.ok(&["snapshot", "create", "rom", "s1", "--memory"]);
    bench.ok(&["destroy", "rom"]);
    // Something else has what the guest needs to start: the domain is taken back, and off.
    let shown = bench.ok(&["xml", "rom"]);
    assert!(shown.contains("a.s1'"), "{shown}");
    let memory = snapshot(&bench, "s1")["memory"].as_str().unwrap().to_owned();
    let kept = std::fs::read(&memory).unwrap();
    std::fs::write(&memory, "torn").unwrap();
    refused(&bench, &["snapshot", "revert", "rom", "s1"], "saved.");
    assert_eq!(bench.state_of("rom").as_deref(), Some("off"));
    refused(&bench, &["start", "rom"], "--force-boot");
    refused(&bench, &["snapshot", "delete", "rom", "s1"], "domain.saved");
    std::fs::write(&memory, kept).unwrap();
    bench.ok(&["start", "rom"]);
    went_on(&bench);
    bench.ok(&["destroy", "rom"]);
    bench.ok(&["start", "rom"]);
    counts_to(&bench, 1);
}

/// A command that takes a snapshot, killed at any step: it is whole or not there, and the guest goes on.
fn killed(raw: bool, options: &[&str]) {
    let bench = counting(raw);
    let (mut interrupted, points) = (0, points(KILL_AT));
    for (calls, count) in points.iter().copied() {
        let name = format!("k{}-{count}", calls.len());
        let create = [&["snapshot", "create", "rom", &name], options].concat();
        interrupted += u32::from(!killed_at(&bench, &create, calls, count));
        // The next owner finds out from the hypervisor what is true.
        bench.run(&["destroy", "nobody"]);
        assert_eq!(bench.state_of("rom").as_deref(), Some("running"), "{calls} {count}");
        counts_on(&bench);
        let there = names(&bench);
        match raw {
            true => assert_eq!(memories(&bench), there.len(), "{calls} {count}"),
            false => assert_eq!(within(&bench, "a.qcow2"), there.len() as u64, "{calls} {count}"),
        }
    }
    list_fits(interrupted, points.len());
    bench.ok(&[&["snapshot", "create", "rom", "last"], options].concat());
    for name in names(&bench) {
        reverted(&bench, &[&name], "running");
        went_on(&bench);
    }
}

#[test]
fn guest_that_is_kept_within_its_images_is_kept_whole_or_not_when_that_is_killed() {
    killed(false, &[]);
}

#[test]
fn guest_that_is_kept_in_a_file_is_kept_whole_or_not_when_that_is_killed() {
    killed(true, &["--memory"]);
}

#[test]
fn revert_to_a_guest_killed_at_any_step_brings_it_back_with_the_next_start() {
    let bench = counting(false);
    bench.ok(&["snapshot", "create", "rom", "within"]);
    bench.ok(&["snapshot", "create", "rom", "file", "--memory"]);
    let (mut interrupted, points) = (0, points(KILL_AT));
    for (at, (calls, count)) in points.iter().copied().enumerate() {
        let name = if at % 2 == 0 { "file" } else { "within" };
        if name == "within" {
            bench.run(&["snapshot", "delete", "rom", "file"]);
            bench.run(&["destroy", "rom"]);
            bench.ok(&["snapshot", "revert", "rom", "within"]);
            bench.ok(&["snapshot", "create", "rom", "file", "--memory"]);
        }
        interrupted += u32::from(!killed_at(&bench, &["snapshot", "revert", "rom", "file"], calls, count));
        bench.run(&["destroy", "nobody"]);
        if bench.state_of("rom").as_deref() == Some("off") {
            bench.ok(&["start", "rom"]);
        }
        assert_eq!(bench.state_of("rom").as_deref(), Some("running"), "{calls} {count}");
        went_on(&bench);
    }
    list_fits(interrupted, points.len());
}
