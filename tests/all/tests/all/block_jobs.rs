//! Work on the disks of running guests: what the guest has, what the document says and what the headers say is one, before
//! and after, whatever is killed in between.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use hostler_launch::ShimClient;
use serde_json::Value;

use crate::kill::{killed_at, list_fits, points};
use crate::storage::{block_nodes, qcow2_disk, with_disk};
use crate::workbench::Workbench;

/// The layers of the test's disk, the base first. Each has its number in a place of its own, and over the one below.
const LAYERS: [&str; 4] = ["base.qcow2", "one.qcow2", "two.qcow2", "top.qcow2"];
/// One pattern, in bytes.
const PIECE: u64 = 64 << 10;
/// So slow that a job is still at work when it is looked at.
const SLOW: &str = "64KiB";

/// System calls at which a command that works on a disk is killed: those by which anything of it becomes durable, and
/// those by which it speaks to the hypervisor.
const KILL_AT: &[(&str, &[u32])] = &[
    ("renameat,renameat2,rename", &[1, 2, 3, 4, 5, 6]),
    ("fsync,fdatasync", &[2, 4, 6]),
    ("sendmsg,sendto", &[2, 4, 6, 8, 10, 12, 14, 16, 20]),
    ("unlink,unlinkat", &[1, 2]),
];

fn tool(bench: &Workbench, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(bench.path("")).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Makes the chain anew, each layer with its number in the pieces from its own on.
fn make_chain(bench: &Workbench, layers: &[&str]) {
    for (index, layer) in layers.iter().enumerate() {
        let mut create = vec!["create", "-q", "-f", "qcow2"];
        if let Some(below) = index.checked_sub(1) {
            create.extend(["-b", layers[below], "-F", "qcow2"]);
        }
        create.push(layer);
        if index == 0 {
            create.push("16M");
        }
        bench.image(&create);
        let (number, from) = (index + 1, index as u64 * PIECE);
        let write = format!("write -q -P {number} {from} {}", (layers.len() - index) as u64 * PIECE);
        tool(bench, "qemu-io", &["-f", "qcow2", "-c", &write, layer]);
    }
}

/// Whether an image reads as the whole chain does.
fn reads_whole(bench: &Workbench, image: &str, layers: usize) {
    for index in 0..layers {
        let read = format!("read -q -P {} {} {PIECE}", index + 1, index as u64 * PIECE);
        let said = tool(bench, "qemu-io", &["-f", "qcow2", "-c", &read, image]);
        assert!(!said.contains("failed"), "{image}, piece {index}: {said}");
    }
}

fn scene() -> Workbench {
    let bench = Workbench::of_drivers();
    make_chain(&bench, &LAYERS);
    bench.define(&with_disk("rom", &qcow2_disk(&bench, "top.qcow2")));
    bench.ok(&["start", "rom"]);
    bench
}

/// What an image's header records.
fn backing(bench: &Workbench, image: &str) -> Option<String> {
    let info = tool(bench, "qemu-img", &["info", "-U", "-f", "qcow2", "--output=json", image]);
    let info: Value = serde_json::from_str(&info).unwrap();
    info.get("backing-filename").map(|name| name.as_str().unwrap().to_owned())
}

/// The chain of the disk as `show` resolves it from document and headers, the active layer first.
fn shown(bench: &Workbench) -> Vec<String> {
    let shown = bench.json(&["show", "rom"]);
    let layers = shown["disks"][0]["layers"].as_array().unwrap_or_else(|| panic!("{shown}")).clone();
    let name = |layer: &Value| {
        let path = PathBuf::from(layer["path"].as_str().unwrap());
        path.file_name().unwrap().to_str().unwrap().to_owned()
    };
    layers.iter().map(name).collect()
}

/// The chain everywhere: as it is shown, as many format nodes as layers, one of them written to, and every header.
fn chain_is(bench: &Workbench, layers: &[&str]) {
    assert_eq!(shown(bench), layers);
    for (above, below) in layers.iter().zip(layers.iter().skip(1)) {
        assert_eq!(backing(bench, above).as_deref(), Some(*below), "{above}");
    }
    assert_eq!(backing(bench, layers.last().unwrap()), None);
    let nodes = block_nodes(bench, "rom");
    let formats = || nodes.iter().filter(|node| node["drv"] == "qcow2");
    assert_eq!(formats().count(), layers.len(), "{nodes:?}");
    assert_eq!(formats().filter(|node| node["ro"] == false).count(), 1, "{nodes:?}");
}

/// How the hypervisor has a file open, or could open it: whether it may write.
pub(crate) fn writable(bench: &Workbench, domain: &str, image: &str) -> bool {
    let pid = bench.json(&["show", domain])["pid"].as_u64().unwrap();
    let wanted = std::fs::metadata(bench.path(image)).unwrap();
    let mut found = false;
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
        let Ok(facts) = std::fs::metadata(entry.path()) else { continue };
        if !same(&facts, &wanted) {
            continue;
        }
        let number = entry.file_name().to_string_lossy().into_owned();
        let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        found |= u32::from_str_radix(flags.trim(), 8).unwrap() & 3 != 0;
    }
    found
}

fn same(one: &std::fs::Metadata, other: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Whether the hypervisor still has a file.
fn has_open(bench: &Workbench, image: &str) -> bool {
    let pid = bench.json(&["show", "rom"])["pid"].as_u64().unwrap();
    let wanted = std::fs::metadata(bench.path(image)).unwrap();
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    entries.filter_map(|entry| std::fs::metadata(entry.path()).ok()).any(|facts| same(&facts, &wanted))
}

/// Ends the guest, looks at the data, and starts it again from what is stored.
fn holds(bench: &Workbench, image: &str) {
    bench.ok(&["destroy", "rom"]);
    reads_whole(bench, image, LAYERS.len());
    bench.ok(&["start", "rom"]);
}

#[test]
fn active_commit_lets_the_guest_go_on_with_the_base() {
    let bench = scene();
    let answer = bench.ok(&["block", "commit", "rom", "vda", "--active"]);
    for left in &LAYERS[1..] {
        assert!(answer.contains(&format!("kept: {}", bench.path(left).display())), "{answer}");
        assert!(!has_open(&bench, left), "{left}");
    }
    chain_is(&bench, &["base.qcow2"]);
    assert!(bench.ok(&["xml", "rom"]).contains("/base.qcow2"));
    assert!(bench.ok(&["xml", "rom", "--stored"]).contains("/base.qcow2"));
    holds(&bench, "base.qcow2");
    chain_is(&bench, &["base.qcow2"]);
}

/// QEMU gives back what it is told to give back while its guest stands still only once that goes on, and then with the next that
/// it is told.
#[test]
fn snapshot_of_a_guest_that_stands_still_keeps_no_job_from_its_disk() {
    let bench = scene();
    bench.ok(&["suspend", "rom"]);
    bench.ok(&["snapshot", "create", "rom", "still", "--disk-only"]);
    bench.ok(&["snapshot", "create", "rom", "again", "--disk-only"]);
    assert!(writable(&bench, "rom", "top.qcow2"), "not before the guest goes on");
    bench.ok(&["resume", "rom"]);
    for read in ["top.qcow2", "two.qcow2"] {
        assert!(!writable(&bench, "rom", read), "{read} is only read");
    }
    bench.ok(&["block", "commit", "rom", "vda", "--active", "--force"]);
    chain_is(&bench, &["base.qcow2"]);
    holds(&bench, "base.qcow2");
}

#[test]
fn commit_between_layers_writes_the_right_name_and_gives_write_access_back() {
    let bench = scene();
    bench.ok(&["block", "commit", "rom", "vda", "--top", "2", "--base", "3"]);
    chain_is(&bench, &["top.qcow2", "two.qcow2", "base.qcow2"]);
    for read in ["base.qcow2", "two.qcow2"] {
        assert!(!writable(&bench, "rom", read), "{read} is only read");
    }
    // And once more: what was lent leaves no locks behind.
    let two = bench.path("two.qcow2");
    bench.ok(&["block", "commit", "rom", "vda", "--top", two.to_str().unwrap()]);
    chain_is(&bench, &["top.qcow2", "base.qcow2"]);
    bench.ok(&["block", "commit", "rom", "vda", "--active", "--delete"]);
    chain_is(&bench, &["base.qcow2"]);
    assert!(!bench.path("top.qcow2").exists() && bench.path("two.qcow2").exists());
    holds(&bench, "base.qcow2");
}

#[test]
fn pull_copies_into_the_active_layer_and_writes_nowhere_else() {
    let bench = scene();
    bench.ok(&["block", "pull", "rom", "vda", "--base", "vda[3]"]);
    chain_is(&bench, &["top.qcow2", "base.qcow2"]);
    assert!(!writable(&bench, "rom", "base.qcow2"));
    let answer = bench.ok(&["block", "pull", "rom", "vda"]);
    assert!(answer.contains("base.qcow2"), "{answer}");
    chain_is(&bench, &["top.qcow2"]);
    for base in &LAYERS[..3] {
        std::fs::remove_file(bench.path(base)).unwrap();
    }
    holds(&bench, "top.qcow2");
}

#[test]
fn declared_chain_stays_declared() {
    let bench = Workbench::new();
    make_chain(&bench, &LAYERS);
    let below = |file: &str, inner: &str| {
        let path = bench.path(file);
        format!(
            "<backingStore type='file'><format type='qcow2'/><source file='{}'/>{inner}</backingStore>",
            path.display()
        )
    };
    let chain = below("two.qcow2", &below("one.qcow2", &below("base.qcow2", "<backingStore/>")));
    let disk = qcow2_disk(&bench, "top.qcow2").replace("<target", &format!("{chain}<target"));
    bench.define(&with_disk("rom", &disk));
    bench.ok(&["start", "rom"]);
    bench.ok(&["block", "commit", "rom", "vda", "--top", "1", "--base", "2"]);
    chain_is(&bench, &["top.qcow2", "one.qcow2", "base.qcow2"]);
    let stored = bench.ok(&["xml", "rom", "--stored"]);
    assert!(
        !stored.contains("two.qcow2") && stored.contains("one.qcow2") && stored.contains("<backingStore/>"),
        "{stored}"
    );
    bench.ok(&["block", "commit", "rom", "vda", "--active", "--base", "1"]);
    chain_is(&bench, &["one.qcow2", "base.qcow2"]);
    holds(&bench, "one.qcow2");
}

#[test]
fn job_in_the_background_is_listed_and_given_up_and_another_is_refused() {
    let bench = scene();
    let commit = ["block", "commit", "rom", "vda", "--active", "--background", "--bandwidth", SLOW];
    bench.ok(&commit);
    let jobs = bench.json(&["block", "jobs", "rom"]);
    let job = &jobs["jobs"][0];
    assert_eq!((job["kind"].as_str(), job["active"].as_bool()), (Some("commit"), Some(true)), "{jobs}");
    assert!(
        job["owner"]["pid"].is_u64() && job["owner"]["command"].as_str().unwrap().contains("block commit")
    );
    assert!(bench.ok(&["show", "rom"]).contains("commit of disk vda, begun"));
    let refused = bench.run(&["block", "pull", "rom", "vda"]);
    assert!(
        refused.stderr.contains("block.busy") && refused.stderr.contains("block cancel"),
        "{}",
        refused.stderr
    );
    assert!(bench.run(&["block", "resize", "rom", "vda", "+1MiB"]).stderr.contains("block.busy"));
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"));
    assert!(writable(&bench, "rom", "base.qcow2"), "it is written to for as long as the job");
    bench.ok(&["block", "cancel", "rom", "vda"]);
    assert_eq!(bench.json(&["block", "jobs"])["jobs"].as_array().unwrap().len(), 0);
    for read in &LAYERS[..3] {
        assert!(!writable(&bench, "rom", read), "{read} is only read");
    }
    chain_is(&bench, &["top.qcow2", "two.qcow2", "one.qcow2", "base.qcow2"]);
    holds(&bench, "top.qcow2");
    let none = bench.run(&["block", "cancel", "rom", "vda"]);
    assert!(none.stderr.contains("block.no-job"), "{}", none.stderr);
    bench.ok(&["block", "commit", "rom", "vda", "--active"]);
    holds(&bench, "base.qcow2");
}

#[test]
fn job_that_is_ready_waits_and_is_completed_or_kept() {
    let bench = scene();
    bench.ok(&["block", "commit", "rom", "vda", "--active", "--keep"]);
    chain_is(&bench, &["top.qcow2", "two.qcow2", "one.qcow2", "base.qcow2"]);
    assert!(!writable(&bench, "rom", "base.qcow2"));
    bench.ok(&["block", "commit", "rom", "vda", "--active", "--background"]);
    let ready = || bench.json(&["block", "jobs", "rom"])["jobs"][0]["state"] == "ready";
    while !ready() {}
    // A guest that is put away lets go of its images, and a job does not.
    let refused = bench.run(&["save", "rom"]);
    assert!(refused.status == 5 && refused.stderr.contains("block.busy"), "{}", refused.stderr);
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"));
    bench.ok(&["block", "complete", "rom", "vda"]);
    chain_is(&bench, &["base.qcow2"]);
    holds(&bench, "base.qcow2");
}

#[test]
fn base_of_another_domain_is_not_changed_under_it() {
    let bench = scene();
    bench.image(&["create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", "other.qcow2"]);
    bench.define(&with_disk("other", &qcow2_disk(&bench, "other.qcow2")));
    let refused = bench.run(&["block", "commit", "rom", "vda", "--active"]);
    assert!(
        refused.stderr.contains("block.base-in-use") && refused.stderr.contains("'other'"),
        "{}",
        refused.stderr
    );
    bench.ok(&["block", "commit", "rom", "vda", "--active", "--base", "2"]);
    chain_is(&bench, &["one.qcow2", "base.qcow2"]);
    bench.ok(&["block", "commit", "rom", "vda", "--active", "--force", "--delete"]);
    chain_is(&bench, &["base.qcow2"]);
    holds(&bench, "base.qcow2");
}

#[test]
fn disk_grows_while_its_guest_runs_and_shrinks_only_with_leave() {
    let bench = scene();
    bench.ok(&["block", "resize", "rom", "vda", "+16MiB"]);
    let size = || {
        let info = tool(&bench, "qemu-img", &["info", "-U", "-f", "qcow2", "--output=json", "top.qcow2"]);
        serde_json::from_str::<Value>(&info).unwrap()["virtual-size"].as_u64().unwrap()
    };
    assert_eq!(size(), 32 << 20);
    let refused = bench.run(&["block", "resize", "rom", "vda", "8MiB"]);
    assert!(
        refused.stderr.contains("block.shrink") && refused.stderr.contains("--shrink"),
        "{}",
        refused.stderr
    );
    assert_eq!(size(), 32 << 20);
    bench.ok(&["block", "resize", "rom", "vda", "8MiB", "--shrink"]);
    assert_eq!(size(), 8 << 20);
    holds(&bench, "top.qcow2");
}

#[test]
fn plain_image_grows_while_its_guest_runs_and_while_it_stands_still() {
    let bench = Workbench::of_drivers();
    let path = bench.path("plain.img");
    std::fs::File::create(&path).unwrap().set_len(8 << 20).unwrap();
    let source = format!("<source file='{}'/>", path.display());
    let disk = format!(
        "<disk type='file' device='disk'><driver name='qemu' type='raw'/>{source}<target dev='vda' bus='virtio'/></disk>"
    );
    bench.define(&with_disk("rom", &disk));
    bench.ok(&["start", "rom"]);
    bench.ok(&["block", "resize", "rom", "vda", "+8MiB"]);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 16 << 20);
    bench.ok(&["block", "resize", "rom", "vda", "+8MiB"]);
    bench.ok(&["suspend", "rom"]);
    bench.ok(&["block", "resize", "rom", "vda", "8MiB", "--shrink"]);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 8 << 20);
    bench.ok(&["destroy", "rom"]);
}

#[test]
fn what_cannot_be_done_is_said_and_changes_nothing() {
    let bench = scene();
    for (arguments, code) in [
        (&["block", "commit", "rom", "vdz", "--active"][..], "block.no-disk"),
        (&["block", "commit", "rom", "vda", "--top", "0"], "block.active"),
        (&["block", "commit", "rom", "vda", "--top", "9"], "block.no-layer"),
        (&["block", "commit", "rom", "vda", "--top", "2", "--base", "1"], "block.no-layers"),
        (&["block", "pull", "rom", "vda", "--base", "nowhere.qcow2"], "block.no-layer"),
        (&["block", "complete", "rom", "vda"], "block.no-job"),
    ] {
        let refused = bench.run(arguments);
        assert!(refused.status != 0 && refused.stderr.contains(code), "{arguments:?}: {}", refused.stderr);
    }
    bench.ok(&["suspend", "rom"]);
    let paused = bench.run(&["block", "commit", "rom", "vda", "--active"]);
    assert!(paused.stderr.contains("domain.state") && paused.stderr.contains("resume"), "{}", paused.stderr);
    bench.ok(&["resume", "rom"]);
    chain_is(&bench, &["top.qcow2", "two.qcow2", "one.qcow2", "base.qcow2"]);
    assert!(!writable(&bench, "rom", "base.qcow2"));
    bench.ok(&["destroy", "rom"]);
    let off = bench.run(&["block", "commit", "rom", "vda", "--active"]);
    assert!(off.stderr.contains("domain.off"), "{}", off.stderr);
}

#[test]
fn plain_base_is_committed_into_given_up_and_gone_on_with_and_the_guest_lives() {
    let bench = Workbench::of_drivers();
    bench.image(&["create", "-q", "-f", "raw", "base.raw", "4M"]);
    bench.image(&["create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", "one.qcow2"]);
    tool(&bench, "qemu-io", &["-f", "qcow2", "-c", "write -q -P 7 0 3M", "one.qcow2"]);
    bench.image(&["create", "-q", "-f", "qcow2", "-b", "one.qcow2", "-F", "qcow2", "top.qcow2"]);
    tool(&bench, "qemu-io", &["-f", "qcow2", "-c", "write -q -P 8 1M 1M", "top.qcow2"]);
    bench.define(&with_disk("rom", &qcow2_disk(&bench, "top.qcow2")));
    bench.ok(&["start", "rom"]);
    let inner = ["block", "commit", "rom", "vda"];
    bench.ok(&[&inner[..], &["--background", "--bandwidth", SLOW]].concat());
    bench.ok(&["block", "cancel", "rom", "vda"]);
    assert_eq!((bench.state_of("rom").as_deref(), shown(&bench).len()), (Some("running"), 3));
    assert!(!writable(&bench, "rom", "base.raw"));
    bench.ok(&[&inner[..], &["--active", "--keep"]].concat());
    assert_eq!((bench.state_of("rom").as_deref(), shown(&bench).len()), (Some("running"), 3));
    bench.ok(&inner);
    assert_eq!(shown(&bench), ["top.qcow2", "base.raw"]);
    assert!(!writable(&bench, "rom", "base.raw"));
    bench.ok(&[&inner[..], &["--active"]].concat());
    assert_eq!(
        (bench.state_of("rom").as_deref(), shown(&bench)),
        (Some("running"), vec!["base.raw".to_owned()])
    );
    bench.ok(&["destroy", "rom"]);
    for (byte, from) in [(7, 0), (8, 1), (7, 2)] {
        let read = format!("read -q -P {byte} {from}M 1M");
        let said = tool(&bench, "qemu-io", &["-f", "raw", "-c", &read, "base.raw"]);
        assert!(!said.contains("failed"), "{from}: {said}");
    }
}

fn end_hypervisor(bench: &Workbench) {
    let pid = bench.json(&["show", "rom"])["pid"].as_u64().unwrap();
    let ended = Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    assert!(ended.success());
    assert!(bench.run_dir("rom").wait_released(Duration::from_secs(60)).unwrap());
}

#[test]
fn hypervisor_killed_in_the_middle_of_a_job_leaves_a_whole_chain() {
    let bench = scene();
    for job in [
        &["block", "commit", "rom", "vda", "--active"][..],
        &["block", "commit", "rom", "vda", "--top", "1", "--base", "2"],
        &["block", "pull", "rom", "vda"],
    ] {
        let mut slow = job.to_vec();
        slow.extend(["--background", "--bandwidth", SLOW]);
        bench.ok(&slow);
        end_hypervisor(&bench);
        bench.ok(&["start", "rom"]);
        assert_eq!(bench.json(&["block", "jobs"])["jobs"].as_array().unwrap().len(), 0, "{job:?}");
        chain_is(&bench, &["top.qcow2", "two.qcow2", "one.qcow2", "base.qcow2"]);
        holds(&bench, "top.qcow2");
    }
}

#[test]
fn job_that_only_waits_to_be_made_is_made_by_whoever_comes() {
    let bench = scene();
    bench.ok(&["block", "commit", "rom", "vda", "--active", "--background"]);
    while bench.json(&["block", "jobs", "rom"])["jobs"][0]["state"] != "ready" {}
    // As a command does that is killed before it has written down what is to be.
    let shim = ShimClient::connect(&bench.run_dir("rom")).unwrap();
    let job = serde_json::json!({"id": "commit-vda"});
    shim.execute("job-complete", Some(&job), &[], Duration::from_secs(30)).unwrap();
    while bench.json(&["block", "jobs", "rom"])["jobs"][0]["state"] != "pending" {}
    assert_eq!(shown(&bench).len(), LAYERS.len(), "nothing is decided yet");
    bench.run(&["destroy", "nobody"]);
    chain_is(&bench, &["base.qcow2"]);
    assert!(bench.ok(&["events"]).contains("block-job-ended"));
    holds(&bench, "base.qcow2");
}

/// Brings whatever was left to its end, and says which chain the guest has: the one from before, or the one after.
fn settled(bench: &Workbench, before: &[&str], after: &[&str]) -> bool {
    bench.run(&["destroy", "nobody"]);
    let jobs = || bench.json(&["block", "jobs"])["jobs"].as_array().unwrap().clone();
    for round in 0.. {
        let jobs = jobs();
        let Some(job) = jobs.first() else { break };
        assert!(round < 50, "nobody can settle it: {job}");
        match job["state"].as_str() {
            Some("ready") => drop(bench.ok(&["block", "complete", "rom", "vda"])),
            // Over or at work: an owner settles it once it is over.
            _ => drop(bench.run(&["destroy", "nobody"])),
        }
    }
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"));
    let made = shown(bench) == after;
    chain_is(bench, if made { after } else { before });
    made
}

fn killed_everywhere(job: &[&str], before: &[&str], after: &[&str]) {
    let (mut interrupted, mut made) = (0, 0);
    let mut bench = scene();
    let points = points(KILL_AT);
    for (calls, count) in points.iter().copied() {
        // Where an image is to be made, its place is that of the bench.
        let place = |word: &&str| bench.path(word).display().to_string();
        let job: Vec<_> = job
            .iter()
            .map(|word| if word.ends_with(".qcow2") { place(word) } else { (*word).to_owned() })
            .collect();
        let job: Vec<_> = job.iter().map(String::as_str).collect();
        interrupted += u32::from(!killed_at(&bench, &job, calls, count));
        let done = settled(&bench, before, after);
        for read in shown(&bench).iter().skip(1) {
            assert!(!writable(&bench, "rom", read), "{calls} {count}: {read} is only read");
        }
        if done {
            made += 1;
            bench.ok(&["destroy", "rom"]);
            reads_whole(&bench, after[0], LAYERS.len());
            bench = scene();
        }
    }
    bench.ok(&["destroy", "rom"]);
    reads_whole(&bench, before[0], LAYERS.len());
    list_fits(interrupted, points.len());
    assert!(made > 0, "none was made: the list no longer fits the steps");
}

#[test]
fn active_commit_killed_at_any_step_leaves_one_chain_that_is_whole() {
    let before = ["top.qcow2", "two.qcow2", "one.qcow2", "base.qcow2"];
    killed_everywhere(&["block", "commit", "rom", "vda", "--active"], &before, &["base.qcow2"]);
}

#[test]
fn inner_commit_killed_at_any_step_leaves_one_chain_that_is_whole() {
    let before = ["top.qcow2", "two.qcow2", "one.qcow2", "base.qcow2"];
    let job = ["block", "commit", "rom", "vda", "--top", "2", "--base", "3"];
    killed_everywhere(&job, &before, &["top.qcow2", "two.qcow2", "base.qcow2"]);
}

#[test]
fn pull_killed_at_any_step_leaves_one_chain_that_is_whole() {
    let before = ["top.qcow2", "two.qcow2", "one.qcow2", "base.qcow2"];
    killed_everywhere(&["block", "pull", "rom", "vda"], &before, &["top.qcow2"]);
}

const CHAIN: [&str; 4] = ["top.qcow2", "two.qcow2", "one.qcow2", "base.qcow2"];

#[test]
fn copy_is_complete_and_the_guest_goes_on_as_before_or_with_it() {
    let bench = scene();
    let copy = |name: &str| bench.path(name).display().to_string();
    bench.ok(&["block", "copy", "rom", "vda", &copy("kept.qcow2")]);
    chain_is(&bench, &CHAIN);
    assert!(!has_open(&bench, "kept.qcow2"));
    reads_whole(&bench, "kept.qcow2", LAYERS.len());

    bench.ok(&["block", "copy", "rom", "vda", &copy("copy.qcow2"), "--shallow", "--pivot"]);
    chain_is(&bench, &["copy.qcow2", "two.qcow2", "one.qcow2", "base.qcow2"]);
    holds(&bench, "copy.qcow2");
    assert!(!has_open(&bench, "top.qcow2"));

    bench.ok(&["block", "copy", "rom", "vda", &copy("whole.qcow2"), "--pivot"]);
    chain_is(&bench, &["whole.qcow2"]);
    assert!(CHAIN[1..].iter().all(|layer| !has_open(&bench, layer)));
    // Another one from what is a copy itself: as plain bytes, into a file that is there.
    std::fs::File::create(bench.path("plain")).unwrap().set_len(16 << 20).unwrap();
    bench.ok(&["block", "copy", "rom", "vda", &copy("plain"), "--format", "raw", "--reuse", "--pivot"]);
    bench.ok(&["suspend", "rom"]);
    bench.ok(&["resume", "rom"]);
    bench.ok(&["destroy", "rom"]);
    reads_whole(&bench, "copy.qcow2", LAYERS.len());
    let read = format!("read -q -P {} {} {PIECE}", LAYERS.len(), (LAYERS.len() - 1) as u64 * PIECE);
    assert!(!tool(&bench, "qemu-io", &["-f", "raw", "-c", &read, "plain"]).contains("failed"));
    bench.ok(&["start", "rom"]);
}

#[test]
fn copy_that_is_given_up_is_gone_and_one_that_cannot_be_changes_nothing() {
    let bench = scene();
    let copy = bench.path("copy.qcow2").display().to_string();
    bench.ok(&["block", "copy", "rom", "vda", &copy, "--background", "--bandwidth", SLOW]);
    assert!(bench.path("copy.qcow2").exists());
    bench.ok(&["block", "cancel", "rom", "vda"]);
    assert!(!bench.path("copy.qcow2").exists());
    let there = bench.path("base.qcow2").display().to_string();
    for (refused, code) in [
        (vec![there.as_str()], "image.exists"),
        (vec![there.as_str(), "--reuse", "--format", "qcow2"], "block.copy-in-use"),
        (vec![copy.as_str(), "--shallow", "--format", "raw"], "block.shallow"),
        (vec!["/nowhere/copy.qcow2"], ""),
    ] {
        let mut command = vec!["block", "copy", "rom", "vda"];
        command.extend(refused);
        let answer = bench.run(&command);
        assert!(answer.status != 0 && answer.stderr.contains(code), "{command:?}: {}", answer.stderr);
    }
    assert_eq!(bench.json(&["block", "jobs"])["jobs"].as_array().unwrap().len(), 0);
    chain_is(&bench, &CHAIN);
    // With its hypervisor the copy goes that was not complete.
    bench.ok(&["block", "copy", "rom", "vda", &copy, "--background", "--bandwidth", SLOW]);
    end_hypervisor(&bench);
    bench.ok(&["start", "rom"]);
    assert!(!bench.path("copy.qcow2").exists());
    chain_is(&bench, &CHAIN);
}

#[test]
fn copy_killed_at_any_step_leaves_one_chain_that_is_whole() {
    killed_everywhere(&["block", "copy", "rom", "vda", "copy.qcow2", "--pivot"], &CHAIN, &["copy.qcow2"]);
}
