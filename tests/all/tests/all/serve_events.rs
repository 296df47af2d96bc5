//! What machines say by themselves, as a client of libvirt hears it: virsh, which prints every event.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::agent::with_agent;
use crate::daemon::{Daemon, clients_are_here};
use crate::small_file_system::SmallFileSystem;
use crate::workbench::{Workbench, rom_domain, until};

/// Room on the file system of a disk that fills it.
const ROOM: &str = "4m";

/// A client that listens.
struct Listener {
    virsh: Child,
    heard: PathBuf,
}

impl Listener {
    /// Begins to listen; `domain` is spoken of until that is heard.
    fn begin(bench: &Workbench, daemon: &Daemon<'_>, domain: &str) -> Self {
        let heard = bench.path("heard");
        let mut virsh = Command::new("stdbuf");
        virsh.args(["-oL", "virsh", "-c", &daemon.uri(), "event", "--all", "--loop"]);
        virsh.stdin(Stdio::null()).stdout(File::create(&heard).unwrap());
        let listener = Self { virsh: virsh.spawn().unwrap(), heard };
        until("virsh listens", || {
            daemon.ok(&["desc", domain, "--config", "--new-desc", "spoken of"]);
            listener.has_heard("'metadata-change'")
        });
        listener
    }

    fn has_heard(&self, text: &str) -> bool {
        fs::read_to_string(&self.heard).unwrap().contains(text)
    }

    fn wait_for(&self, text: &str) {
        until(text, || self.has_heard(text));
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.virsh.kill().ok();
        self.virsh.wait().ok();
    }
}

#[test]
fn disk_without_room_clock_and_agent_are_told_of() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::new();
    let small = bench.path("small");
    fs::create_dir(&small).unwrap();
    let _mounted = SmallFileSystem::mount(small.clone(), ROOM);
    let daemon = Daemon::start(&bench);
    with_agent(&bench, "unix");
    let listener = Listener::begin(&bench, &daemon, "linux");
    let guest = |script: &str| {
        let answer = bench.run(&["agent", "exec", "linux", "--", "/bin/busybox", "sh", "-c", script]);
        assert_eq!(answer.status, 0, "{script}: {}{}", answer.stdout, answer.stderr);
    };
    guest("/bin/busybox date -s @1000000000; /bin/busybox hwclock -w -u");
    listener.wait_for("'rtc-change' for domain 'linux'");

    // Half of the room is taken by somebody else, and the guest writes more than the rest.
    let (image, other) = (small.join("disk.raw"), small.join("other"));
    fs::write(&other, vec![0; 2 << 20]).unwrap();
    File::create(&image).unwrap().set_len(3 << 20).unwrap();
    daemon.ok(&["attach-disk", "linux", image.to_str().unwrap(), "vdb", "--subdriver", "raw"]);
    let fill = "/bin/busybox dd if=/dev/zero of=/dev/vdb bs=1M count=3 oflag=direct";
    let words = ["agent", "exec", "linux", "--", "/bin/busybox", "sh", "-c", fill];
    let mut filling = bench.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    listener.wait_for(&format!("'io-error' for domain 'linux': {} (virtio-disk1) pause", image.display()));
    listener.wait_for("'io-error-reason' for domain 'linux'");
    listener.wait_for("due to enospc");
    listener.wait_for("'lifecycle' for domain 'linux': Suspended I/O Error");
    assert_eq!(daemon.ok(&["domstate", "linux", "--reason"]), "paused (I/O error)");
    let shown = bench.json(&["show", "linux"]);
    assert_eq!((&shown["state"], &shown["reason"]), (&"paused".into(), &"io-error".into()), "{shown}");

    // With room, the guest goes on where it stood: nothing of what it wrote is lost.
    fs::remove_file(other).unwrap();
    daemon.ok(&["resume", "linux"]);
    assert!(filling.wait().unwrap().success(), "the guest has not written everything");
    assert_eq!(daemon.ok(&["domstate", "linux"]), "running");

    // A program that ends itself cannot answer.
    bench.run(&["agent", "exec", "linux", "--timeout", "2", "--", "/bin/busybox", "killall", "qemu-ga"]);
    listener.wait_for("'agent-lifecycle' for domain 'linux': state: 'disconnected' reason: 'channel event'");
}

#[test]
fn whoever_looks_at_a_display_is_told_of() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::new();
    let daemon = Daemon::start(&bench);
    let devices = "<memballoon model='none'/><graphics type='vnc' port='-1' autoport='yes'/>\
                   <video><model type='vga'/></video>";
    bench.define(&rom_domain("rom", "qemu").replace("<memballoon model='none'/>", devices));
    bench.ok(&["start", "rom"]);
    let listener = Listener::begin(&bench, &daemon, "rom");
    let shown = bench.json(&["display", "rom"]);
    let uri = shown["displays"][0]["uri"].as_str().unwrap();
    let viewer = TcpStream::connect(uri.strip_prefix("vnc://").unwrap()).unwrap();
    listener.wait_for("'graphics' for domain 'rom': connect");
    drop(viewer);
    listener.wait_for("'graphics' for domain 'rom': disconnect");
    daemon.ok(&["metadata", "rom", "urn:one", "--key", "k", "--set", "<one/>"]);
    listener.wait_for("'metadata-change' for domain 'rom': type element, uri urn:one");
}
