//! What is counted of a guest, what is in its memory, and a guest that is asked to begin again.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use hostler_launch::ShimClient;

use crate::workbench::{Workbench, rom_domain};

fn started(document: &str) -> Workbench {
    let bench = Workbench::new();
    bench.define(document);
    bench.ok(&["start", "rom"]);
    bench.ok(&["console", "rom", "--until", "hostler-rom: ready", "--timeout", "60"]);
    bench
}

#[test]
fn counters_are_those_of_the_guest_and_its_disk() {
    let bench = Workbench::new();
    bench.image(&["create", "-q", "-f", "qcow2", "disk.qcow2", "3M"]);
    let disk = format!(
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{}'/>\
         <target dev='vda' bus='virtio'/></disk><serial type='pty'/>",
        bench.path("disk.qcow2").display()
    );
    bench.define(&rom_domain("rom", "qemu").replace("<serial type='pty'/>", &disk));
    assert_eq!(bench.json(&["stats"])["domains"].as_array().unwrap().len(), 0, "nothing runs");
    assert_eq!(bench.json(&["stats", "rom"])["domains"][0]["state"], "off");
    bench.ok(&["start", "rom"]);
    bench.ok(&["console", "rom", "--until", "hostler-rom: ready", "--timeout", "60"]);
    let stats = bench.json(&["stats"]);
    let counters = &stats["domains"][0]["counters"];
    assert_eq!(counters["block.count"], 1);
    assert_eq!(counters["block.0.name"], "vda");
    assert_eq!(counters["block.0.capacity"], 3 << 20);
    assert_eq!(counters["block.0.wr.bytes"], 0);
    assert_eq!((&counters["vcpu.current"], &counters["vcpu.maximum"]), (&1.into(), &1.into()));
    assert_eq!(counters["balloon.maximum"], 32 << 10);
    for counted in ["cpu.time", "memory.resident"] {
        assert!(counters[counted].as_u64().unwrap() > 0, "{counted}: {stats}");
    }
    assert!(bench.ok(&["domstats", "rom"]).contains("block.0.capacity"));
    let nobody = bench.run(&["stats", "nobody"]);
    assert!(nobody.status != 0 && nobody.stderr.contains("nobody"), "{}", nobody.stderr);
}

#[test]
fn memory_of_a_guest_is_dumped_for_its_owner_alone_and_the_guest_goes_on() {
    let bench = started(&rom_domain("rom", "qemu"));
    let dumped = bench.json(&["dump", "rom", "memory.elf"]);
    let memory = std::fs::read(bench.path("memory.elf")).unwrap();
    assert!(memory.starts_with(b"\x7fELF"), "{dumped}");
    assert!(memory.len() >= 32 << 20, "all of its memory: {}", memory.len());
    let tick = b"hostler-rom: ready";
    assert!(memory.windows(tick.len()).any(|part| part == tick), "what the guest has is in it");
    let mode = std::fs::metadata(bench.path("memory.elf")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"));
    let compressed = bench.json(&["dump", "rom", "memory.kdump", "--format", "kdump-zlib"]);
    assert!(compressed["bytes"].as_u64().unwrap() < dumped["bytes"].as_u64().unwrap(), "{compressed}");
    for (arguments, code) in [
        (&["dump", "rom", "memory.elf"][..], "dump.exists"),
        (&["dump", "rom", "other", "--format", "tar"], "qemu.dump-format"),
        (&["dump", "rom", "other", "--format", "win-dmp"], "qemu.dump-failed"),
        (&["dump", "rom", "no/such/place"], "no/such"),
    ] {
        let refused = bench.run(arguments);
        assert!(refused.status != 0 && refused.stderr.contains(code), "{code}: {}", refused.stderr);
    }
    assert!(!bench.path("other").exists(), "a dump that failed leaves nothing");
    bench.ok(&["suspend", "rom"]);
    bench.ok(&["dump", "rom", "paused.elf"]);
    assert_eq!(bench.state_of("rom").as_deref(), Some("paused"), "it stands still as it did");
}

#[test]
fn dump_that_finds_no_room_says_so_and_the_guest_goes_on() {
    let bench = started(&rom_domain("rom", "qemu"));
    // A file system of 1 MiB of its own, in a mount namespace that ends with the command.
    let script = format!(
        "mkdir -p {0} && mount -t tmpfs -o size=1m none {0} && exec \"$@\"",
        bench.path("small").display()
    );
    let command = bench.command(&["dump", "rom", "small/memory.elf"]);
    let answer = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", &script, "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))))
        .current_dir(command.get_current_dir().unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&answer.stderr);
    assert!(!answer.status.success() && said.contains("qemu.dump-failed"), "{said}");
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"));
}

#[test]
fn guest_that_is_asked_to_reboot_begins_anew_once() {
    let bench = started(&rom_domain("rom", "qemu"));
    let shim = ShimClient::connect(&bench.run_dir("rom")).unwrap();
    let reset_after = |before: u64| {
        let event = shim.wait_event(&["RESET".to_owned()], before, Duration::from_secs(60)).unwrap();
        event.expect("the shim has reset it, and nobody was attached").cursor
    };
    let before = shim.cursor().unwrap();
    bench.ok(&["reboot", "rom"]);
    let after = reset_after(before);
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"));
    // The guest listens again once it is ready.
    bench.ok(&["reset", "rom"]);
    reset_after(after);
    bench.ok(&["reboot", "rom"]);
    bench.ok(&["shutdown", "rom", "--wait=60"]);
    assert_eq!(bench.state_of("rom").as_deref(), Some("off"), "the last wish counts");
    let off = bench.run(&["reboot", "rom"]);
    assert!(off.stderr.contains("domain.off"), "{}", off.stderr);
}

#[test]
fn domain_whose_reboot_is_its_end_is_off_afterwards() {
    let document = rom_domain("rom", "qemu");
    let bench = started(&document.replace("<devices>", "<on_reboot>destroy</on_reboot>\n  <devices>"));
    bench.ok(&["reboot", "rom"]);
    let shim = ShimClient::connect(&bench.run_dir("rom"));
    if let Ok(shim) = shim {
        shim.wait(Duration::from_secs(60)).unwrap();
    }
    assert_eq!(bench.state_of("rom").as_deref(), Some("off"));
}

#[test]
fn hypervisor_that_hangs_is_shown_as_it_last_was_and_keeps_nobody_waiting_for_others() {
    let bench = Workbench::new();
    for name in ["hung", "well"] {
        bench.define(&rom_domain(name, "qemu"));
        bench.ok(&["start", name]);
    }
    let pid = bench.json(&["show", "hung"])["pid"].as_u64().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let stats = bench.json(&["stats"]);
    let list = bench.json(&["list"]);
    let table = bench.ok(&["list"]);
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();

    let (hung, well) = (&stats["domains"][0], &stats["domains"][1]);
    assert!(hung["missing"].is_string() && hung["counters"]["cpu.time"].is_u64(), "{stats}");
    assert!(well["missing"].is_null() && well["counters"]["vcpu.current"] == 1, "{stats}");
    let (hung, well) = (&list["domains"][0], &list["domains"][1]);
    assert_eq!((&hung["state"], &well["state"]), (&"running".into(), &"running".into()), "{list}");
    assert!(hung["as_of_unix_ms"].is_u64() && well["as_of_unix_ms"].is_null(), "{list}");
    assert!(table.contains("its hypervisor does not answer; it was so"), "{table}");
    bench.ok(&["destroy", "hung"]);
}
