//! Work on the disks of a real guest, asked for by clients of libvirt.

use crate::daemon::{Daemon, clients_are_here};
use crate::storage::{qcow2_disk, with_disk};
use crate::workbench::Workbench;

/// A guest that runs on an image, and keeps the moments that were asked for in nobody's books but the test's.
fn start<'a>(bench: &'a Workbench, moments: &[&str]) -> Daemon<'a> {
    let daemon = Daemon::start(bench);
    bench.image(&["create", "-q", "-f", "qcow2", "base.qcow2", "16M"]);
    let file = bench.write("rom.xml", &with_disk("rom", &qcow2_disk(bench, "base.qcow2")));
    daemon.ok(&["define", file.to_str().unwrap()]);
    daemon.ok(&["start", "rom"]);
    for moment in moments {
        daemon.ok(&["snapshot-create-as", "rom", moment, "--disk-only", "--no-metadata"]);
    }
    assert_eq!(daemon.ok(&["snapshot-list", "rom", "--name"]), "");
    daemon
}

/// The image that the guest writes to.
fn active(daemon: &Daemon<'_>) -> String {
    let list = daemon.ok(&["domblklist", "rom"]);
    let line =
        list.lines().find(|line| line.trim_start().starts_with("vda")).unwrap_or_else(|| panic!("{list}"));
    line.split_whitespace().nth(1).unwrap().to_owned()
}

#[test]
fn layers_are_committed_and_pulled_and_clients_see_it_through() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = start(&bench, &["one", "two"]);
    let base = bench.path("base.qcow2").display().to_string();
    let two = active(&daemon);
    assert_ne!(two, base);
    assert!(daemon.ok(&["blockjob", "rom", "vda", "--info"]).contains("No current block job"));

    // The layer in the middle goes down, and the guest keeps its own.
    daemon.ok(&["blockcommit", "rom", "vda", "--top", "vda[1]", "--shallow", "--wait"]);
    assert_eq!(active(&daemon), two);
    let told = daemon.ok(&["blockcommit", "rom", &two, "--active", "--pivot", "--wait", "--verbose"]);
    assert!(told.contains("Successfully pivoted"), "{told}");
    assert_eq!(active(&daemon), base);

    daemon.ok(&["snapshot-create-as", "rom", "three", "--disk-only", "--no-metadata"]);
    let three = active(&daemon);
    let told = daemon.ok(&["blockpull", "rom", "vda", "--wait", "--verbose"]);
    assert!(told.contains("Pull complete"), "{told}");
    assert_eq!(active(&daemon), three);
    let chain = bench.json(&["show", "rom"])["disks"][0]["layers"].clone();
    assert_eq!(chain.as_array().map(Vec::len), Some(1), "{chain}");
    assert_eq!(daemon.virsh(&["blockpull", "rom", "vda"]).status, 1);

    daemon.ok(&["blockresize", "rom", "vda", "32M"]);
    assert!(daemon.virsh(&["blockresize", "rom", "vda", "16M"]).stderr.contains("less than"));
    assert_eq!(bench.json(&["show", "rom"])["disks"][0]["layers"][0]["virtual_size"], 32 << 20);
}

#[test]
fn commit_of_the_active_layer_is_ready_until_a_client_ends_it() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = start(&bench, &["one"]);
    let one = active(&daemon);
    let script = "import libvirt
libvirt.virEventRegisterDefaultImpl()
connection.close()
connection = libvirt.open(sys.argv[1])
domain = connection.lookupByName('rom')
told = []
def tell(connection, domain, disk, kind, status, wanted):
    told.append((wanted, disk.rsplit('/', 1)[-1], kind, status))
for wanted in (8, 16):
    connection.domainEventRegisterAny(domain, wanted, tell, wanted)
def until(status):
    while len([one for one in told if one[3] == status]) < 2:
        libvirt.virEventRunDefaultImpl()
    print(*sorted(one for one in told if one[3] == status))
    told.clear()
def refused(call, *arguments):
    try:
        call(*arguments)
    except libvirt.libvirtError as error:
        return error.get_error_code()
domain.blockCommit('vda', None, None, 7, 4 | 8)
print(domain.blockJobInfo('vda', 0)['bandwidth'])
until(3)
info = domain.blockJobInfo('vda', 0)
print(info['type'], info['cur'] == info['end'])
print(refused(domain.blockCommit, 'vda', None, None, 0, 4), refused(domain.blockPull, 'vda'))
domain.blockJobAbort('vda')
until(2)
print(domain.blockJobInfo('vda', 0))
domain.blockCommit('vda', None, None, 0, 4)
until(3)
domain.blockJobAbort('vda', 2)
until(0)
print(refused(domain.blockJobAbort, 'vda'), refused(domain.blockPull, 'vdz'))
print(refused(domain.blockCommit, 'vda', None, None, 0, 4 | 2), refused(domain.blockRebase, 'vda', '/nowhere/x', 0, 4))
";
    let name = one.rsplit('/').next().unwrap();
    let news = |status: i32| format!("(8, '{name}', 4, {status}) (16, 'vda', 4, {status})");
    let (ready, aborted, done) = (news(3), news(2), news(0));
    let expected =
        ["7", &ready, "4 True", "83 83", &aborted, "{}", &ready, &done, "8 8", "74 8"].map(str::to_owned);
    let told = daemon.python(script);
    assert_eq!(told.lines().collect::<Vec<_>>(), expected, "{told}");
    assert_eq!(active(&daemon), bench.path("base.qcow2").display().to_string());
    daemon.ok(&["destroy", "rom"]);
    assert!(daemon.virsh(&["blockjob", "rom", "vda", "--info"]).stderr.contains("domain is not running"));
}

#[test]
fn disk_is_copied_and_clients_say_how_that_ends() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = start(&bench, &["one"]);
    let one = active(&daemon);
    let place = |name: &str| bench.path(name).display().to_string();
    daemon.ok(&["blockcopy", "rom", "vda", &place("kept.qcow2"), "--wait", "--finish"]);
    assert_eq!(active(&daemon), one);
    let image = bench.json(&["image", "inspect", &place("kept.qcow2"), "--format", "qcow2"]);
    assert!(!image.to_string().contains("base.qcow2"), "{image}");
    daemon.ok(&["blockcopy", "rom", "vda", &place("raw"), "--format", "raw", "--bandwidth", "1"]);
    let info = || daemon.ok(&["blockjob", "rom", "vda", "--info", "--raw"]);
    assert!(info().contains("type=Block Copy") && info().contains("bandwidth=1"), "{}", info());
    daemon.ok(&["blockjob", "rom", "vda", "--bandwidth", "0"]);
    let refused = daemon.virsh(&["blockcopy", "rom", "vda", &place("second.qcow2")]);
    assert_eq!(refused.status, 1, "{}", refused.stdout);
    // It comes to be ready, now that nothing holds it up, and stays so until it is ended.
    let number = |name: &str| {
        let info = info();
        let line =
            info.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap_or_else(|| panic!("{info}"));
        line.parse::<u64>().unwrap()
    };
    while number("cur=") != number("end=") {}
    daemon.ok(&["blockjob", "rom", "vda", "--pivot"]);
    assert_eq!(active(&daemon), place("raw"));
    let told = daemon.ok(&[
        "blockcopy",
        "rom",
        "vda",
        &place("last.qcow2"),
        "--format",
        "qcow2",
        "--wait",
        "--pivot",
        "--verbose",
    ]);
    assert!(told.contains("Successfully pivoted"), "{told}");
    assert_eq!(active(&daemon), place("last.qcow2"));
    let stored = daemon.ok(&["dumpxml", "--inactive", "rom"]);
    assert!(stored.contains("last.qcow2"), "{stored}");
    daemon.ok(&["destroy", "rom"]);
    daemon.ok(&["start", "rom"]);
}
