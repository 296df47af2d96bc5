//! Directories of the host inside a guest: virtiofsd beside the hypervisor, in a cage of its own.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::kill::{killed_at, list_fits, points};
use crate::tenants::Shared;
use crate::workbench::{Answer, GUEST_SECONDS, Workbench, guest, kill, rom_domain, until};

/// System calls at which a starting command is killed: the socket by which two programs meet is made, connected to and
/// removed; and what the shim is told.
const KILL_AT: &[(&str, &[u32])] = &[
    ("bind", &[1, 2]),
    ("connect", &[2, 3, 4]),
    ("unlink,unlinkat", &[1, 2, 3]),
    ("renameat,renameat2,rename", &[2, 4]),
    ("clone,clone3,vfork", &[2, 3, 4]),
    ("sendmsg,sendto", &[1, 3, 6]),
];
/// The number of the user `nobody`.
const NOBODY: u32 = 65534;
/// Memory that a server can see.
const SHARED: &str = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>";
/// All that a server may do, in the numbers of `/proc`: owners (0, 1, 3), users (6, 7).
const CAPABILITIES: &str = "CapPrm:\t00000000000000cb";

fn share(more: &str, source: &str, tag: &str) -> String {
    format!(
        "<filesystem type='mount'><driver type='virtiofs' queue='1024'/>{more}{source}<target dir='{tag}'/></filesystem>"
    )
}

fn folder(path: &Path) -> String {
    format!("<source dir='{}'/>", path.display())
}

/// A guest that does nothing with its filesystems.
fn document(memory: &str, filesystems: &str) -> String {
    rom_domain("rom", "qemu")
        .replace("<vcpu>", &format!("{memory}<vcpu>"))
        .replace("<memballoon", &format!("{filesystems}<memballoon"))
}

/// A workbench with such a guest, which is shared this directory of it.
fn with_share(name: &str) -> Workbench {
    let bench = Workbench::new();
    let path = bench.path(name);
    std::fs::create_dir(&path).unwrap();
    bench.define(&document(SHARED, &share("", &folder(&path), "home")));
    bench
}

fn refused(answer: &Answer, words: &[&str]) {
    assert_ne!(answer.status, 0, "{}", answer.stdout);
    for word in words {
        assert!(answer.stderr.contains(word), "'{word}' is not in: {}", answer.stderr);
    }
}

/// A Linux guest that mounts these, with a disk that it does nothing with.
fn linux(bench: &Workbench, shares: &[(&str, &Path)], binary: &str) -> String {
    bench.image(&["create", "-q", "-f", "qcow2", "disk.qcow2", "4M"]);
    let tags: Vec<_> = shares.iter().map(|(tag, _)| *tag).collect();
    let filesystems: String = shares.iter().map(|(tag, path)| share(binary, &folder(path), tag)).collect();
    format!(
        "<domain type='qemu'><name>linux</name><memory unit='MiB'>256</memory>{SHARED}<os><type arch='x86_64' machine='q35'>\
         hvm</type><kernel>{kernel}</kernel><initrd>{initrd}</initrd><cmdline>console=ttyS0 quiet panic=-1 \
         hostler.share={tags}</cmdline></os><features><acpi/></features><devices><disk type='file' device='disk'>\
         <driver name='qemu' type='qcow2'/><source file='{disk}'/><target dev='vda' bus='virtio'/></disk>{filesystems}\
         <serial type='pty'/></devices></domain>",
        kernel = guest("vmlinuz").display(),
        initrd = guest("initrd.gz").display(),
        disk = bench.path("disk.qcow2").display(),
        tags = tags.join(","),
    )
}

/// What the guest has made is there as it made it, as far as it may.
fn assert_made(folder: &Path) {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(
        (read("from-guest").as_str(), read("below/other").as_str()),
        ("written by the guest\n", "owned\n")
    );
    let found = |name: &str| std::fs::symlink_metadata(folder.join(name)).unwrap();
    assert_eq!((found("owned").uid(), found("owned").gid()), (1234, 5678));
    assert_eq!(found("owned").permissions().mode() & 0o7777, 0o640);
    assert_eq!(found("from-guest").uid(), 0, "the guest's root owns what it makes");
    assert!(found("pipe").file_type().is_fifo() && found("link").file_type().is_symlink());
    assert!(!folder.join("device").exists());
}

#[test]
fn guest_reads_and_writes_directories_of_the_host() {
    let bench = Workbench::new();
    let (one, two) = (bench.path("one"), bench.path("two, three"));
    for (path, text) in [(&one, "first"), (&two, "second")] {
        std::fs::create_dir(path).unwrap();
        std::fs::write(path.join("from-host"), text).unwrap();
    }
    let binary = "<binary path='/usr/lib/qemu/virtiofsd' xattr='on'><cache mode='always'/><sandbox mode='namespace'/>\
                  <lock posix='on' flock='on'/><thread_pool size='2'/></binary>";
    bench.define(&linux(&bench, &[("home", &one), ("data", &two)], binary));
    bench.ok(&["start", "linux"]);
    let console =
        bench.ok(&["console", "linux", "--until", "hostler-guest: ready", "--timeout", GUEST_SECONDS]);
    for (tag, text) in [("home", "first"), ("data", "second")] {
        assert!(console.contains(&format!("share {tag} reads {text}")), "{console}");
        let made = format!("share {tag} made owner=1234:5678 mode=640 setuid=no device=no moved=yes");
        assert!(console.contains(&made), "{console}");
    }
    assert_made(&one);
    assert_made(&two);
    assert_eq!(bench.running("virtiofsd").len(), 2);

    refused(&bench.run(&["save", "linux"]), &["qemu.virtiofs-state", "'home'", "hint"]);
    refused(&bench.run(&["snapshot", "create", "linux", "whole"]), &["qemu.virtiofs-state"]);
    assert_eq!(bench.state_of("linux").as_deref(), Some("running"));
    bench.ok(&["snapshot", "create", "linux", "disks", "--disk-only"]);
    assert_eq!((bench.state_of("linux").as_deref(), bench.running("virtiofsd").len()), (Some("running"), 2));
    let events = bench.ok(&["events"]);
    assert!(!events.contains("suspended") && !events.contains("companion-ended"), "{events}");

    bench.ok(&["shutdown", "linux", &format!("--wait={GUEST_SECONDS}")]);
    assert!(bench.running("virtiofsd").is_empty() && bench.processes().is_empty());
}

#[test]
fn server_is_in_a_cage_of_its_own_and_ends_with_its_guest() {
    let bench = with_share("home");
    bench.ok(&["start", "rom"]);
    let record = bench.process_record("rom");
    let [server] = record.companions.as_slice() else { panic!("{record:?}") };
    assert_eq!((server.name.as_str(), server.template.as_str()), ("fs0", "virtiofsd"));
    let pid = server.process.pid;
    assert!(bench.ok(&["show", "rom"]).contains(&format!("fs0 (virtiofsd, pid {pid})")));
    assert_eq!(bench.running("virtiofsd"), [pid]);
    let (its, guests) = (server.cage.as_ref().unwrap(), record.cage.as_ref().unwrap());
    assert!(its.landlock_abi == guests.landlock_abi && !its.host_network);
    let process = PathBuf::from(format!("/proc/{pid}"));
    let status = std::fs::read_to_string(process.join("status")).unwrap();
    for line in [CAPABILITIES, "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2", "Groups:\t \n"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    if rustix::process::geteuid().is_root() {
        let user = std::fs::metadata(&process).unwrap().uid();
        assert!(user == its.uid && user >= 1 << 31, "{user}: nobody's on the host");
    }
    for namespace in ["net", "mnt", "pid", "user", "ipc"] {
        let of = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/{namespace}")).unwrap();
        let its = of(pid);
        assert!(its != of(std::process::id()) && its != of(record.program.pid), "{namespace}");
    }
    let mut seen: Vec<_> =
        std::fs::read_dir(process.join("root")).unwrap().flatten().map(|entry| entry.path()).collect();
    seen.sort();
    assert!(seen.is_empty(), "its root is the folder, which is empty: {seen:?}");
    // None of its descriptors is one of the host's directories: from one, all of the host would be reached.
    let open = std::fs::read_dir(process.join("fd")).unwrap().flatten();
    for target in open.filter_map(|fd| std::fs::read_link(fd.path()).ok()) {
        assert!(
            !target.is_dir() || target == Path::new("/") || target.starts_with("/proc"),
            "{}",
            target.display()
        );
    }
    assert!(!bench.run_dir("rom").path().join("link.sock").exists(), "nobody else can connect");
    bench.ok(&["destroy", "rom"]);
    assert!(bench.running("virtiofsd").is_empty() && !process.exists());
    assert!(!bench.ok(&["events"]).contains("companion-ended"));
}

#[test]
fn guest_goes_on_without_a_server_that_died_and_that_is_said() {
    let bench = with_share("home");
    bench.ok(&["start", "rom"]);
    kill(bench.process_record("rom").companions[0].process.pid);
    until("the event", || bench.ok(&["events"]).contains("companion-ended"));
    let events = bench.ok(&["events"]);
    assert!(events.contains("companion=fs0") && events.contains("runs on without it"), "{events}");
    let log = std::fs::read_to_string(bench.run_dir("rom").log_path()).unwrap();
    assert!(log.contains("(virtiofsd) ended before its hypervisor (killed by signal 9)"), "{log}");
    assert!(bench.ok(&["show", "rom"]).contains("fs0 (virtiofsd, ended"));
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"));
    bench.ok(&["console", "rom", "--until", "hostler-rom: tick 0002", "--timeout", "60"]);
    bench.ok(&["destroy", "rom"]);
    bench.ok(&["start", "rom"]);
    assert_eq!(bench.running("virtiofsd").len(), 1);
}

#[test]
fn start_killed_at_any_step_leaves_no_server_behind() {
    let bench = with_share("home");
    let (mut interrupted, list) = (0, points(KILL_AT));
    for (calls, count) in &list {
        interrupted += u32::from(!killed_at(&bench, &["start", "rom"], calls, *count));
        let running = bench.state_of("rom").as_deref() == Some("running");
        if running {
            assert_eq!(bench.running("virtiofsd").len(), 1, "{calls} {count}: found again, with its server");
        }
        bench.ok(&[if running { "destroy" } else { "start" }, "rom"]);
        if !running {
            bench.ok(&["destroy", "rom"]);
        }
        bench.nothing_runs(&format!("{calls} {count}"));
        assert!(bench.running("virtiofsd").is_empty(), "{calls} {count}");
    }
    list_fits(interrupted, list.len());
}

#[test]
fn killed_shim_leaves_no_server_that_a_destroy_does_not_end() {
    let bench = with_share("home");
    bench.ok(&["start", "rom"]);
    kill(bench.process_record("rom").shim.pid);
    assert_eq!(bench.state_of("rom").as_deref(), Some("quarantined"));
    bench.ok(&["destroy", "rom"]);
    assert!(bench.running("virtiofsd").is_empty() && bench.processes().is_empty());
    bench.ok(&["start", "rom"]);
}

#[test]
fn guest_is_not_moved_and_does_not_stop_for_it() {
    let (bench, there) = (with_share("home"), Workbench::new());
    bench.ok(&["start", "rom"]);
    let socket = format!("unix:{}", there.path("s").display());
    let receive = there
        .command(&["receive", &socket, "--timeout", "20"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut receive = receive.unwrap();
    until("somebody waits", || there.path("s").exists());
    refused(&bench.run(&["migrate", "rom", "--to", &socket]), &["qemu.virtiofs-state", "moved", "hint"]);
    receive.wait().unwrap();
    assert_eq!((bench.state_of("rom").as_deref(), bench.running("virtiofsd").len()), (Some("running"), 1));
    assert!(!bench.ok(&["events"]).contains("suspended"));
    assert!(there.processes().is_empty());
}

#[test]
fn folders_that_cannot_be_shared_are_refused_before_anything_starts() {
    let bench = Workbench::new();
    let home = bench.path("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(bench.path("file"), "").unwrap();
    std::os::unix::fs::symlink(&home, bench.path("link")).unwrap();
    for (path, words) in [
        (bench.path("gone"), ["file.missing", "make the directory"]),
        (bench.path("file"), ["file.io", "must be a directory"]),
        (bench.path("link"), ["file.link", "name the file itself"]),
        (bench.state_root(), ["filesystem.state-directory", "neither above nor below"]),
        (bench.path("."), ["filesystem.state-directory", "neither above nor below"]),
    ] {
        bench.define(&document(SHARED, &share("", &folder(&path), "home")));
        refused(&bench.run(&["start", "rom"]), &words);
        assert!(bench.running("virtiofsd").is_empty() && bench.processes().is_empty(), "{}", path.display());
        assert_eq!(bench.state_of("rom").as_deref(), Some("off"));
    }
}

#[test]
fn what_no_server_does_is_refused_with_place_and_remedy() {
    let bench = Workbench::new();
    let home = folder(&bench.path("home"));
    for (memory, filesystem, words) in [
        (SHARED, share("<readonly/>", &home, "home"), ["qemu.filesystem-virtiofs", "read-only"]),
        ("", share("", &home, "home"), ["qemu.filesystem-virtiofs", "memfd"]),
        (SHARED, share("", &home, &"t".repeat(37)), ["qemu.filesystem-virtiofs", "36 bytes"]),
        (SHARED, share("", "", "home"), ["qemu.filesystem-virtiofs", "source dir"]),
    ] {
        let file = bench.write("refused.xml", &document(memory, &filesystem));
        refused(&bench.run(&["define", file.to_str().unwrap()]), &words);
    }
    for (filesystem, word) in [
        (share("", "<source socket='/run/somebody'/>", "home"), "read and change all of the guest's memory"),
        (share("<binary path='/opt/virtiofsd'/>", &home, "home"), "remove 'path'"),
    ] {
        bench.define(&document(SHARED, &filesystem));
        refused(&bench.run(&["start", "rom"]), &["qemu.not-offered", word, "hint"]);
    }
}

#[test]
fn server_that_is_not_installed_is_named_with_its_package() {
    let mut bench = with_share("home");
    let templates = bench.path("templates");
    std::fs::create_dir(&templates).unwrap();
    let shipped = include_str!("../../../../host/launch/templates/virtiofsd.json");
    std::fs::write(templates.join("virtiofsd.json"), shipped.replace("/usr/lib/qemu/virtiofsd", "/opt/gone"))
        .unwrap();
    bench.set("HOSTLER_TEMPLATE_DIR", templates.into_os_string());
    refused(
        &bench.run(&["start", "rom"]),
        &["launch.program-missing", "/opt/gone", "apt install qemu-system-common"],
    );
    assert!(bench.processes().is_empty());
}

#[test]
fn tenant_shares_what_lies_beneath_its_roots_and_nothing_else() {
    let shared = Shared::new(&["blue", "red"]);
    let rom = shared.at("blue", "rom.bin");
    std::fs::copy(guest("rom.bin"), &rom).unwrap();
    for (tenant, good) in [("blue", true), ("red", false)] {
        let home = shared.at(tenant, "home");
        std::fs::create_dir(&home).unwrap();
        let xml = document(SHARED, &share("", &folder(&home), "home"))
            .replace(guest("rom.bin").to_str().unwrap(), rom.to_str().unwrap());
        let file = shared.0.write("tenant.xml", &xml);
        let defined = shared.run("blue", &["define", file.to_str().unwrap()]);
        let started = if defined.status == 0 { shared.run("blue", &["start", "rom"]) } else { defined };
        if good {
            assert_eq!(started.status, 0, "{}", started.stderr);
            assert_eq!(shared.run("blue", &["destroy", "rom"]).status, 0);
        } else {
            refused(&started, &["denied", "beneath none of the directories"]);
        }
    }
}

#[test]
fn command_lines_are_shown_as_they_would_run() {
    let bench = with_share("home");
    let shown = bench.ok(&["native", "rom"]);
    for part in ["vhost-user-fs-pci", "\"queue-size\":1024", "\"tag\":\"home\"", "id=chr-vu-fs0"] {
        assert!(shown.contains(part), "'{part}' is not in: {shown}");
    }
    let server = format!("virtiofsd --fd=fs0 -o source={}", bench.path("home").display());
    assert!(shown.contains(&server), "'{server}' is not in: {shown}");
    assert_eq!(bench.json(&["native", "rom"])["companions"][0]["name"], "fs0");
    assert!(bench.running("virtiofsd").is_empty());
}

#[test]
fn filesystem_is_not_plugged_into_a_guest_that_runs() {
    let bench = with_share("home");
    bench.ok(&["start", "rom"]);
    let element = bench.write("more.xml", &share("", &folder(&bench.path("home")), "more"));
    let attached = bench.run(&["attach", "rom", element.to_str().unwrap(), "--live"]);
    refused(
        &attached,
        &["<filesystem> is a device that comes and goes with its guest only", "change the stored definition"],
    );
    let detached = bench.run(&["detach", "rom", "fs0", "--live"]);
    refused(&detached, &["hint"]);
    assert_eq!(bench.running("virtiofsd").len(), 1);
}

/// Somebody who is not root, with a workbench as its own. What it runs is ended when this is dropped.
struct Nobody<'a>(&'a Workbench);

impl Nobody<'_> {
    fn run(&self, arguments: &[&str]) -> Answer {
        let command = self.0.command(arguments);
        let mut nobody = Command::new("setpriv");
        nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(command.get_program());
        nobody.args(command.get_args()).env("HOSTLER_CACHE_DIR", self.0.path("cache")).current_dir("/");
        Answer::of(nobody.output().unwrap())
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let answer = self.run(arguments);
        assert_eq!(answer.status, 0, "{arguments:?}: {}", answer.stderr);
        answer.stdout
    }
}

impl Drop for Nobody<'_> {
    fn drop(&mut self) {
        self.run(&["destroy", "linux"]);
    }
}

/// One who is not root gives its guest one user: itself, as the guest's root.
#[test]
fn unprivileged_owner_shares_as_itself() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can run a command as somebody else");
        return;
    }
    let bench = Workbench::new();
    let home = bench.path("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("from-host"), "first").unwrap();
    let document = bench.write("linux.xml", &linux(&bench, &[("home", &home)], ""));
    for path in [&home, &bench.path("disk.qcow2"), &bench.path(".")] {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let nobody = Nobody(&bench);
    nobody.ok(&["define", document.to_str().unwrap()]);
    nobody.ok(&["start", "linux"]);
    let until = ["console", "linux", "--until", "hostler-guest: ready", "--timeout", GUEST_SECONDS];
    let console = nobody.ok(&until);
    assert!(console.contains("share home reads first"), "{console}");
    let made = std::fs::metadata(home.join("from-guest")).unwrap();
    assert_eq!((made.uid(), made.gid()), (NOBODY, NOBODY), "{console}");
    let [server] = bench.running("virtiofsd")[..] else { panic!("it has one server") };
    assert_eq!(std::fs::metadata(format!("/proc/{server}")).unwrap().uid(), NOBODY);
    assert!(nobody.ok(&["show", "linux"]).contains(&format!("fs0 (virtiofsd, pid {server})")));
    nobody.ok(&["destroy", "linux"]);
    assert!(bench.running("virtiofsd").is_empty());
}

#[test]
fn server_works_without_a_cage_too() {
    let bench = with_share("home");
    bench.ok(&["--cage=off", "start", "rom"]);
    assert_eq!(bench.running("virtiofsd").len(), 1);
    bench.ok(&["destroy", "rom"]);
    assert!(bench.running("virtiofsd").is_empty());
}
