//! Disks without a guest: a driver for a second program, from its document to a client that reads what is in an image.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::workbench::Workbench;

/// A domain that serves these disks.
fn daemon(name: &str, disks: &str) -> String {
    format!(
        "<domain type='storage-daemon'><name>{name}</name><memory unit='MiB'>1</memory><os><type>hvm</type></os>\
         <devices>{disks}</devices></domain>"
    )
}

fn disk(path: &Path, format: &str, target: &str, more: &str) -> String {
    format!(
        "<disk type='file'><driver type='{format}'/><source file='{}'/><target dev='{target}'/>{more}</disk>",
        path.display()
    )
}

/// A qcow2 image over a raw one that only their owner may open: the letter `x`, and `y` in the second cluster.
fn chain(bench: &Workbench) -> PathBuf {
    let base = bench.write("base.raw", &"x".repeat(1 << 20));
    bench.image(&["create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", "top.qcow2"]);
    let top = bench.path("top.qcow2");
    let written = Command::new("qemu-io").args(["-c", "write -P 121 64k 64k"]).arg(&top).output().unwrap();
    assert!(written.status.success(), "{written:?}");
    for path in [&base, &top] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    top
}

/// What a real client says to this command.
fn client(bench: &Workbench, domain: &str, export: &str, command: &str) -> Output {
    let socket = bench.run_dir(domain).path().join("sockets/nbd.sock");
    let url = format!("nbd+unix:///{export}?socket={}", socket.display());
    let access: &[&str] = if command.starts_with("read") { &["-r"] } else { &[] };
    Command::new("qemu-io").args(access).args(["-f", "raw", "-c", command, &url]).output().unwrap()
}

fn succeeds(bench: &Workbench, export: &str, command: &str) {
    let output = client(bench, "exports", export, command);
    assert!(output.status.success(), "{export}, {command}: {output:?}");
}

#[test]
fn client_reads_and_writes_what_is_in_the_images_of_a_caged_daemon() {
    let bench = Workbench::new();
    let top = chain(&bench);
    let other = bench.write("other.raw", &"z".repeat(1 << 20));
    let disks = disk(&top, "qcow2", "vda", "") + &disk(&other, "raw", "vdb", "<readonly/>");
    bench.define(&daemon("exports", &disks));
    bench.ok(&["start", "exports"]);
    assert_eq!(bench.state_of("exports").as_deref(), Some("running"));
    let shown = bench.json(&["show", "exports"]);
    assert!(shown["confinement"]["cage"]["landlock_abi"].as_u64().is_some_and(|abi| abi > 0), "{shown}");
    let pid = u32::try_from(shown["pid"].as_u64().unwrap()).unwrap();
    let stands = hostler_launch::posture(pid).unwrap();
    assert_eq!((stands.capabilities, stands.private_namespaces.len()), (0, 7));

    succeeds(&bench, "vda", "read -P 120 0 64k");
    succeeds(&bench, "vda", "read -P 121 64k 64k");
    succeeds(&bench, "vdb", "read -P 122 0 1M");
    succeeds(&bench, "vda", "write -P 119 0 64k");
    assert!(
        !client(&bench, "exports", "vdb", "write -P 119 0 64k").status.success(),
        "it is only to be read"
    );
    assert!(!client(&bench, "exports", "vdc", "read 0 512").status.success(), "there is no such disk");

    bench.ok(&["destroy", "exports"]);
    assert_eq!(bench.state_of("exports").as_deref(), Some("off"));
    assert_eq!(bench.processes(), Vec::<String>::new());
    // What was written is in the image, and what lies below is as it was.
    let read =
        |command: &str| Command::new("qemu-io").args(["-r", "-c", command]).arg(&top).status().unwrap();
    assert!(read("read -P 119 0 64k").success() && read("read -P 121 64k 64k").success());
    assert_eq!(std::fs::read(bench.path("base.raw")).unwrap(), "x".repeat(1 << 20).as_bytes());
    assert_eq!(std::fs::metadata(&top).unwrap().mode() & 0o777, 0o600, "nothing was opened to others");
}

#[test]
fn daemon_outlives_its_owner_and_comes_back_after_its_end() {
    let bench = Workbench::new();
    let path = bench.write("disk.raw", &"x".repeat(1 << 20));
    bench.define(&daemon("exports", &disk(&path, "raw", "vda", "")));
    for end in ["shutdown", "destroy"] {
        bench.ok(&["start", "exports"]);
        // Each command is another owner.
        let again = bench.run(&["start", "exports"]);
        assert!(again.status != 0 && again.stderr.contains("is running"), "{}", again.stderr);
        succeeds(&bench, "vda", "read -P 120 0 1M");
        bench.ok(&[end, "exports"]);
        assert_eq!(bench.state_of("exports").as_deref(), Some("off"), "{end}");
    }
}

#[test]
fn suspended_daemon_lets_its_clients_go_and_serves_again_when_it_is_resumed() {
    let bench = Workbench::new();
    let path = bench.write("disk.raw", &"x".repeat(1 << 20));
    bench.define(&daemon("exports", &disk(&path, "raw", "vda", "")));
    bench.ok(&["start", "--paused", "exports"]);
    assert_eq!(bench.state_of("exports").as_deref(), Some("paused"));
    let refused = || !client(&bench, "exports", "vda", "read 0 512").status.success();
    assert!(refused(), "it has not begun to serve");
    bench.ok(&["resume", "exports"]);
    succeeds(&bench, "vda", "read -P 120 0 1M");
    bench.ok(&["suspend", "exports"]);
    assert_eq!(bench.state_of("exports").as_deref(), Some("paused"));
    assert!(refused(), "it serves no more");
    bench.ok(&["resume", "exports"]);
    bench.ok(&["reset", "exports"]);
    succeeds(&bench, "vda", "write -P 121 0 1M");
    bench.ok(&["destroy", "exports"]);
    assert!(std::fs::read(&path).unwrap().iter().all(|byte| *byte == b'y'));
}

#[test]
fn documents_that_no_daemon_can_have_are_refused_with_their_line() {
    let bench = Workbench::new();
    let path = bench.write("disk.raw", "x");
    for (devices, code) in [
        ("<interface type='user'/>".to_owned(), "storage-daemon.device"),
        (disk(&path, "raw", "vda", "").replace("<disk", "<disk device='cdrom'"), "storage-daemon.disk"),
    ] {
        let file = bench.write("refused.xml", &daemon("refused", &devices));
        let answer = bench.run(&["define", file.to_str().unwrap()]);
        assert!(answer.status != 0 && answer.stderr.contains(code), "{}", answer.stderr);
        assert!(answer.stderr.contains("driver storage-daemon"), "{}", answer.stderr);
    }
}

#[test]
fn native_shows_the_launch_with_real_paths() {
    let bench = Workbench::new();
    let path = bench.write("disk.raw", &"x".repeat(1 << 20));
    bench.define(&daemon("exports", &disk(&path, "raw", "vda", "")));
    let shown = bench.ok(&["native", "exports"]);
    assert!(shown.contains("qemu-storage-daemon") && shown.contains("--export"), "{shown}");
    assert!(shown.contains(path.to_str().unwrap()) && shown.contains("nbd.sock"), "{shown}");
}
