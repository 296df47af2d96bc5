//! Chains in a real QEMU: what the host resolved is what runs, by descriptor, with an explicit end.

use std::time::Duration;

use hostler_launch::ShimClient;
use serde_json::Value;

use crate::workbench::{Workbench, rom_domain};

/// QEMU's own view of its block graph.
pub(crate) fn block_nodes(bench: &Workbench, name: &str) -> Vec<Value> {
    let shim = ShimClient::connect(&bench.run_dir(name)).unwrap();
    let nodes = shim.execute("query-named-block-nodes", None, &[], Duration::from_secs(30)).unwrap();
    nodes.as_array().unwrap().clone()
}

pub(crate) fn with_disk(name: &str, disk: &str) -> String {
    rom_domain(name, "qemu").replace("<devices>", &format!("<devices>\n    {disk}"))
}

pub(crate) fn qcow2_disk(bench: &Workbench, file: &str) -> String {
    format!(
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{}'/>\
         <target dev='vda' bus='virtio'/></disk>",
        bench.path(file).display()
    )
}

#[test]
fn s1_protocol_nodes_open_read_only_where_the_layer_is_and_format_nodes_say_so() {
    let bench = Workbench::new();
    bench.image(&["create", "-q", "-f", "raw", "base.raw", "8M"]);
    bench.image(&["create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", "middle.qcow2"]);
    bench.image(&["create", "-q", "-f", "qcow2", "-b", "middle.qcow2", "-F", "qcow2", "top.qcow2"]);
    bench.define(&with_disk("chain", &qcow2_disk(&bench, "top.qcow2")));
    bench.ok(&["start", "chain", "--paused"]);

    let nodes = block_nodes(&bench, "chain");
    let formats: Vec<_> =
        nodes.iter().filter(|node| node["node-name"].as_str().unwrap().ends_with("-format")).collect();
    assert_eq!(formats.len(), 3, "{nodes:?}");
    assert_eq!(formats.iter().filter(|node| node["ro"] == false).count(), 1, "only the top is written to");
    for node in &nodes {
        let file = node["file"].as_str().unwrap();
        assert!(!file.contains("/hostler-test-"), "no path of the host is in the graph: {file}");
    }
    let raw: Vec<_> = formats.iter().filter(|node| node["drv"] == "raw").collect();
    assert_eq!(raw.len(), 1);
    bench.ok(&["destroy", "chain"]);
}

#[test]
fn a_raw_disk_is_data_whatever_it_contains() {
    let bench = Workbench::new();
    bench.write("secret.txt", "the secret");
    bench.image(&["create", "-q", "-f", "raw", "secret.raw", "1M"]);
    bench.image(&["create", "-q", "-f", "qcow2", "-b", "secret.raw", "-F", "raw", "evil.img"]);
    let disk = qcow2_disk(&bench, "evil.img").replace("type='qcow2'", "type='raw'");
    bench.define(&with_disk("raw", &disk));
    let started = bench.json(&["start", "raw", "--paused"]);
    assert_eq!(started["chains"][0]["layers"].as_array().unwrap().len(), 1);
    let nodes = block_nodes(&bench, "raw");
    assert!(nodes.iter().all(|node| node["drv"] != "qcow2"), "{nodes:?}");
    bench.ok(&["destroy", "raw"]);
}

#[test]
fn a_missing_backing_format_is_refused_with_the_repair_command() {
    let bench = Workbench::new();
    bench.image(&["create", "-q", "-f", "qcow2", "base.qcow2", "8M"]);
    // Old tools left the format out; rebase -u writes such a header on request.
    bench.image(&["create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", "top.qcow2"]);
    forget_backing_format(&bench.path("top.qcow2"));
    bench.define(&with_disk("domain", &qcow2_disk(&bench, "top.qcow2")));
    let answer = bench.run(&["start", "domain"]);
    assert_eq!(answer.status, 4, "{}", answer.stderr);
    assert!(answer.stderr.contains("image.format-missing"), "{}", answer.stderr);
    let repair =
        answer.stderr.lines().find_map(|line| line.find("qemu-img rebase").map(|at| line[at..].to_owned()));
    let repair = repair.unwrap_or_else(|| panic!("no repair command in: {}", answer.stderr));
    let repaired = std::process::Command::new("sh").args(["-c", &repair]).status().unwrap();
    assert!(repaired.success(), "{repair}");
    bench.ok(&["start", "domain", "--paused"]);
    bench.ok(&["destroy", "domain"]);
}

/// Turns the header extension that records the backing format into one that nobody knows.
fn forget_backing_format(path: &std::path::Path) {
    let mut image = std::fs::read(path).unwrap();
    let at = image.windows(4).position(|window| window == [0xe2, 0x79, 0x2a, 0xca]).unwrap();
    image[at..at + 4].copy_from_slice(&[0x12, 0x34, 0x56, 0x78]);
    std::fs::write(path, image).unwrap();
}

#[test]
fn an_image_that_names_a_file_elsewhere_is_refused() {
    let bench = Workbench::new();
    bench.image(&["create", "-q", "-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw", "evil.qcow2", "8M"]);
    bench.define(&with_disk("evil", &qcow2_disk(&bench, "evil.qcow2")));
    let answer = bench.run(&["start", "evil"]);
    assert_eq!(answer.status, 4, "{}", answer.stderr);
    assert!(
        answer.stderr.contains("/etc/shadow") && answer.stderr.contains("image.reference-denied"),
        "{}",
        answer.stderr
    );
    assert_eq!(bench.state_of("evil").as_deref(), Some("off"));
    assert!(bench.processes().is_empty());
}

#[test]
fn a_swapped_link_is_not_followed() {
    let bench = Workbench::new();
    bench.image(&["create", "-q", "-f", "raw", "real.raw", "1M"]);
    std::os::unix::fs::symlink("/etc/shadow", bench.path("link.raw")).unwrap();
    let disk = qcow2_disk(&bench, "link.raw").replace("type='qcow2'", "type='raw'");
    bench.define(&with_disk("link", &disk));
    let answer = bench.run(&["start", "link"]);
    assert_ne!(answer.status, 0, "{}", answer.stdout);
    assert!(answer.stderr.contains("link.raw"), "{}", answer.stderr);
}

#[test]
fn every_format_that_qemu_img_makes_can_be_a_disk() {
    let bench = Workbench::new();
    for (format, driver) in [
        ("qcow2", "qcow2"),
        ("qcow", "qcow"),
        ("qed", "qed"),
        ("vmdk", "vmdk"),
        ("vpc", "vpc"),
        ("vhdx", "vhd"),
        ("vdi", "vdi"),
        ("parallels", "ploop"),
    ] {
        bench.image(&["create", "-q", "-f", format, format, "8M"]);
        let disk = qcow2_disk(&bench, format).replace("type='qcow2'", &format!("type='{driver}'"));
        bench.define(&with_disk(format, &disk));
        bench.ok(&["start", format, "--paused"]);
        let nodes = block_nodes(&bench, format);
        assert!(nodes.iter().any(|node| node["drv"] == format), "{format}: {nodes:?}");
        bench.ok(&["destroy", format]);
    }
}
