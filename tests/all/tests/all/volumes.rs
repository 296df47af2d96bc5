//! Disks that name a volume of a pool, in a real QEMU: started, taken over by another owner, and held.

use hostler_launch::ShimClient;
use serde_json::Value;
use std::time::Duration;

use crate::kill::killed_at;
use crate::storage::block_nodes;
use crate::workbench::{Workbench, rom_domain};

/// A started pool `p` beside the state directory.
fn pool(bench: &Workbench) {
    let xml = format!(
        "<pool type='dir'><name>p</name><target><path>{}</path></target></pool>",
        bench.path("pool").display()
    );
    let file = bench.write("pool.xml", &xml);
    bench.ok(&["pool", "define", file.to_str().unwrap()]);
    bench.ok(&["pool", "start", "p", "--build"]);
}

fn with_volume(name: &str, volume: &str, more: &str) -> String {
    let disk = format!(
        "<devices>\n    <disk type='volume' device='disk'>{more}<source pool='p' volume='{volume}'/>\
         <target dev='vda' bus='virtio'/></disk>"
    );
    rom_domain(name, "qemu").replace("<devices>", &disk)
}

/// What QEMU has of a domain: each node's driver, and whether it is written to.
fn graph(bench: &Workbench, name: &str) -> Vec<(String, bool)> {
    let mut nodes: Vec<_> = block_nodes(bench, name)
        .iter()
        .map(|node| (node["drv"].as_str().unwrap().to_owned(), node["ro"] == false))
        .collect();
    nodes.sort();
    nodes
}

fn layers(bench: &Workbench, name: &str) -> Value {
    bench.json(&["show", name])["disks"][0]["layers"].clone()
}

#[test]
fn s4_guest_on_a_volume_outlives_owner_and_pool_and_is_translated_the_same() {
    let bench = Workbench::new();
    pool(&bench);
    bench.ok(&["vol", "create", "p", "base", "--capacity", "8MiB", "--format", "raw"]);
    bench.ok(&["vol", "create", "p", "top", "--backing", "base"]);
    bench.define(&with_volume("web", "top", ""));
    let started = bench.json(&["start", "web"]);
    let before = started["chains"][0]["layers"].clone();
    let shape: Vec<_> =
        before.as_array().unwrap().iter().map(|layer| layer["format"].as_str().unwrap().to_owned()).collect();
    assert_eq!(shape, ["qcow2", "raw"], "the recorded format, for the domain declares none");
    let nodes = graph(&bench, "web");
    assert!(
        nodes.contains(&("qcow2".to_owned(), true)) && nodes.contains(&("raw".to_owned(), false)),
        "{nodes:?}"
    );

    // Every command is another owner; none of them changes what runs, or says otherwise about it.
    let pid = bench.json(&["show", "web"])["pid"].clone();
    for _ in 0..2 {
        bench.ok(&["suspend", "web"]);
        bench.ok(&["resume", "web"]);
        assert_eq!(layers(&bench, "web"), before);
    }
    // The pool goes, and then the volume's name: the guest stays, and so does what it runs with.
    bench.ok(&["pool", "stop", "p"]);
    bench.ok(&["suspend", "web"]);
    assert_eq!(layers(&bench, "web"), before, "asked of the run, not of the pool");
    bench.ok(&["pool", "undefine", "p"]);
    bench.ok(&["resume", "web"]);
    let shown = bench.json(&["show", "web"]);
    assert_eq!((&shown["pid"], &shown["state"]), (&pid, &"running".into()));
    assert_eq!(shown["disks"][0]["layers"], before);
    assert_eq!(graph(&bench, "web"), nodes);
    let xml = bench.ok(&["xml", "web", "--stored"]);
    assert!(xml.contains("<source pool='p' volume='top'/>"), "nothing derived is written back: {xml}");
    bench.ok(&["destroy", "web"]);

    let refused = bench.run(&["start", "web"]);
    assert_eq!(refused.status, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("pool.not-found"), "{}", refused.stderr);
    assert_eq!(bench.state_of("web").as_deref(), Some("off"));
}

#[test]
fn what_a_volume_contains_decides_nothing() {
    let bench = Workbench::new();
    pool(&bench);
    bench.write("secret.txt", "the secret");
    bench.image(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "-u",
        "-b",
        "../secret.txt",
        "-F",
        "raw",
        "pool/evil",
        "1M",
    ]);
    bench.define(&with_volume("data", "evil", ""));
    let unsaid = bench.run(&["start", "data", "--paused"]);
    assert!(unsaid.status == 4 && unsaid.stderr.contains("volume.format-undeclared"), "{}", unsaid.stderr);
    bench.define(&with_volume("data", "evil", "<driver name='qemu' type='raw'/>"));
    bench.ok(&["start", "data", "--paused"]);
    assert!(
        graph(&bench, "data").iter().all(|(driver, _)| driver != "qcow2"),
        "it is data, whatever is in it"
    );
    bench.ok(&["destroy", "data"]);
    bench.define(&with_volume("data", "evil", "<driver name='qemu' type='qcow2'/>"));
    let refused = bench.run(&["start", "data"]);
    assert_eq!(refused.status, 4, "{}", refused.stderr);
    assert!(refused.stderr.contains("image.reference-denied"), "{}", refused.stderr);
}

#[test]
fn refusals_of_a_start_name_pool_volume_and_remedy() {
    let bench = Workbench::new();
    pool(&bench);
    bench.define(&with_volume("web", "gone", ""));
    let missing = bench.run(&["start", "web"]);
    assert_eq!(missing.status, 3, "{}", missing.stderr);
    assert!(
        missing.stderr.contains("volume.not-found") && missing.stderr.contains("hostler vol list p"),
        "{}",
        missing.stderr
    );
    bench.ok(&["vol", "create", "p", "gone", "--capacity", "1MiB"]);
    bench.ok(&["pool", "stop", "p"]);
    let stopped = bench.run(&["start", "web"]);
    assert_eq!(stopped.status, 5, "{}", stopped.stderr);
    assert!(
        stopped.stderr.contains("pool.inactive") && stopped.stderr.contains("hostler pool start p"),
        "{}",
        stopped.stderr
    );
    bench.ok(&["pool", "start", "p"]);
    bench.ok(&["start", "web", "--paused"]);
    let shim = ShimClient::connect(&bench.run_dir("web")).unwrap();
    assert!(shim.execute("query-status", None, &[], Duration::from_secs(30)).is_ok());
    bench.ok(&["destroy", "web"]);
    let mode = with_volume("web", "gone", "").replace("volume='gone'", "volume='gone' mode='direct'");
    bench.define(&mode);
    let refused = bench.run(&["start", "web"]);
    assert!(refused.status != 0 && refused.stderr.contains("volume.mode"), "{}", refused.stderr);
}

#[test]
fn volume_under_a_guest_is_held() {
    let bench = Workbench::new();
    pool(&bench);
    bench.ok(&["vol", "create", "p", "disk", "--capacity", "1MiB"]);
    bench.define(&with_volume("web", "disk", ""));
    bench.ok(&["start", "web", "--paused"]);
    let source = bench.write("content", "x");
    let source = source.to_str().unwrap();
    for call in [
        &["vol", "delete", "p", "disk"][..],
        &["vol", "resize", "p", "disk", "2MiB"],
        &["vol", "upload", "p", "disk", source],
        &["vol", "clone", "p", "disk", "copy"],
    ] {
        let refused = bench.run(call);
        assert_eq!(refused.status, 5, "{call:?}: {}", refused.stderr);
        assert!(
            refused.stderr.contains("volume.in-use") && refused.stderr.contains("'web'"),
            "{}",
            refused.stderr
        );
    }
    let used = bench.json(&["vol", "show", "p", "disk"])["used_by"].clone();
    assert_eq!((&used[0]["running"], &used[0]["writes"]), (&true.into(), &true.into()));
    bench.ok(&["destroy", "web"]);
    bench.ok(&["vol", "clone", "p", "disk", "copy"]);
    bench.ok(&["vol", "resize", "p", "disk", "+1MiB"]);
    assert_eq!(bench.run(&["vol", "delete", "p", "disk"]).status, 5, "the definition still names it");
    bench.ok(&["undefine", "web"]);
    bench.ok(&["vol", "delete", "p", "disk"]);
    let volumes = bench.json(&["vol", "list", "p"])["volumes"].clone();
    assert_eq!(volumes.as_array().unwrap().len(), 1, "{volumes}");
}

#[test]
fn making_killed_at_any_step_leaves_a_whole_volume_or_nothing() {
    let bench = Workbench::new();
    pool(&bench);
    let create = ["vol", "create", "p", "v", "--capacity", "1MiB"];
    let mut interrupted = 0;
    for (calls, counts) in [
        ("openat2", &[1, 2, 3, 4][..]),
        ("renameat,renameat2,rename", &[1, 2, 3, 4, 5]),
        ("fsync,fdatasync", &[1, 2, 3, 4, 5, 6, 7]),
        ("clone,clone3,vfork", &[1, 2, 3]),
        ("fchmod,fchmodat", &[1]),
        ("unlink,unlinkat", &[1]),
    ] {
        for count in counts {
            interrupted += u32::from(!killed_at(&bench, &create, calls, *count));
            // Any owner settles; this one has nothing else to do.
            bench.run(&["destroy", "nobody"]);
            let volumes = bench.json(&["vol", "list", "p"])["volumes"].as_array().unwrap().clone();
            let left: Vec<_> = std::fs::read_dir(bench.path("pool")).unwrap().collect();
            assert_eq!(left.len(), volumes.len(), "{calls} {count}: {left:?}");
            if let Some(volume) = volumes.first() {
                assert_eq!(
                    (&volume["format"], &volume["capacity"]),
                    (&"qcow2".into(), &(1 << 20).into()),
                    "{calls} {count}"
                );
                bench.ok(&["vol", "delete", "p", "v"]);
            }
        }
    }
    assert!(interrupted > 10, "only {interrupted} were interrupted: the list no longer fits the steps");
}

#[test]
fn disk_of_a_running_guest_is_held_by_whatever_name_it_is_reached() {
    let bench = Workbench::new();
    pool(&bench);
    bench.ok(&["vol", "create", "p", "disk", "--capacity", "8MiB", "--format", "raw"]);
    bench.define(&with_volume("web", "disk", ""));
    bench.ok(&["start", "web", "--paused"]);
    let path = bench.path("pool/disk");
    let image = path.to_str().unwrap();
    let held = |arguments: &[&str]| {
        let answer = bench.run(arguments);
        assert_eq!(answer.status, 5, "{arguments:?}: {}", answer.stderr);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 8 << 20, "{arguments:?}");
    };
    held(&["vol", "download", "p", "disk", bench.path("copy").to_str().unwrap()]);
    bench.ok(&["pool", "stop", "p"]);
    held(&["image", "resize", image, "1MiB", "--shrink", "--format", "raw"]);
    held(&["image", "convert", image, bench.path("copy").to_str().unwrap(), "--format", "qcow2"]);
    bench.ok(&["pool", "undefine", "p"]);
    let again = format!(
        "<pool type='dir'><name>r</name><target><path>{}</path></target></pool>",
        bench.path("pool").display()
    );
    let file = bench.write("again.xml", &again);
    bench.ok(&["pool", "define", file.to_str().unwrap()]);
    bench.ok(&["pool", "start", "r"]);
    let other = bench.write("other", "other content");
    held(&["vol", "upload", "r", "disk", other.to_str().unwrap()]);
    held(&["vol", "resize", "r", "disk", "1MiB", "--shrink", "--format", "raw"]);
    held(&["vol", "delete", "r", "disk"]);
    bench.ok(&["destroy", "web"]);
    bench.ok(&["undefine", "web"]);
    bench.ok(&["vol", "delete", "r", "disk"]);
}

#[test]
fn what_others_stand_on_is_neither_cut_nor_removed() {
    let bench = Workbench::new();
    pool(&bench);
    bench.ok(&["vol", "create", "p", "base", "--capacity", "2MiB", "--format", "raw"]);
    bench.ok(&["vol", "create", "p", "over", "--backing", "base"]);
    bench.image(&["create", "-q", "-f", "qcow2", "-o", "data_file=pool/data", "pool/apart", "1M"]);
    bench.image(&["amend", "-f", "qcow2", "-o", "data_file=data", "pool/apart"]);
    let base = bench.path("pool/base");
    for arguments in [
        &["vol", "resize", "p", "base", "1MiB", "--shrink"][..],
        &["image", "resize", base.to_str().unwrap(), "1MiB", "--shrink", "--format", "raw"],
        &["vol", "delete", "p", "base"],
    ] {
        let answer = bench.run(arguments);
        assert_eq!(answer.status, 5, "{arguments:?}: {}", answer.stderr);
        assert!(answer.stderr.contains("has-overlays"), "{}", answer.stderr);
    }
    bench.ok(&["vol", "resize", "p", "base", "4MiB"]);
    let data = bench.run(&["vol", "delete", "p", "data"]);
    assert!(data.status == 5 && bench.path("pool/data").exists(), "{}", data.stderr);
}
