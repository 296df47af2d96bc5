//! Devices of a running guest: they come, go and change, and document and hypervisor agree, whatever is killed.

use std::path::PathBuf;

use hostler_launch::ShimClient;
use serde_json::Value;

use crate::kill::{killed_at, list_fits, points};
use crate::workbench::{GUEST_SECONDS, Workbench, guest, rom_domain};

/// System calls at which a command that changes devices is killed: those by which anything of it becomes durable, and
/// those by which it speaks to the hypervisor.
const KILL_AT: &[(&str, &[u32])] = &[
    ("renameat,renameat2,rename", &[1, 2, 3, 4, 5]),
    ("fsync,fdatasync", &[1, 3, 5, 7]),
    ("unlink,unlinkat", &[1, 2]),
    ("sendmsg,sendto", &[2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 18, 20, 24, 28]),
];
/// As [`KILL_AT`], for a command that waits for a guest: fewer, for each costs its patience.
const KILL_DETACH_AT: &[(&str, &[u32])] =
    &[("renameat,renameat2,rename", &[2, 3]), ("sendmsg,sendto", &[8, 10, 12, 14])];

/// A Linux guest that says what comes and goes.
pub(crate) fn watching(machine: &str, devices: &str) -> Workbench {
    let bench = Workbench::new();
    bench.image(&["create", "-q", "-f", "raw", "first.raw", "8M"]);
    let xml = format!(
        "<domain type='qemu'><name>linux</name><memory unit='MiB'>256</memory><os><type arch='x86_64' machine='{machine}'>\
         hvm</type><kernel>{kernel}</kernel><initrd>{initrd}</initrd><cmdline>console=ttyS0 quiet panic=-1 \
         hostler.watch</cmdline></os><features><acpi/></features><on_poweroff>destroy</on_poweroff><devices>\
         <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{first}'/>\
         <target dev='vda' bus='virtio'/></disk>{devices}<interface type='user'><mac address='52:54:00:00:00:01'/>\
         <model type='virtio'/></interface><serial type='pty'/></devices></domain>",
        kernel = guest("vmlinuz").display(),
        initrd = guest("initrd.gz").display(),
        first = bench.path("first.raw").display(),
    );
    bench.define(&xml);
    bench.ok(&["start", "linux"]);
    says(&bench, "hostler-guest: ready");
    bench
}

fn says(bench: &Workbench, text: &str) {
    bench.ok(&["console", "linux", "--until", text, "--timeout", GUEST_SECONDS]);
}

/// A file with the element of a disk on a new qcow2 image of 16 MiB.
fn disk(bench: &Workbench, target: &str, bus: &str) -> PathBuf {
    let image = bench.path(&format!("{target}.qcow2"));
    if !image.exists() {
        bench.image(&["create", "-q", "-f", "qcow2", &format!("{target}.qcow2"), "16M"]);
    }
    let element = format!(
        "<disk type='file' device='disk'>\n  <driver name='qemu' type='qcow2'/>\n  <source file='{}'/>\n  \
         <target dev='{target}' bus='{bus}'/>\n  <serial>HOT-{target}</serial>\n</disk>\n",
        image.display()
    );
    bench.write(&format!("{target}.xml"), &element)
}

fn attach(bench: &Workbench, domain: &str, element: &std::path::Path) -> Value {
    bench.json(&["attach", domain, element.to_str().unwrap()])
}

/// What the hypervisor answers.
pub(crate) fn asked(bench: &Workbench, domain: &str, command: &str, arguments: Option<&Value>) -> Value {
    let client = ShimClient::connect(&bench.run_dir(domain)).unwrap();
    client.execute(command, arguments, &[], std::time::Duration::from_secs(30)).unwrap()
}

pub(crate) fn devices(bench: &Workbench, domain: &str) -> Vec<String> {
    let path = serde_json::json!({"path": "/machine/peripheral"});
    let found = asked(bench, domain, "qom-list", Some(&path));
    found.as_array().unwrap().iter().map(|child| child["name"].as_str().unwrap().to_owned()).collect()
}

fn nodes(bench: &Workbench, domain: &str) -> Vec<String> {
    let found = asked(bench, domain, "query-named-block-nodes", None);
    let mut names: Vec<_> =
        found.as_array().unwrap().iter().map(|node| node["node-name"].as_str().unwrap().to_owned()).collect();
    // Those inside another have a new name each time.
    names.retain(|name| !name.starts_with('#'));
    names.sort();
    names
}

fn sets(bench: &Workbench, domain: &str) -> usize {
    asked(bench, domain, "query-fdsets", None).as_array().unwrap().len()
}

#[test]
fn disk_is_seen_and_written_by_the_guest_and_its_image_has_the_data_when_it_is_gone() {
    let bench = watching("pc", "");
    let before = (nodes(&bench, "linux"), sets(&bench, "linux"));
    let element = disk(&bench, "vdb", "virtio");
    let attached = attach(&bench, "linux", &element);
    assert_eq!(
        (attached["live"].as_bool(), attached["stored"].as_bool()),
        (Some(true), Some(true)),
        "{attached}"
    );
    says(&bench, "plugged disk vdb sectors=32768 serial=HOT-vdb");
    let live = bench.ok(&["xml", "linux"]);
    let address =
        |xml: &str| xml.split("HOT-vdb").nth(1).unwrap().split("<address").nth(1).unwrap()[..70].to_owned();
    assert_eq!(address(&live), address(&bench.ok(&["xml", "linux", "--stored"])), "the same place in both");
    let refused = bench.run(&["attach", "linux", element.to_str().unwrap()]);
    assert!(refused.stderr.contains("xml.duplicate") && refused.stderr.contains("vdb"), "{}", refused.stderr);

    let detached = bench.json(&["detach", "linux", "vdb"]);
    assert_eq!(
        (detached["live"].as_bool(), detached["leaving"].as_bool()),
        (Some(true), Some(false)),
        "{detached}"
    );
    says(&bench, "unplugged vdb");
    assert!(
        !bench.ok(&["xml", "linux"]).contains("vdb")
            && !bench.ok(&["xml", "linux", "--stored"]).contains("vdb")
    );
    assert_eq!((nodes(&bench, "linux"), sets(&bench, "linux")), before, "nothing is left of it");
    bench.image(&["convert", "-f", "qcow2", "-O", "raw", "vdb.qcow2", "vdb.raw"]);
    let content = std::fs::read(bench.path("vdb.raw")).unwrap();
    assert!(content.starts_with(b"written by the guest\n"), "{:?}", &content[..32]);
    // A disk that was there from the start goes the same way.
    bench.ok(&["detach", "linux", "vda"]);
    says(&bench, "unplugged vda");
    assert_eq!(nodes(&bench, "linux"), Vec::<String>::new());
}

#[test]
fn interfaces_keep_their_names_when_another_is_gone() {
    let bench = watching("pc", "");
    let interface = |last: u32| {
        let element = format!(
            "<interface type='user'><mac address='52:54:00:00:00:0{last}'/><model type='virtio'/></interface>"
        );
        bench.write(&format!("nic{last}.xml"), &element)
    };
    attach(&bench, "linux", &interface(2));
    says(&bench, "plugged net eth1 mac=52:54:00:00:00:02");
    bench.ok(&["detach", "linux", "52:54:00:00:00:01"]);
    says(&bench, "unplugged eth0");
    attach(&bench, "linux", &interface(3));
    let mut found = devices(&bench, "linux");
    found.retain(|name| name.starts_with("net"));
    found.sort();
    assert_eq!(found, ["net0", "net1"], "the second keeps its name, the third has the one that is free");
    bench.ok(&["detach", "linux", "52:54:00:00:00:02"]);
    bench.ok(&["detach", "linux", "52:54:00:00:00:03"]);
    assert!(!devices(&bench, "linux").iter().any(|name| name.starts_with("net")));
    assert!(!bench.ok(&["xml", "linux", "--stored"]).contains("<interface"));
}

#[test]
fn medium_is_put_in_read_by_the_guest_and_taken_out() {
    let drive = "<disk type='file' device='cdrom'><target dev='hdc' bus='ide'/><readonly/></disk>";
    let bench = watching("pc", drive);
    for name in ["ONE", "TWO"] {
        let mut medium = format!("MEDIUM-{name}").into_bytes();
        medium.resize(1 << 20, 0);
        std::fs::write(bench.path(name), medium).unwrap();
    }
    let empty = (nodes(&bench, "linux"), sets(&bench, "linux"));
    bench.ok(&["media", "linux", "hdc", "insert", "ONE"]);
    says(&bench, "medium sr0 MEDIUM-ONE");
    let missing = bench.run(&["media", "linux", "hdc", "insert", "THREE"]);
    assert!(missing.stderr.contains("image.missing"), "{}", missing.stderr);
    assert!(bench.ok(&["xml", "linux"]).contains("/ONE"), "what was in it is in it");
    bench.ok(&["media", "linux", "hdc", "insert", "TWO", "--live"]);
    says(&bench, "medium sr0 MEDIUM-TWO");
    assert!(bench.ok(&["xml", "linux", "--stored"]).contains("/ONE"), "only the guest that runs was changed");
    bench.ok(&["media", "linux", "hdc", "eject"]);
    assert_eq!((nodes(&bench, "linux"), sets(&bench, "linux")), empty);
    let refused = bench.run(&["media", "linux", "vda", "eject"]);
    assert!(refused.stderr.contains("device.no-drive"), "{}", refused.stderr);
}

/// The ROM guest runs no operating system, and never lets go of anything.
fn rom() -> Workbench {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu").replace("q35", "pc"));
    bench
}

#[test]
fn device_that_its_guest_keeps_is_leaving_and_gone_once_the_guest_lets_go() {
    let bench = rom();
    bench.ok(&["start", "rom"]);
    attach(&bench, "rom", &disk(&bench, "vdb", "virtio"));
    let asked = bench.json(&["detach", "rom", "vdb"]);
    assert_eq!((asked["leaving"].as_bool(), asked["live"].as_bool()), (Some(true), Some(true)), "{asked}");
    assert!(bench.ok(&["xml", "rom"]).contains("vdb"), "the guest has it still");
    assert!(!bench.ok(&["xml", "rom", "--stored"]).contains("vdb"));
    let again = bench.run(&["attach", "rom", disk(&bench, "vdb", "virtio").to_str().unwrap(), "--live"]);
    assert!(again.stderr.contains("xml.duplicate"), "{}", again.stderr);
    // A reset takes out what was asked for; the next command finds that it is gone.
    bench.ok(&["reset", "rom"]);
    forgotten(&bench);
    assert_eq!(nodes(&bench, "rom"), Vec::<String>::new());
    attach(&bench, "rom", &disk(&bench, "vdb", "virtio"));
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"));
}

/// The disk is gone, and an owner has seen it: QEMU lists a device no more a moment before it lets go of its image.
fn forgotten(bench: &Workbench) {
    wait_gone(bench, "virtio-disk1");
    while bench.ok(&["xml", "rom"]).contains("'vdb'") {
        bench.run(&["destroy", "nobody"]);
    }
}

fn wait_gone(bench: &Workbench, id: &str) {
    let client = ShimClient::connect(&bench.run_dir("rom")).unwrap();
    let (mut cursor, names) = (0, ["DEVICE_DELETED".to_owned()]);
    while devices(bench, "rom").iter().any(|device| device == id) {
        let event = client.wait_event(&names, cursor, std::time::Duration::from_secs(60)).unwrap();
        cursor = event.expect("the device goes").cursor;
    }
}

#[test]
fn what_cannot_be_plugged_is_refused_with_the_reason_and_changes_nothing() {
    let bench = rom();
    bench.ok(&["start", "rom"]);
    let before = (
        bench.ok(&["xml", "rom"]),
        bench.ok(&["xml", "rom", "--stored"]),
        nodes(&bench, "rom"),
        sets(&bench, "rom"),
    );
    let refused = |element: &str, code: &str| {
        let file = bench.write("element.xml", element);
        let answer = bench.run(&["attach", "rom", file.to_str().unwrap()]);
        assert!(answer.status != 0 && answer.stderr.contains(code), "{code}: {}", answer.stderr);
    };
    refused("<video/>", "qemu.hotplug");
    refused("<disk", "xml.syntax");
    refused("<domain type='kvm'/>", "device.kind");
    refused(
        "<disk type='file'><source file='/nonexistent'/><target dev='vdb' bus='virtio'/></disk>",
        "image.",
    );
    let sata = std::fs::read_to_string(disk(&bench, "sdb", "sata")).unwrap();
    refused(&sata, "qemu.");
    refused(
        "<interface type='direct'><source dev='eth0'/><model type='virtio'/></interface>",
        "qemu.interface-type",
    );
    refused("<interface type='bridge'><source bridge='no-such-bridge'/></interface>", "network.no-bridge");
    let other = bench.run(&["detach", "rom", "vdx"]);
    assert!(other.stderr.contains("device.not-found"), "{}", other.stderr);
    assert_eq!(
        (
            bench.ok(&["xml", "rom"]),
            bench.ok(&["xml", "rom", "--stored"]),
            nodes(&bench, "rom"),
            sets(&bench, "rom")
        ),
        before
    );
    bench.ok(&["destroy", "rom"]);
    let wrong = bench.write("element.xml", "<domain type='kvm'/>");
    let wrong = bench.run(&["attach", "rom", wrong.to_str().unwrap()]);
    assert!(wrong.stderr.contains("an element 'domain' is no device"), "{}", wrong.stderr);
    let off = bench.run(&["attach", "rom", disk(&bench, "vdb", "virtio").to_str().unwrap(), "--live"]);
    assert!(off.stderr.contains("domain.off") && off.stderr.contains("--config"), "{}", off.stderr);
    let stored = attach(&bench, "rom", &disk(&bench, "vdb", "virtio"));
    assert_eq!((stored["live"].as_bool(), stored["stored"].as_bool()), (Some(false), Some(true)), "{stored}");
    bench.ok(&["start", "rom"]);
    assert!(devices(&bench, "rom").contains(&"virtio-disk1".to_owned()));
}

#[test]
fn image_of_another_domain_is_refused_and_nothing_is_left_of_it() {
    let bench = rom();
    let element = disk(&bench, "vdb", "virtio");
    bench.ok(&["start", "rom"]);
    attach(&bench, "rom", &element);
    bench.define(&rom_domain("other", "qemu"));
    bench.ok(&["start", "other"]);
    let before = (nodes(&bench, "other"), sets(&bench, "other"));
    let refused = bench.run(&["attach", "other", element.to_str().unwrap()]);
    assert!(refused.stderr.contains("qemu.image-in-use"), "{}", refused.stderr);
    assert_eq!((nodes(&bench, "other"), sets(&bench, "other")), before);
    assert!(!bench.ok(&["xml", "other", "--stored"]).contains("vdb"));
}

/// What the document says, and what the hypervisor has.
fn agree(bench: &Workbench, when: &str) -> bool {
    let written = bench.ok(&["xml", "rom"]).contains("'vdb'");
    let plugged = devices(bench, "rom").contains(&"virtio-disk1".to_owned());
    assert_eq!(written, plugged, "{when}: written, plugged");
    assert_eq!(nodes(bench, "rom").is_empty(), !plugged, "{when}: {:?}", nodes(bench, "rom"));
    assert_eq!(bench.ok(&["xml", "rom", "--stored"]).contains("'vdb'"), written, "{when}: stored");
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"), "{when}");
    plugged
}

#[test]
fn attach_killed_at_any_step_is_done_or_undone() {
    let bench = rom();
    let element = disk(&bench, "vdb", "virtio");
    let (mut interrupted, mut outcomes) = (0, [0, 0]);
    let points = points(KILL_AT);
    for (calls, count) in points.iter().copied() {
        bench.ok(&["start", "rom"]);
        interrupted +=
            u32::from(!killed_at(&bench, &["attach", "rom", element.to_str().unwrap()], calls, count));
        // The next owner settles what was left.
        bench.run(&["destroy", "nobody"]);
        let plugged = agree(&bench, &format!("{calls} {count}"));
        outcomes[usize::from(plugged)] += 1;
        bench.ok(&["destroy", "rom"]);
        if plugged {
            bench.ok(&["detach", "rom", "vdb"]);
        }
    }
    list_fits(interrupted, points.len());
    assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
}

#[test]
fn detach_killed_at_any_step_leaves_document_and_hypervisor_agreed() {
    let bench = rom();
    let element = disk(&bench, "vdb", "virtio");
    let mut interrupted = 0;
    let points = points(KILL_DETACH_AT);
    for (calls, count) in points.iter().copied() {
        bench.ok(&["start", "rom"]);
        attach(&bench, "rom", &element);
        // A guest without an operating system lets go when it is reset, before or after the command is killed.
        interrupted += u32::from(!killed_at(&bench, &["detach", "rom", "vdb", "--live"], calls, count));
        let when = format!("{calls} {count}");
        bench.run(&["destroy", "nobody"]);
        assert!(bench.ok(&["xml", "rom"]).contains("'vdb'"), "{when}: the guest has it still");
        assert!(!nodes(&bench, "rom").is_empty(), "{when}");
        bench.ok(&["reset", "rom"]);
        if !asked_for(&bench) {
            bench.run(&["detach", "rom", "vdb", "--live"]);
            bench.ok(&["reset", "rom"]);
        }
        forgotten(&bench);
        assert_eq!(nodes(&bench, "rom"), Vec::<String>::new(), "{when}");
        bench.ok(&["destroy", "rom"]);
        bench.ok(&["detach", "rom", "vdb"]);
    }
    list_fits(interrupted, points.len());
}

/// Whether the guest was asked to let go of the disk before it was reset: then it is going, or gone.
fn asked_for(bench: &Workbench) -> bool {
    let events = bench.ok(&["-o", "json", "events"]);
    let last = |kind: &str| events.rfind(&format!("\"{kind}\""));
    last("device-removal-asked") > last("device-attached")
        || !devices(bench, "rom").iter().any(|id| id == "virtio-disk1")
}
