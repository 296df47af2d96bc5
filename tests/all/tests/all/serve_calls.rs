//! Calls of clients that are about a guest that runs, and what only reads of its hypervisor.

use crate::agent::with_agent;
use crate::control_groups::groups_are_here;
use crate::daemon::{Daemon, clients_are_here};
use crate::storage::{qcow2_disk, with_disk};
use crate::workbench::{Workbench, guest, rom_domain};

#[test]
fn clients_ask_the_hypervisor_itself_and_change_nothing() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    bench.image(&["create", "-q", "-f", "qcow2", "base.qcow2", "16M"]);
    let file = bench.write("rom.xml", &with_disk("rom", &qcow2_disk(&bench, "base.qcow2")));
    daemon.ok(&["define", file.to_str().unwrap()]);
    daemon.ok(&["start", "rom"]);
    let ask = |said: &str| daemon.virsh(&["qemu-monitor-command", "rom", said]);
    let told = ask("{\"execute\": \"query-status\"}").stdout;
    assert!(told.contains("\"status\":\"running\""), "{told}");
    assert!(daemon.ok(&["qemu-monitor-command", "rom", "--hmp", "info status"]).contains("running"));
    for command in ["quit", "stop", "system_powerdown", "human-monitor-command", "query-fdsets"] {
        let answer = ask(&format!("{{\"execute\": \"{command}\"}}"));
        assert_eq!(answer.status, 1, "{command}: {}", answer.stdout);
        assert!(answer.stderr.contains("operation forbidden"), "{command}: {}", answer.stderr);
    }
    assert_eq!(daemon.virsh(&["qemu-monitor-command", "rom", "--hmp", "quit"]).status, 1);
    assert_eq!(daemon.ok(&["domstate", "rom"]), "running");

    daemon.ok(&["domblkthreshold", "rom", "vda", "1M"]);
    daemon.ok(&["inject-nmi", "rom"]);
    daemon.ok(&["domdirtyrate-calc", "rom", "1"]);
    while !daemon.ok(&["domstats", "rom", "--dirtyrate"]).contains("dirtyrate.calc_status=2") {}
    assert_eq!(daemon.ok(&["migrate-getspeed", "rom"]), "8796093022207");
    daemon.ok(&["migrate-setspeed", "rom", "7"]);
    assert_eq!(daemon.ok(&["migrate-getspeed", "rom"]), "7");
    assert_eq!(daemon.ok(&["migrate-getmaxdowntime", "rom"]), "300");
    daemon.ok(&["migrate-setmaxdowntime", "rom", "50"]);
    assert_eq!(daemon.ok(&["migrate-getmaxdowntime", "rom"]), "50");
    assert_eq!(daemon.ok(&["migrate-getspeed", "rom"]), "7");
    daemon.ok(&["emulatorpin", "rom", "0"]);
    assert!(daemon.ok(&["emulatorpin", "rom"]).lines().any(|line| line.split_whitespace().eq(["*:", "0"])));
    daemon.ok(&["emulatorpin", "rom", "0", "--config"]);
    assert!(daemon.ok(&["dumpxml", "--inactive", "rom"]).contains("<emulatorpin cpuset='0'/>"));
    daemon.ok(&["set-lifecycle-action", "rom", "reboot", "destroy", "--config"]);
    assert!(daemon.ok(&["dumpxml", "--inactive", "rom"]).contains("<on_reboot>destroy</on_reboot>"));
    for (call, words) in [
        (&["perf", "rom", "--enable", "cmt"][..], "unable to enable"),
        (&["domjobabort", "rom"], "no job is active"),
        (&["dompmwakeup", "rom"], "is running"),
        (&["domtime", "rom"], "guest agent is not configured"),
    ] {
        let answer = daemon.virsh(call);
        assert!(answer.status == 1 && answer.stderr.contains(words), "{call:?}: {}", answer.stderr);
    }
}

#[test]
fn client_sets_what_a_guest_may_use() {
    if !clients_are_here() || !groups_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let numa = "<vcpu>1</vcpu><numatune><memory mode='restrictive' nodeset='0'/></numatune>";
    let mac = "52:54:00:00:00:31";
    let user = format!("<interface type='user'><mac address='{mac}'/></interface><memballoon");
    let xml = rom_domain("rom", "qemu").replace("<vcpu>1</vcpu>", numa).replace("<memballoon", &user);
    let file = bench.write("rom.xml", &xml);
    daemon.ok(&["define", file.to_str().unwrap()]);
    daemon.ok(&["define", bench.write("plain.xml", &rom_domain("plain", "qemu")).to_str().unwrap()]);
    let value = |call: &[&str], name: &str| {
        let told = daemon.ok(call);
        let line = told.lines().find_map(|line| line.split_once(':').filter(|(own, _)| own.trim() == name));
        line.unwrap_or_else(|| panic!("{call:?} {name}: {told}")).1.trim().to_owned()
    };
    // A definition that says nothing.
    assert_eq!(value(&["schedinfo", "rom"], "cpu_shares"), "0");
    assert_eq!(value(&["memtune", "rom"], "hard_limit"), "unlimited");
    daemon.ok(&["schedinfo", "rom", "--config", "--set", "cpu_shares=300"]);
    daemon.ok(&["start", "rom"]);
    assert_eq!(value(&["schedinfo", "rom"], "cpu_shares"), "300");
    for (name, set) in [
        ("vcpu_quota", "50000"),
        ("emulator_quota", "60000"),
        ("global_quota", "70000"),
        ("vcpu_period", "90000"),
    ] {
        daemon.ok(&["schedinfo", "rom", "--live", "--set", &format!("{name}={set}")]);
        assert_eq!(value(&["schedinfo", "rom"], name), set);
    }
    assert_eq!(value(&["schedinfo", "rom", "--config"], "vcpu_quota"), "0");
    daemon.ok(&["memtune", "rom", "--hard-limit", "900000", "--soft-limit", "800000", "--live", "--config"]);
    assert_eq!(value(&["memtune", "rom"], "hard_limit"), "900000");
    assert_eq!(value(&["memtune", "rom", "--config"], "soft_limit"), "800000");
    daemon.ok(&["memtune", "rom", "--hard-limit", "-1", "--live"]);
    assert_eq!(value(&["memtune", "rom"], "hard_limit"), "unlimited");
    daemon.ok(&["blkiotune", "rom", "--weight", "500", "--config"]);
    assert_eq!(value(&["blkiotune", "rom", "--config"], "weight"), "500");
    assert_eq!(value(&["domiftune", "rom", mac], "inbound.average"), "0");
    daemon.ok(&["domiftune", "rom", mac, "--inbound", "1000,2000,512", "--config"]);
    assert_eq!(value(&["domiftune", "rom", mac, "--config"], "inbound.peak"), "2000");
    daemon.ok(&["domiftune", "rom", mac, "--outbound", "300", "--config"]);
    assert_eq!(value(&["domiftune", "rom", mac, "--config"], "inbound.burst"), "512");
    assert_eq!(value(&["domiftune", "rom", mac, "--config"], "outbound.average"), "300");
    daemon.ok(&["numatune", "rom", "--nodeset", "0", "--live"]);
    assert_eq!(value(&["numatune", "rom"], "numa_mode"), "restrictive");
    assert_eq!(value(&["numatune", "rom"], "numa_nodeset"), "0");
    for (call, words) in [
        (&["schedinfo", "rom", "--set", "cpu_shares=1"][..], "must be in range [2, 262144]"),
        (&["schedinfo", "rom", "--set", "vcpu_quota=5"], "is out of range [1000, 17592186044415]"),
        (&["memtune", "rom", "--min-guarantee", "10"], "parameter 'min_guarantee' not supported"),
        (&["memtune", "rom", "--hard-limit", "900", "--swap-hard-limit", "800"], "lower than or equal"),
        (&["blkiotune", "rom", "--device-weights", "/dev/null,500"], "no block device"),
        (&["numatune", "rom", "--mode", "strict", "--live"], "can't change numatune mode"),
        (&["domiftune", "rom", mac, "--inbound", "5", "--live"], "no device of this host connects"),
        (&["domiftune", "rom", "vnet9", "--inbound", "5", "--config"], "cannot find interface 'vnet9'"),
        (&["numatune", "rom", "--nodeset", "63", "--live"], "cpuset.mems"),
        (&["numatune", "plain", "--mode", "preferred", "--config"], "needs a nodeset"),
    ] {
        let answer = daemon.virsh(call);
        assert!(answer.status == 1 && answer.stderr.contains(words), "{call:?}: {}", answer.stderr);
    }
    let xml = daemon.ok(&["dumpxml", "rom"]);
    assert!(xml.contains("<emulator_quota>60000</emulator_quota>") && !xml.contains("hard_limit"), "{xml}");
    daemon.ok(&["destroy", "rom"]);
}

#[test]
fn client_looks_at_memory_as_the_machine_counts_it() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let file = bench.write("rom.xml", &rom_domain("rom", "qemu"));
    daemon.ok(&["define", file.to_str().unwrap()]);
    daemon.ok(&["start", "rom"]);
    // The machine has the guest's code right below 1 MiB.
    let rom = guest("rom.bin");
    let script = format!(
        "
rom = open({rom:?}, 'rb').read()
dom = connection.lookupByName('rom')
print(dom.memoryPeek(0x100000 - len(rom), len(rom), libvirt.VIR_MEMORY_PHYSICAL) == rom)
print(dom.memoryPeek(0x100000 - len(rom) + 5, 3, libvirt.VIR_MEMORY_PHYSICAL) == rom[5:8])
print(dom.isActive(), dom.state()[0] == libvirt.VIR_DOMAIN_RUNNING)
for place, size, flags in [(1 << 40, 4, 2), (0, 0, 2), (0, (4 << 20) + 1, 2), (0, 4, 1), (0, 4, 3)]:
    try:
        dom.memoryPeek(place, size, flags)
        print('answered', place)
    except libvirt.libvirtError as error:
        print(error.get_error_code())
"
    );
    let told = daemon.python(&script);
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines, ["True", "True", "1 True", "1", "8", "39", "84", "8"], "{told}");
}

#[test]
fn guest_with_an_agent_tells_clients_of_itself() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    with_agent(&bench, "unix");
    let daemon = Daemon::start(&bench);
    assert!(daemon.ok(&["guestinfo", "linux", "--os"]).contains("os.kernel-release"));
    let list = daemon.ok(&["domfsinfo", "linux"]);
    assert!(list.contains("/mnt") && list.contains("ext4"), "{list}");
    assert!(daemon.ok(&["guestinfo", "linux", "--interface"]).contains("if.count"));
    assert!(daemon.ok(&["guestvcpus", "linux"]).contains("online"));
    daemon.ok(&["guestvcpus", "linux", "--cpulist", "0", "--enable"]);
    // The only one that it has, and one that it does not have.
    for cpu in ["0", "5"] {
        assert_eq!(daemon.virsh(&["guestvcpus", "linux", "--cpulist", cpu, "--disable"]).status, 1, "{cpu}");
    }
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGd1ZXN0LWtleS1vZi1hLXRlc3Q= somebody@nowhere";
    let file = bench.write("keys", &format!("{key}\n"));
    daemon.ok(&["set-user-sshkeys", "linux", "root", "--file", file.to_str().unwrap()]);
    assert!(daemon.ok(&["get-user-sshkeys", "linux", "root"]).contains(key));
    daemon.ok(&["set-user-sshkeys", "linux", "root", "--remove", "--file", file.to_str().unwrap()]);
    assert!(!daemon.ok(&["get-user-sshkeys", "linux", "root"]).contains(key));
    assert_eq!(daemon.virsh(&["get-user-sshkeys", "linux", "nobody-there"]).status, 1);
    let time = daemon.ok(&["domtime", "linux"]);
    assert!(time.starts_with("Time: ") && time != "Time: 0", "{time}");
    assert!(daemon.ok(&["domfsfreeze", "linux"]).contains('1'));
    let frozen = daemon.virsh(&["domfsinfo", "linux"]);
    assert_eq!(frozen.status, 1, "{}", frozen.stdout);
    assert!(daemon.ok(&["domfsthaw", "linux"]).contains('1'));
    let told = daemon.ok(&["qemu-agent-command", "linux", "{\"execute\": \"guest-ping\"}"]);
    assert_eq!(told, "{\"return\":{}}");
}
