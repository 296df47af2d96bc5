//! What a guest may use of its host: by its document, while it runs, and after it has ended.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::workbench::{Workbench, rom_domain};

/// Whether this host can limit guests; says why not.
pub(crate) fn groups_are_here() -> bool {
    let layout = hostler_launch::control_group::Layout::of_this_host().unwrap().describe();
    let here =
        rustix::process::geteuid().is_root() && ["cpu", "memory"].iter().all(|name| layout.contains(name));
    if !here {
        eprintln!("skipped: limits need root and the controllers of cpu and memory; there are: {layout}");
    }
    here
}

fn limited(more: &str) -> String {
    rom_domain("rom", "qemu")
        .replace("<vcpu>1</vcpu>", "<vcpu current='1'>2</vcpu>")
        .replace("<os>", &format!("{more}<os>"))
}

fn limit(shown: &Value, name: &str) -> Value {
    let limits = shown["limits"].as_array().unwrap();
    limits.iter().find(|limit| limit["name"] == name).unwrap_or_else(|| panic!("{name}: {shown}"))["value"]
        .clone()
}

/// All directories of the groups of a domain, of any hierarchy.
fn groups(bench: &Workbench) -> Vec<PathBuf> {
    let uuid = bench.json(&["show", "rom"])["uuid"].as_str().unwrap().to_owned();
    let tops = std::fs::read_dir("/sys/fs/cgroup").unwrap().map(|entry| entry.unwrap().path());
    let parents = tops.chain([PathBuf::from("/sys/fs/cgroup")]).map(|top| top.join("hostler"));
    let within = parents.filter_map(|parent| std::fs::read_dir(parent).ok()).flatten();
    let own = within.map(|entry| entry.unwrap().path());
    own.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&uuid)).collect()
}

/// How often the kernel has kept something from running on, by the one group that has such a count.
fn throttled(groups: &[PathBuf], within: &str) -> u64 {
    let read = |group: &PathBuf| std::fs::read_to_string(group.join(within).join("cpu.stat")).ok();
    let stat = groups.iter().find_map(read).unwrap();
    let count = stat.lines().find_map(|line| line.strip_prefix("nr_throttled ")).unwrap();
    count.parse().unwrap()
}

/// How many threads are in a group within.
fn threads(groups: &[PathBuf], within: &str) -> usize {
    let read = |group: &PathBuf| {
        let files = ["tasks", "cgroup.threads"].map(|file| group.join(within).join(file));
        files.iter().find_map(|file| std::fs::read_to_string(file).ok())
    };
    groups.iter().find_map(read).unwrap().lines().count()
}

#[test]
fn limits_hold_from_the_start_on_and_change_while_the_guest_runs() {
    if !groups_are_here() {
        return;
    }
    let bench = Workbench::new();
    bench.define(&limited(
        "<memtune><hard_limit unit='MiB'>900</hard_limit></memtune><cputune><shares>300</shares>\
         <global_quota>90000</global_quota><emulator_quota>80000</emulator_quota></cputune>",
    ));
    let stored = bench.json(&["limits", "rom"]);
    assert_eq!((limit(&stored, "shares"), limit(&stored, "hard_limit")), (json!(300), json!(900 << 20)));
    bench.ok(&["start", "rom"]);
    let now = bench.json(&["limits", "rom"]);
    for (name, value) in [
        ("shares", json!(300)),
        ("global_quota", json!(90_000)),
        ("global_period", json!(100_000)),
        ("emulator_quota", json!(80_000)),
        ("quota", json!(null)),
        ("hard_limit", json!(900 << 20)),
        ("soft_limit", json!(null)),
    ] {
        assert_eq!(limit(&now, name), value, "{name}");
    }
    // A guest whose processor does nothing but run meets its limit.
    let changed = bench.json(&["limits", "rom", "shares=400", "hard_limit=none", "quota=20000", "--live"]);
    assert_eq!((changed["live"].as_bool(), changed["stored"].as_bool()), (Some(true), Some(false)));
    let groups = groups(&bench);
    while throttled(&groups, "vcpu0") == 0 {}
    let now = bench.json(&["limits", "rom"]);
    assert_eq!((limit(&now, "shares"), limit(&now, "hard_limit")), (json!(400), json!(null)));
    assert!(bench.ok(&["xml", "rom"]).contains("<quota>20000</quota>"));
    assert!(bench.ok(&["xml", "rom", "--stored"]).contains("<shares>300</shares>"));
    // A processor that comes is held to what the others are.
    bench.ok(&["set-vcpus", "rom", "2", "--live"]);
    assert_eq!(threads(&groups, "vcpu1"), 1);
    // What is put away comes back with its limits.
    bench.ok(&["save", "rom"]);
    bench.ok(&["start", "rom"]);
    let back = bench.json(&["limits", "rom"]);
    assert_eq!((limit(&back, "quota"), limit(&back, "shares")), (json!(20_000), json!(400)));
    bench.ok(&["destroy", "rom"]);
    assert_eq!(self::groups(&bench), Vec::<PathBuf>::new(), "groups stay behind");
}

#[test]
fn wrong_limits_say_why_and_change_nothing() {
    if !groups_are_here() {
        return;
    }
    let bench = Workbench::new();
    bench.define(&limited("<cputune><shares>300</shares></cputune>"));
    for (call, code) in [
        (&["limits", "nobody"][..], "domain.not-found"),
        (&["limits", "rom", "shares=5", "--live"], "domain.off"),
        (&["limits", "rom", "period=5"], "qemu.threads-period"),
    ] {
        let refused = bench.run(call);
        assert!(refused.status != 0 && refused.stderr.contains(code), "{call:?}: {}", refused.stderr);
    }
    bench.ok(&["start", "rom"]);
    for (limits, code) in [
        (&["shares=700", "global_period=5"][..], "limit.refused"),
        (&["shares=700", "/dev/null:read_bytes_sec=1MiB"], "limit.device"),
        (&["shares=700", "global_quota=50000", "quota=90000", "period=1"], "limit.refused"),
    ] {
        let refused = bench.run(&[&["limits", "rom", "--live"], limits].concat());
        assert!(refused.status != 0 && refused.stderr.contains(code), "{limits:?}: {}", refused.stderr);
        assert!(refused.stderr.contains("hint"), "{}", refused.stderr);
        let now = bench.json(&["limits", "rom"]);
        assert_eq!(
            (limit(&now, "shares"), limit(&now, "global_quota")),
            (json!(300), json!(null)),
            "{limits:?}"
        );
        assert!(bench.ok(&["xml", "rom"]).contains("<shares>300</shares>"));
    }
    bench.ok(&["destroy", "rom"]);
    // A start that cannot keep what the document says leaves nothing.
    bench.define(&limited("<numatune><memory mode='restrictive' nodeset='63'/></numatune>"));
    let refused = bench.run(&["start", "rom"]);
    assert!(refused.status != 0 && refused.stderr.contains("launch.limit-failed"), "{}", refused.stderr);
    assert_eq!(bench.state_of("rom").as_deref(), Some("off"));
    assert_eq!(groups(&bench), Vec::<PathBuf>::new(), "groups stay behind");
}

#[test]
fn guest_that_ends_with_nobody_there_leaves_no_group() {
    if !groups_are_here() {
        return;
    }
    let bench = Workbench::new();
    bench.define(&limited(""));
    bench.ok(&["start", "rom"]);
    assert_eq!(limit(&bench.json(&["limits", "rom"]), "global_period"), json!(100_000));
    let before = groups(&bench).len();
    bench.ok(&["limits", "rom", "shares=700", "quota=50000"]);
    let now = bench.json(&["limits", "rom"]);
    assert_eq!((limit(&now, "shares"), limit(&now, "quota")), (json!(700), json!(50_000)));
    assert!(groups(&bench).len() >= before);
    let (groups, pid) = (groups(&bench), bench.json(&["show", "rom"])["pid"].as_i64().unwrap());
    assert!(!groups.is_empty());
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    while groups.iter().any(|group| Path::exists(group)) {}
    assert_eq!(bench.state_of("rom").as_deref(), Some("off"));
}
