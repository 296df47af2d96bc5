//! Clients of libvirt move running guests from one daemon to another: where they go on is settled between the daemons.

use std::process::{Child, Command, Stdio};

use crate::daemon::{Daemon, clients_are_here};
use crate::workbench::{Answer, GUEST_SECONDS, Workbench, guest, rom_domain};

/// Two daemons of one user, and a domain that is defined at the first.
struct Pair<'a> {
    here: Daemon<'a>,
    there: Daemon<'a>,
}

impl<'a> Pair<'a> {
    fn with(benches: &'a [Workbench; 2], document: &str) -> Self {
        let [here, there] = benches;
        let file = here.write("domain.xml", document);
        let pair = Self { here: Daemon::start(here), there: Daemon::start(there) };
        pair.here.ok(&["define", file.to_str().unwrap()]);
        pair
    }

    /// The guest is still here and runs, and nothing of it is there.
    fn stays(&self, moved: &Answer, words: &str) {
        assert!(
            moved.status != 0 && moved.stderr.contains(words),
            "{words}: {}{}",
            moved.stdout,
            moved.stderr
        );
        assert_eq!(self.here.ok(&["domstate", "guest"]), "running");
        assert_eq!(self.there.ok(&["list", "--name"]), "");
    }
}

fn benches() -> [Workbench; 2] {
    [Workbench::of_drivers(), Workbench::of_drivers()]
}

/// The guest goes on with its counting where it came to: it never begins anew.
fn counts_on(bench: &Workbench) {
    bench.ok(&["console", "guest", "--until", "hostler-rom: tick 0", "--timeout", "60"]);
    let log = bench.run_dir("guest").console_log_path("serial0").unwrap();
    let written = String::from_utf8_lossy(&std::fs::read(log).unwrap()).into_owned();
    assert!(!written.contains("tick 0001"), "it began anew: {written}");
}

#[test]
fn guest_is_moved_to_another_daemon_and_back() {
    if !clients_are_here() {
        return;
    }
    let benches = benches();
    let pair = Pair::with(&benches, &rom_domain("guest", "qemu"));
    let (here, there) = (&pair.here, &pair.there);
    here.ok(&["start", "guest"]);
    benches[0].ok(&["console", "guest", "--until", "hostler-rom: tick 0002", "--timeout", "60"]);
    here.ok(&["migrate", "--live", "--persistent", "--undefinesource", "guest", &there.uri()]);
    assert_eq!(there.ok(&["domstate", "guest"]), "running");
    counts_on(&benches[1]);
    assert_eq!(there.ok(&["list", "--persistent", "--name"]), "guest");
    assert!(here.virsh(&["domstate", "guest"]).stderr.contains("failed to get domain"));
    // And back, by a port, to a domain that is forgotten when it ends.
    let port = ["--migrateuri", "tcp://127.0.0.1:0"];
    there.ok(&[&["migrate", "--live", "guest", &here.uri()][..], &port].concat());
    assert_eq!(here.ok(&["domstate", "guest"]), "running");
    counts_on(&benches[0]);
    assert_eq!(here.ok(&["list", "--transient", "--name"]), "guest");
    assert_eq!(there.ok(&["domstate", "guest"]), "shut off");
    here.ok(&["destroy", "guest"]);
    assert_eq!(here.ok(&["list", "--all", "--name"]), "");
}

#[test]
fn guest_that_is_not_moved_stays_where_it_is() {
    if !clients_are_here() {
        return;
    }
    let benches = benches();
    let pair = Pair::with(&benches, &rom_domain("guest", "qemu"));
    let (here, there) = (&pair.here, pair.there.uri());
    let off = here.virsh(&["migrate", "--live", "guest", &there]);
    assert!(off.status != 0 && off.stderr.contains("domain is not running"), "{}", off.stderr);
    here.ok(&["start", "guest"]);
    let moved = |more: &[&str]| here.virsh(&[&["migrate", "--live", "guest", &there], more].concat());
    pair.stays(&moved(&["--p2p"]), "p2p migration is not supported");
    pair.stays(&moved(&["--copy-storage-all"]), "disks are not copied");
    pair.stays(&moved(&["--dname", "another"]), "keeps its name");
    pair.stays(&moved(&["--migrateuri", "exec:id"]), "nowhere that a guest is sent to");
    pair.stays(&moved(&["--migrateuri", "tcp://192.0.2.1:7"]), "beyond this machine");
    // One of that name runs there, and is another.
    let file = benches[1].write("other.xml", &rom_domain("guest", "qemu"));
    pair.there.ok(&["define", file.to_str().unwrap()]);
    pair.stays(&moved(&[]), "guest");
    pair.there.ok(&["undefine", "guest"]);
    // Nothing of all that is in the way of one that is moved.
    here.ok(&["migrate", "--live", "guest", &there]);
    assert_eq!(pair.there.ok(&["domstate", "guest"]), "running");
}

/// A client that moves the guest, and waits for it.
fn moving(pair: &Pair<'_>) -> Child {
    let mut command = Command::new("virsh");
    command.args(["-q", "-c", &pair.here.uri(), "migrate", "--live", "guest", &pair.there.uri()]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn guest_whose_migration_is_given_up_goes_on_where_it_was() {
    if !clients_are_here() {
        return;
    }
    let document = format!(
        "<domain type='qemu'><name>guest</name><memory unit='MiB'>192</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64' machine='q35'>hvm</type><kernel>{}</kernel><initrd>{}</initrd>\
         <cmdline>console=ttyS0 quiet panic=-1 hostler.id=guest</cmdline></os>\
         <devices><serial type='pty'/></devices></domain>",
        guest("vmlinuz").display(),
        guest("initrd.gz").display()
    );
    let benches = benches();
    let pair = Pair::with(&benches, &document);
    let here = &pair.here;
    here.ok(&["start", "guest"]);
    benches[0].ok(&["console", "guest", "--until", "hostler-guest: ready", "--timeout", GUEST_SECONDS]);
    // Tens of MiB of memory at this speed take the better part of a minute.
    here.ok(&["migrate-setspeed", "guest", "1"]);
    let mut client = moving(&pair);
    while !here.ok(&["domjobinfo", "guest"]).contains("Unbounded") {
        assert!(client.try_wait().unwrap().is_none(), "it was moved before anybody could give it up");
    }
    here.ok(&["domjobabort", "guest"]);
    let moved = Answer::of(client.wait_with_output().unwrap());
    pair.stays(&moved, "given up");
    here.ok(&["migrate-setspeed", "guest", "0"]);
    here.ok(&["migrate", "--live", "guest", &pair.there.uri()]);
    assert_eq!(pair.there.ok(&["domstate", "guest"]), "running");
}
