//! Limits on what a guest reads and writes: changed while it runs, and as it is stored.

use hostler_launch::ShimClient;
use serde_json::{Value, json};

use crate::kill::{killed_at, list_fits, points};
use crate::workbench::{Workbench, rom_domain};

/// System calls at which the command is killed: those by which anything of it becomes durable, and those by which it speaks
/// to the hypervisor.
const KILL_AT: &[(&str, &[u32])] = &[
    ("renameat,renameat2,rename", &[1, 2, 3, 4]),
    ("fsync,fdatasync", &[1, 3, 5, 7]),
    ("unlink,unlinkat", &[1, 2]),
    ("sendmsg,sendto", &[2, 4, 5, 6, 7, 8]),
];

fn disk(bench: &Workbench, target: &str, tune: &str) -> String {
    bench.image(&["create", "-q", "-f", "qcow2", &format!("{target}.qcow2"), "8M"]);
    let image = bench.path(&format!("{target}.qcow2"));
    format!(
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{}'/>\
         <target dev='{target}' bus='virtio'/>{tune}</disk>",
        image.display()
    )
}

fn with_disks(bench: &Workbench) {
    let limited = disk(bench, "vda", "<iotune><total_iops_sec>100</total_iops_sec></iotune>");
    let shared = "<iotune><read_bytes_sec>1000000</read_bytes_sec><group_name>both</group_name></iotune>";
    let disks = [limited, disk(bench, "vdb", shared), disk(bench, "vdc", shared), disk(bench, "vdd", "")];
    bench
        .define(&rom_domain("rom", "qemu").replace("<memballoon", &format!("{}<memballoon", disks.concat())));
}

/// The limits that the hypervisor has for a disk, and the group that it shares them with.
fn limits(bench: &Workbench, target: &str) -> Value {
    let client = ShimClient::connect(&bench.run_dir("rom")).unwrap();
    let drives = client.execute("query-block", None, &[], std::time::Duration::from_secs(30)).unwrap();
    let place = format!("virtio-disk{}/", target.bytes().last().unwrap() - b'a');
    let is_meant = |drive: &&Value| drive["qdev"].as_str().is_some_and(|path| path.contains(&place));
    drives.as_array().unwrap().iter().find(is_meant).unwrap()["inserted"].clone()
}

#[test]
fn limits_of_a_guest_that_runs_are_those_of_its_document() {
    let bench = Workbench::new();
    with_disks(&bench);
    bench.ok(&["start", "rom"]);
    let changed =
        bench.json(&["block", "limit", "rom", "vda", "total_iops_sec=250", "total_iops_sec_max=500"]);
    assert_eq!(
        (changed["live"].as_bool(), changed["stored"].as_bool()),
        (Some(true), Some(true)),
        "{changed}"
    );
    let now = limits(&bench, "vda");
    assert_eq!((&now["iops"], &now["iops_max"]), (&json!(250), &json!(500)), "{now}");
    for xml in [bench.ok(&["xml", "rom"]), bench.ok(&["xml", "rom", "--stored"])] {
        assert!(xml.contains("<total_iops_sec>250</total_iops_sec>"), "{xml}");
    }
    // What was there before goes where 0 takes its place, and what is not named stays.
    bench.ok(&[
        "block",
        "limit",
        "rom",
        "vda",
        "total_iops_sec=0",
        "total_iops_sec_max=0",
        "write_bytes_sec=1MiB",
    ]);
    let now = limits(&bench, "vda");
    assert_eq!((&now["iops"], &now["bps_wr"]), (&json!(0), &json!(1 << 20)), "{now}");
    bench.ok(&["block", "limit", "rom", "vdb", "read_bytes_sec=2000000", "--live"]);
    for shared in ["vdb", "vdc"] {
        let now = limits(&bench, shared);
        assert_eq!(
            (&now["bps_rd"], &now["group"]),
            (&json!(2_000_000), &json!("throttle-group-both")),
            "{now}"
        );
    }
    assert_eq!(bench.ok(&["xml", "rom"]).matches("<read_bytes_sec>2000000").count(), 2);
    assert_eq!(bench.ok(&["xml", "rom", "--stored"]).matches("<read_bytes_sec>2000000").count(), 0);

    for (arguments, code) in [
        (&["block", "limit", "rom", "vdz", "total_iops_sec=5"][..], "device.not-found"),
        (&["block", "limit", "rom", "vda", "total_bytes_sec=5"], "in total, or for reads and writes apart"),
    ] {
        let refused = bench.run(arguments);
        assert!(refused.status != 0 && refused.stderr.contains(code), "{arguments:?}: {}", refused.stderr);
    }
    // One that was started without limits gets some, and loses them again.
    bench.ok(&["block", "limit", "rom", "vdd", "total_iops_sec=5", "--live"]);
    assert_eq!(limits(&bench, "vdd")["iops"], 5);
    bench.ok(&["block", "limit", "rom", "vdd", "total_iops_sec=0", "--live"]);
    assert_eq!(limits(&bench, "vdd")["iops"], 0);
    bench.ok(&["destroy", "rom"]);
    bench.ok(&["block", "limit", "rom", "vdd", "total_iops_sec=5"]);
    bench.ok(&["start", "rom"]);
    assert_eq!(limits(&bench, "vdd")["iops"], 5);
}

#[test]
fn limits_stay_whatever_becomes_of_the_images() {
    let bench = Workbench::of_drivers();
    with_disks(&bench);
    bench.ok(&["start", "rom"]);
    bench.ok(&["snapshot", "create", "rom", "one", "--disk-only"]);
    assert_eq!(limits(&bench, "vda")["iops"], 100);
    bench.ok(&["block", "commit", "rom", "vda", "--active", "--force"]);
    assert_eq!(limits(&bench, "vda")["iops"], 100);
    let limited = disk(&bench, "vde", "<iotune><total_iops_sec>7</total_iops_sec></iotune>");
    std::fs::write(bench.path("vde.xml"), limited).unwrap();
    bench.ok(&["attach", "rom", bench.path("vde.xml").to_str().unwrap()]);
    assert_eq!(limits(&bench, "vde")["iops"], 7);
    bench.ok(&["destroy", "rom"]);
}

#[test]
fn limit_of_a_killed_command_is_that_of_the_document() {
    let bench = Workbench::of_drivers();
    with_disks(&bench);
    bench.ok(&["start", "rom"]);
    let (mut interrupted, points) = (0, points(KILL_AT));
    for (round, (calls, count)) in points.iter().enumerate() {
        let limit = format!("total_iops_sec={}", 1000 + round);
        interrupted +=
            u32::from(!killed_at(&bench, &["block", "limit", "rom", "vda", &limit], calls, *count));
        // Any owner settles; this one has nothing else to do.
        bench.run(&["destroy", "nobody"]);
        let now = limits(&bench, "vda")["iops"].clone();
        for xml in [bench.ok(&["xml", "rom"]), bench.ok(&["xml", "rom", "--stored"])] {
            assert!(
                xml.contains(&format!("<total_iops_sec>{now}</total_iops_sec>")),
                "{calls} {count}: {now}: {xml}"
            );
        }
    }
    list_fits(interrupted, points.len());
}
