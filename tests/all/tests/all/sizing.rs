//! More or less memory, more or fewer processors: asked of a guest, and stored.

use hostler_launch::ShimClient;
use serde_json::Value;

use crate::kill::{killed_at, list_fits, points};
use crate::workbench::{GUEST_SECONDS, Workbench, guest, kvm_answers, rom_domain};

/// System calls at which a command that plugs a processor is killed: those by which anything of it becomes durable, and
/// those by which it speaks to the hypervisor.
const KILL_AT: &[(&str, &[u32])] = &[
    ("renameat,renameat2,rename", &[1, 2, 3, 4]),
    ("fsync,fdatasync", &[1, 2, 3, 5, 7]),
    ("unlink,unlinkat", &[1, 2]),
    ("sendmsg,sendto", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12]),
];

/// A Linux guest with room for processors, and a balloon.
fn linux(bench: &Workbench) {
    let xml = format!(
        "<domain type='qemu'><name>linux</name><memory unit='MiB'>256</memory><vcpu current='1'>3</vcpu>\
         <os><type arch='x86_64' machine='q35'>hvm</type><kernel>{kernel}</kernel><initrd>{initrd}</initrd>\
         <cmdline>console=ttyS0 quiet panic=-1</cmdline></os><features><acpi/></features><devices>\
         <serial type='pty'/><memballoon model='virtio'/></devices></domain>",
        kernel = guest("vmlinuz").display(),
        initrd = guest("initrd.gz").display(),
    );
    bench.define(&xml);
    bench.ok(&["start", "linux"]);
    bench.ok(&["console", "linux", "--until", "hostler-guest: ready", "--timeout", GUEST_SECONDS]);
}

/// A guest that does nothing, with room for processors.
fn rom(bench: &Workbench) {
    let document = rom_domain("rom", "qemu")
        .replace("<vcpu>1</vcpu>", "<vcpu current='1'>4</vcpu>")
        .replace("<memballoon model='none'/>", "<memballoon model='virtio'/>");
    bench.define(&document);
}

fn counter(bench: &Workbench, domain: &str, name: &str) -> u64 {
    bench.json(&["stats", domain])["domains"][0]["counters"][name].as_u64().unwrap()
}

/// The number in `<vcpu current>` of a document.
fn current(xml: &str) -> &str {
    let vcpu = xml.split("<vcpu").nth(1).unwrap();
    vcpu.split("current='").nth(1).unwrap().split('\'').next().unwrap()
}

#[test]
fn guest_gives_memory_back_and_what_was_plugged_in_comes_along() {
    let bench = Workbench::new();
    linux(&bench);
    let sized = bench.json(&["set-memory", "linux", "200MiB"]);
    assert_eq!((sized["live"].as_bool(), sized["stored"].as_bool()), (Some(true), Some(true)), "{sized}");
    // A guest takes its time: it is asked until it has given back all of it.
    let done = |sized: &Value| sized["now"]["memory"].as_u64() == Some(200 << 20);
    let mut rounds = 0;
    while rounds < 20 && !done(&bench.json(&["set-memory", "linux", "200MiB"])) {
        rounds += 1;
    }
    assert_eq!(counter(&bench, "linux", "balloon.current"), 200 << 10);
    assert!(bench.ok(&["xml", "linux"]).contains("<currentMemory unit='KiB'>204800</currentMemory>"));

    bench.ok(&["set-vcpus", "linux", "3", "--live"]);
    assert_eq!(counter(&bench, "linux", "vcpu.current"), 3);
    assert_eq!(current(&bench.ok(&["xml", "linux"])), "3");
    assert_eq!(current(&bench.ok(&["xml", "linux", "--stored"])), "1");
    // Without KVM QEMU would end at the save below.
    let translated = bench.run(&["set-vcpus", "linux", "2"]);
    assert!(translated.stderr.contains("qemu.vcpu-translated"), "{}", translated.stderr);
    assert_eq!(counter(&bench, "linux", "vcpu.current"), 3);
    bench.ok(&["save", "linux"]);
    bench.ok(&["start", "linux"]);
    assert_eq!(counter(&bench, "linux", "vcpu.current"), 3);
}

#[test]
fn what_cannot_be_is_refused_and_nothing_changes() {
    let bench = Workbench::new();
    rom(&bench);
    bench.ok(&["start", "rom"]);
    let before = (bench.ok(&["xml", "rom"]), bench.ok(&["xml", "rom", "--stored"]));
    for (arguments, code) in [
        (&["set-memory", "rom", "64MiB"][..], "domain.memory"),
        (&["set-memory", "rom", "100"], "domain.memory"),
        (&["set-vcpus", "rom", "5"], "domain.vcpus"),
        (&["set-vcpus", "rom", "0"], "domain.vcpus"),
        (&["set-vcpus", "nobody", "1"], "domain.not-found"),
    ] {
        let refused = bench.run(arguments);
        assert!(refused.status != 0 && refused.stderr.contains(code), "{arguments:?}: {}", refused.stderr);
    }
    assert_eq!((bench.ok(&["xml", "rom"]), bench.ok(&["xml", "rom", "--stored"])), before);
    // What is refused by the driver is told, and so is a guest that gives no memory back; the documents stay true.
    bench.ok(&["set-vcpus", "rom", "2"]);
    let kept = bench.run(&["set-vcpus", "rom", "1"]);
    assert!(kept.stderr.contains("qemu.vcpu-translated"), "{}{}", kept.stdout, kept.stderr);
    assert_eq!((current(&bench.ok(&["xml", "rom"])), counter(&bench, "rom", "vcpu.current")), ("2", 2));
    assert_eq!(current(&bench.ok(&["xml", "rom", "--stored"])), "2");
    let asked = bench.run(&["set-memory", "rom", "16MiB"]);
    assert!(asked.stdout.contains("has 32 MiB still"), "{}{}", asked.stdout, asked.stderr);
    bench.ok(&["destroy", "rom"]);
    let off = bench.run(&["set-vcpus", "rom", "3", "--live"]);
    assert!(off.stderr.contains("domain.off"), "{}", off.stderr);
    bench.ok(&["set-vcpus", "rom", "3"]);
    bench.ok(&["start", "rom"]);
    assert_eq!(counter(&bench, "rom", "vcpu.current"), 3);
    let stays = bench.run(&["set-vcpus", "rom", "2"]);
    assert!(stays.stderr.contains("qemu.vcpu-stays"), "{}", stays.stderr);
}

#[test]
fn guest_that_lets_no_processor_go_is_told_and_the_documents_are_true() {
    if !kvm_answers() {
        eprintln!("skipped: KVM does not answer on this machine");
        return;
    }
    let bench = Workbench::new();
    let document = rom_domain("rom", "kvm").replace("<vcpu>1</vcpu>", "<vcpu current='1'>2</vcpu>");
    bench.define(&document);
    bench.ok(&["start", "rom"]);
    bench.ok(&["set-vcpus", "rom", "2"]);
    // It has no system that could.
    let kept = bench.run(&["set-vcpus", "rom", "1"]);
    assert!(kept.stderr.contains("unplug request"), "{}{}", kept.stdout, kept.stderr);
    assert_eq!((current(&bench.ok(&["xml", "rom"])), counter(&bench, "rom", "vcpu.current")), ("2", 2));
    assert_eq!(current(&bench.ok(&["xml", "rom", "--stored"])), "2");
}

#[test]
fn processor_that_is_plugged_in_by_a_killed_command_is_there_and_told_or_not() {
    let bench = Workbench::of_drivers();
    rom(&bench);
    let (mut interrupted, points) = (0, points(KILL_AT));
    for (calls, count) in &points {
        bench.ok(&["set-vcpus", "rom", "1", "--config"]);
        bench.ok(&["start", "rom"]);
        interrupted += u32::from(!killed_at(&bench, &["set-vcpus", "rom", "2"], calls, *count));
        // Any owner settles; this one has nothing else to do.
        bench.run(&["destroy", "nobody"]);
        let client = ShimClient::connect(&bench.run_dir("rom")).unwrap();
        let cpus = client.execute("query-cpus-fast", None, &[], std::time::Duration::from_secs(30)).unwrap();
        let there = cpus.as_array().unwrap().len().to_string();
        assert_eq!(current(&bench.ok(&["xml", "rom"])), there, "{calls} {count}");
        assert_eq!(current(&bench.ok(&["xml", "rom", "--stored"])), there, "{calls} {count}");
        bench.ok(&["set-vcpus", "rom", "3"]);
        bench.ok(&["destroy", "rom"]);
    }
    list_fits(interrupted, points.len());
}

#[test]
fn threads_run_where_the_definition_says() {
    let bench = Workbench::new();
    let pinned = |cpus: &str| {
        rom_domain("rom", "qemu")
            .replace("<vcpu>1</vcpu>", &format!("<vcpu cpuset='{cpus}'>1</vcpu>"))
            .replace("<os>", "<cputune><vcpupin vcpu='0' cpuset='0'/></cputune><os>")
    };
    // Processors that no machine has: nothing is left of a guest that cannot run where it should.
    bench.define(&pinned("1000-1001"));
    let refused = bench.run(&["start", "rom"]);
    assert!(refused.status != 0 && refused.stderr.contains("thread.unpinned"), "{}", refused.stderr);
    assert_eq!(bench.state_of("rom").as_deref(), Some("off"));
    bench.define(&pinned("0"));
    bench.ok(&["start", "rom"]);
    let pid = bench.json(&["show", "rom"])["pid"].as_u64().unwrap();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let mut bound = 0;
    for task in tasks {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(status.lines().any(|line| line == "Cpus_allowed_list:\t0"), "{status}");
        bound += 1;
    }
    assert!(bound > 1, "the processor is a thread of its own");
    bench.ok(&["destroy", "rom"]);
}
