//! The agent in a guest: QEMU's own, as Debian has it, in a Linux guest.

use std::time::{Duration, Instant};

use crate::kill::{killed_at, list_fits, points};
use crate::workbench::{GUEST_SECONDS, Workbench, guest};

/// System calls at which a command that has a guest stand still is killed: those by which anything of it becomes durable,
/// and those by which it speaks to the agent and the hypervisor.
const KILL_AT: &[(&str, &[u32])] = &[
    ("renameat,renameat2,rename", &[2, 4, 6, 8]),
    ("fsync,fdatasync", &[3, 7, 9, 11]),
    ("sendmsg,sendto", &[3, 7, 9, 12, 16, 20]),
    ("connect", &[2, 4, 6, 9]),
];

/// A Linux guest with the agent in it, that has a file system on its first disk.
pub(crate) fn with_agent(bench: &Workbench, channel: &str) {
    let initrd =
        [std::fs::read(guest("initrd.gz")).unwrap(), std::fs::read(guest("agent.gz")).unwrap()].concat();
    std::fs::write(bench.path("initrd.gz"), initrd).unwrap();
    let base = guest("base.raw");
    bench.image(&["convert", "-f", "raw", "-O", "qcow2", base.to_str().unwrap(), "disk.qcow2"]);
    let xml = format!(
        "<domain type='qemu'><name>linux</name><memory unit='MiB'>256</memory><os><type arch='x86_64' machine='q35'>\
         hvm</type><kernel>{kernel}</kernel><initrd>{initrd}</initrd><cmdline>console=ttyS0 quiet panic=-1</cmdline></os>\
         <features><acpi/></features><devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/>\
         <source file='{disk}'/><target dev='vda' bus='virtio'/></disk><serial type='pty'/>\
         <channel type='{channel}'><target type='virtio' name='org.qemu.guest_agent.0'/></channel></devices></domain>",
        kernel = guest("vmlinuz").display(),
        initrd = bench.path("initrd.gz").display(),
        disk = bench.path("disk.qcow2").display(),
    );
    bench.define(&xml);
    bench.ok(&["start", "linux"]);
    says(bench, "hostler-guest: ready");
}

fn says(bench: &Workbench, text: &str) {
    bench.ok(&["console", "linux", "serial0", "--until", text, "--timeout", GUEST_SECONDS]);
}

/// Whether the guest's file systems stand still: its agent refuses most commands then.
fn is_frozen(bench: &Workbench) -> bool {
    bench.run(&["agent", "filesystems", "linux"]).stderr.contains("agent.no-command")
}

#[test]
fn agent_tells_of_its_guest_freezes_it_and_ends_it() {
    let bench = Workbench::new();
    with_agent(&bench, "unix");
    assert!(bench.ok(&["agent", "ping", "linux"]).contains("the agent of 'linux' answers"));
    let info = bench.json(&["agent", "info", "linux"]);
    let commands = info["commands"].as_array().unwrap();
    assert!(commands.iter().any(|command| command == "guest-fsfreeze-freeze"), "{info}");
    assert!(info["facts"].as_array().unwrap().iter().any(|fact| fact[0] == "kernel"), "{info}");
    let listed = bench.json(&["agent", "filesystems", "linux"]);
    let first = &listed["file_systems"][0];
    assert_eq!((&first["mountpoint"], &first["kind"]), (&"/mnt".into(), &"ext4".into()), "{listed}");

    assert_eq!(bench.json(&["agent", "freeze", "linux"])["file_systems"], 1);
    assert!(is_frozen(&bench));
    assert_eq!(bench.json(&["agent", "thaw", "linux"])["file_systems"], 1);
    assert!(!is_frozen(&bench));
    // Told of by whoever changes something, or stays.
    assert!(bench.ok(&["xml", "linux"]).contains("name='org.qemu.guest_agent.0' state='connected'"));
    assert!(!bench.ok(&["xml", "linux", "--stored"]).contains("state="));

    bench.ok(&["snapshot", "create", "linux", "whole", "--disk-only", "--quiesce"]);
    assert!(!is_frozen(&bench));
    let events = bench.ok(&["events", "-o", "json"]);
    let at = |kind: &str| {
        events.rfind(&format!("\"kind\":\"{kind}\"")).unwrap_or_else(|| panic!("{kind}: {events}"))
    };
    assert!(at("guest-frozen") < at("guest-thawed") && at("guest-thawed") < at("snapshot-taken"), "{events}");

    bench.ok(&["reboot", "linux", "--mode", "agent"]);
    says(&bench, "shutting down (agent, reboot)");
    let until = Instant::now() + Duration::from_secs(180);
    while bench.run(&["agent", "ping", "linux"]).status != 0 {
        assert!(Instant::now() < until, "the guest did not come back");
    }
    bench.ok(&["shutdown", "linux", "--mode", "agent", "--wait=120"]);
    assert_eq!(bench.state_of("linux").as_deref(), Some("off"));
    let off = bench.run(&["agent", "ping", "linux"]);
    assert!(off.stderr.contains("domain.off"), "{}", off.stderr);
}

#[test]
fn agent_behind_a_channel_that_the_host_keeps_answers_too() {
    let bench = Workbench::new();
    with_agent(&bench, "pty");
    for _ in 0..3 {
        bench.ok(&["agent", "ping", "linux"]);
    }
}

#[test]
fn agent_that_is_not_there_is_told_in_time() {
    let bench = Workbench::new();
    let channel = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>";
    let document = crate::workbench::rom_domain("rom", "qemu");
    bench.define(&document);
    bench.ok(&["start", "rom"]);
    let none = bench.run(&["agent", "ping", "rom"]);
    assert!(
        none.stderr.contains("agent.no-channel") && none.stderr.contains("guest_agent"),
        "{}",
        none.stderr
    );
    bench.ok(&["destroy", "rom"]);
    bench.define(&document.replace("<memballoon", &format!("{channel}<memballoon")));
    bench.ok(&["start", "rom"]);
    let silent = bench.run(&["agent", "ping", "rom"]);
    assert!(silent.stderr.contains("agent.not-connected"), "{}", silent.stderr);
    assert_eq!(silent.status, 6, "{}", silent.stderr);
    let refused = bench.run(&["snapshot", "create", "rom", "s", "--disk-only", "--quiesce"]);
    assert!(refused.status != 0, "{}", refused.stdout);
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"));
}

#[test]
fn guest_that_a_killed_command_had_stand_still_goes_on_with_the_next_owner() {
    let bench = Workbench::of_drivers();
    with_agent(&bench, "unix");
    let (mut interrupted, mut frozen, points) = (0, 0, points(KILL_AT));
    for (round, (calls, count)) in points.iter().enumerate() {
        let name = format!("s{round}");
        let create = ["snapshot", "create", "linux", &name, "--disk-only", "--quiesce"];
        interrupted += u32::from(!killed_at(&bench, &create, calls, *count));
        frozen += u32::from(is_frozen(&bench));
        // Any owner settles; this one has nothing else to do.
        bench.run(&["destroy", "nobody"]);
        assert!(!is_frozen(&bench), "{calls} {count}");
        bench.ok(&["agent", "ping", "linux"]);
    }
    list_fits(interrupted, points.len());
    assert!(
        frozen > 0,
        "no command was killed while the guest stood still: the list no longer fits the steps"
    );
}
