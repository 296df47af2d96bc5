//! Networks of the host's: what they are made of, guests in them, and what is left of whatever is killed.
//!
//! Everything here is done in a network namespace of the test's own, so that the host's network stays as it is.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::daemon::{Daemon, clients_are_here};
use crate::kill::{killed_at, list_fits, points};
use crate::workbench::{GUEST_SECONDS, Workbench, guest, rom_domain, until, without_rom};

/// System calls at which a command that starts or stops a network is killed: what it writes, says to the kernel and runs.
const KILL_AT: &[(&str, &[u32])] = &[
    ("renameat,renameat2,rename", &[1, 2, 3]),
    ("sendmsg,sendto", &[2, 4, 6, 8, 10, 12, 14]),
    ("clone,clone3,vfork", &[2, 3, 4, 5, 6, 7]),
    ("pidfd_open", &[1]),
    ("unlink,unlinkat", &[1, 2]),
];

/// A network namespace of the test's own; what still runs in it ends with it.
pub(crate) struct Namespace(pub(crate) String);

impl Namespace {
    /// A new one; nothing where this user or this kernel has none, which is said.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let name = format!("hostler-{}-{name}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).output().expect("ip is installed");
        if !made.status.success() {
            eprintln!("SKIPPED: no network namespace: {}", String::from_utf8_lossy(&made.stderr));
            return None;
        }
        let namespace = Self(name);
        for (path, what) in
            [("/dev/net/tun", "tap devices"), ("/usr/sbin/nft", "nftables"), ("/usr/sbin/dnsmasq", "dnsmasq")]
        {
            if !std::path::Path::new(path).exists() {
                eprintln!("SKIPPED: no {what} on this machine ({path})");
                return None;
            }
        }
        namespace.ip("link set lo up");
        Some(namespace)
    }

    /// What `ip` says in it.
    pub(crate) fn ip(&self, words: &str) -> String {
        self.said("ip", words)
    }

    /// What `tc` says in it.
    fn tc(&self, words: &str) -> String {
        self.said("tc", words)
    }

    fn said(&self, program: &str, words: &str) -> String {
        let output = Command::new(program).args(["-n", &self.0]).args(words.split(' ')).output().unwrap();
        assert!(output.status.success(), "{program} {words}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Joins it to another one by a cable: it is 10.99.0.1 there, and the other 10.99.0.2.
    pub(crate) fn meet(&self, beyond: &Self) {
        self.ip(&format!("link add up0 type veth peer name up1 netns {}", beyond.0));
        self.ip("addr add 10.99.0.1/30 dev up0");
        self.ip("link set up0 up");
        beyond.ip("addr add 10.99.0.2/30 dev up1");
        beyond.ip("link set up1 up");
    }

    /// Every device in it but the one that is always there.
    fn devices(&self) -> Vec<String> {
        let listed = self.ip("-o link show");
        let names = listed.lines().filter_map(|line| line.split(": ").nth(1));
        let names = names.map(|name| name.split('@').next().unwrap().to_owned());
        names.filter(|name| name != "lo").collect()
    }

    fn rules(&self) -> String {
        let mut nft = Command::new("nsenter");
        nft.arg(format!("--net=/run/netns/{}", self.0)).args(["nft", "list", "ruleset"]);
        String::from_utf8_lossy(&nft.output().unwrap().stdout).into_owned()
    }

    /// Programs of this name that run in it.
    pub(crate) fn running(&self, program: &str) -> Vec<i32> {
        let listed = Command::new("ip").args(["netns", "pids", &self.0]).output().unwrap();
        let pids = String::from_utf8_lossy(&listed.stdout).into_owned();
        let is_program = |pid: &i32| {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == program)
        };
        pids.lines().filter_map(|pid| pid.trim().parse().ok()).filter(is_program).collect()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        for pid in self.running("dnsmasq") {
            kill(pid);
        }
        Command::new("ip").args(["netns", "del", &self.0]).output().ok();
    }
}

fn kill(pid: i32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
    }
}

/// A workbench in a namespace of its own, with the definition of a network.
fn bench(name: &str, xml: &str) -> Option<(Namespace, Workbench)> {
    let namespace = Namespace::new(name)?;
    let mut bench = Workbench::new();
    bench.within(&namespace.0);
    define(&bench, xml);
    Some((namespace, bench))
}

fn define(bench: &Workbench, xml: &str) -> Value {
    let file = bench.write("network.xml", xml);
    bench.json(&["net", "define", file.to_str().unwrap()])
}

const LAB: &str = "<network><name>lab</name><forward mode='nat'/><bridge stp='off'/><domain name='lab.test'/>\
    <ip address='192.168.77.1' prefix='24'><dhcp><range start='192.168.77.10' end='192.168.77.99'/>\
    <host mac='52:54:00:77:00:02' name='known' ip='192.168.77.202'/></dhcp></ip></network>";

fn interface(kind: &str, mac: &str) -> String {
    format!("<interface {kind}<mac address='{mac}'/><model type='virtio'/></interface>")
}

fn in_lab(mac: &str) -> String {
    interface("type='network'><source network='lab'/>", mac)
}

/// A Linux guest that asks for addresses, and does what these words say.
pub(crate) fn linux(name: &str, interfaces: &str, words: &str) -> String {
    format!(
        "<domain type='qemu'><name>{name}</name><memory unit='MiB'>256</memory><os><type arch='x86_64' machine='q35'>\
         hvm</type><kernel>{kernel}</kernel><initrd>{initrd}</initrd><cmdline>console=ttyS0 quiet panic=-1 \
         hostler.id={name} hostler.dhcp {words}</cmdline></os><features><acpi/></features>\
         <on_poweroff>destroy</on_poweroff><devices>{interfaces}<serial type='pty'/></devices></domain>",
        kernel = guest("vmlinuz").display(),
        initrd = guest("initrd.gz").display(),
    )
}

pub(crate) fn rom(name: &str, interfaces: &str) -> String {
    rom_domain(name, "qemu").replace("<memballoon", &format!("{interfaces}<memballoon"))
}

fn active(bench: &Workbench) -> bool {
    bench.json(&["net", "show", "lab"])["active"].as_bool().unwrap()
}

#[test]
fn network_is_made_found_again_and_taken_away() {
    let Some((namespace, mut bench)) = bench("made", LAB) else { return };
    let again = define(&bench, &bench.ok(&["net", "xml", "lab"]));
    assert_eq!(
        (again["created"].as_bool(), again["network"]["bridge"].as_str()),
        (Some(false), Some("hostler0"))
    );
    bench.ok(&["net", "start", "lab"]);
    let shown = bench.json(&["net", "show", "lab"]);
    assert_eq!((shown["active"].as_bool(), shown["missing"].as_array().unwrap().len()), (Some(true), 0));
    assert!(namespace.ip("addr show hostler0").contains("inet 192.168.77.1/24"));
    assert!(namespace.rules().contains("192.168.77.0/24") && namespace.rules().contains("masquerade"));
    let server = namespace.running("dnsmasq");
    assert_eq!(server.len(), 1);
    let refused = bench.run(&["net", "start", "lab"]);
    assert!(refused.status == 5 && refused.stderr.contains("network.active"), "{}", refused.stderr);
    // Whatever is lost of it is made anew by the next command that changes anything.
    kill(server[0]);
    until("dnsmasq is gone", || namespace.running("dnsmasq").is_empty());
    assert_eq!(bench.json(&["net", "show", "lab"])["missing"][0], "its dnsmasq");
    bench.ok(&["net", "autostart", "lab"]);
    assert_eq!(namespace.running("dnsmasq").len(), 1);
    assert_eq!(bench.run(&["net", "undefine", "lab"]).status, 5);
    // From another namespace nothing of it is made anew, and it is not stopped by halves.
    bench.within_none();
    let elsewhere = bench.run(&["net", "stop", "lab"]);
    assert!(elsewhere.status == 5 && elsewhere.stderr.contains("network.elsewhere"), "{}", elsewhere.stderr);
    bench.within(&namespace.0);
    bench.ok(&["net", "stop", "lab"]);
    assert!(namespace.devices().is_empty() && namespace.running("dnsmasq").is_empty());
    assert!(!namespace.rules().contains("hostler_"), "{}", namespace.rules());
    bench.ok(&["net", "undefine", "lab"]);
    assert_eq!(bench.run(&["net", "show", "lab"]).status, 3);
}

#[test]
fn guest_gets_an_address_and_reaches_the_host_and_beyond_in_its_cage() {
    let Some((namespace, bench)) = bench("guest", LAB) else { return };
    // A host beyond this one, which knows no way back to the guest's addresses.
    let Some(beyond) = Namespace::new("beyond") else { return };
    namespace.meet(&beyond);
    bench.ok(&["net", "start", "lab"]);
    bench.define(&linux("vm", &in_lab("52:54:00:77:00:02"), "hostler.reach=192.168.77.1,10.99.0.2"));
    bench.ok(&["start", "vm"]);
    let console = bench.ok(&["console", "vm", "--until", "hostler-guest: ready", "--timeout", GUEST_SECONDS]);
    for line in [
        "address=192.168.77.202 router=192.168.77.1 names=192.168.77.1",
        "hostler-guest: reached 192.168.77.1",
        "hostler-guest: reached 10.99.0.2",
    ] {
        assert!(console.contains(line), "'{line}' is not in: {console}");
    }
    let leases = bench.json(&["net", "leases", "lab"]);
    let lease = &leases["leases"][0];
    assert!(lease["ip"] == "192.168.77.202" && lease["mac"] == "52:54:00:77:00:02", "{leases}");
    let shown = bench.json(&["net", "show", "lab"]);
    assert_eq!((&shown["ports"][0], &shown["domains"][0]), (&"vnet0".into(), &"vm".into()));
    let record = bench.process_record("vm");
    let cage = record.cage.as_ref().expect("it is caged");
    assert!(!cage.host_network, "a tap needs nothing of the host's network");
    let refused = bench.run(&["net", "stop", "lab"]);
    assert!(refused.status == 5 && refused.stderr.contains("vnet0"), "{}", refused.stderr);
    bench.ok(&["destroy", "vm"]);
    until("the tap is gone", || !namespace.devices().contains(&"vnet0".to_owned()));
    bench.ok(&["net", "stop", "lab"]);
}

#[test]
fn interfaces_are_joined_as_their_document_says_and_gone_with_whoever_has_them() {
    let Some((namespace, bench)) = bench("joined", LAB) else { return };
    namespace.ip("link add br9 mtu 1400 type bridge");
    namespace.ip("link set br9 up");
    namespace.ip("tuntap add dev mine mode tap");
    bench.ok(&["net", "start", "lab"]);
    let interfaces = [
        in_lab("52:54:00:77:00:03"),
        interface(
            "type='bridge'><source bridge='br9'/><target dev='guest9'/><link state='down'/>",
            "52:54:00:77:00:04",
        ),
        interface("type='ethernet'><target dev='alone'/><mtu size='1300'/>", "52:54:00:77:00:05"),
        interface("type='ethernet'><target dev='mine' managed='no'/>", "52:54:00:77:00:06"),
        interface(
            "type='bridge'><source bridge='br9'/><driver queues='2'/><target dev='wide'/>",
            "52:54:00:77:00:07",
        ),
    ];
    bench.define(&rom("vm", &interfaces.concat()));
    let native = bench.ok(&["native", "vm"]);
    assert!(native.contains("\"type\":\"tap\"") && native.contains("\"fds\":\"1729:1730\""), "{native}");
    bench.ok(&["start", "vm"]);
    assert!(namespace.ip("-d link show vnet0").contains("master hostler0"));
    let guest9 = namespace.ip("-d link show guest9");
    assert!(
        guest9.contains("master br9") && guest9.contains("mtu 1400") && guest9.contains("fe:54:00:77:00:04"),
        "{guest9}"
    );
    let alone = namespace.ip("-d link show alone");
    assert!(alone.contains("mtu 1300") && !alone.contains("master") && alone.contains(",UP"), "{alone}");
    assert!(namespace.ip("-d link show wide").contains("multi_queue"));
    let taken = bench.run(&["run", bench.write("two.xml", &rom("two", &interfaces[3])).to_str().unwrap()]);
    assert!(taken.status != 0 && taken.stderr.contains("a tap is one guest's"), "{}", taken.stderr);
    // Killed at once, both of them: nobody cleans up, and nothing of it is left but what was somebody else's.
    let record = bench.process_record("vm");
    for pid in [record.shim.pid, record.program.pid] {
        kill(i32::try_from(pid).unwrap());
    }
    until("the taps are gone", || {
        namespace.devices().iter().all(|name| ["hostler0", "br9", "mine"].contains(&name.as_str()))
    });
    assert_eq!(namespace.devices().len(), 3);
    until("the guest is gone", || bench.state_of("vm").as_deref() == Some("off"));
    bench.ok(&["start", "vm"]);
    bench.ok(&["destroy", "vm"]);
}

#[test]
fn what_goes_through_an_interface_is_limited_each_way() {
    let Some((namespace, bench)) = bench("rates", LAB) else { return };
    bench.ok(&["net", "start", "lab"]);
    let mac = "52:54:00:77:00:21";
    let limited = in_lab(mac).replace(
        "<model",
        "<bandwidth><inbound average='1000' peak='2000' burst='512'/><outbound average='500'/></bandwidth><model",
    );
    bench.define(&rom("vm", &limited));
    bench.ok(&["start", "vm"]);
    let class = |device: &str| namespace.tc(&format!("class show dev {device}"));
    let through = || namespace.devices().into_iter().find(|name| name.starts_with("hifb"));
    assert!(class("vnet0").contains("rate 8Mbit ceil 16Mbit burst 512Kb"), "{}", class("vnet0"));
    let first = through().unwrap();
    assert!(class(&first).contains("rate 4Mbit ceil 4Mbit"), "{}", class(&first));
    let redirected = namespace.tc("filter show dev vnet0 parent ffff:");
    assert!(redirected.contains(&format!("to device {first}")), "{redirected}");
    let shown = bench.ok(&["xml", "vm"]);
    assert!(shown.contains("<target dev='vnet0'/>") && shown.contains("<alias name='net0'/>"), "{shown}");
    // Defined by what is shown, it has none of that run's names.
    bench.define(&shown);
    let stored = bench.ok(&["xml", "vm", "--stored"]);
    assert!(!stored.contains("<target dev") && !stored.contains("<alias"), "{stored}");
    // One way is changed, the other stays; by any of its names.
    bench.ok(&["bandwidth", "vm", "vnet0", "--inbound", "3000", "--live"]);
    assert!(class("vnet0").contains("rate 24Mbit ceil 24Mbit") && class(&first).contains("rate 4Mbit"));
    let now = bench.json(&["bandwidth", "vm", mac]);
    assert_eq!((&now["inbound"]["average"], &now["outbound"]["average"]), (&3_000.into(), &500.into()));
    bench.ok(&["bandwidth", "vm", "net0", "--outbound", "600", "--live"]);
    assert!(class(&first).contains("rate 4800Kbit"), "{}", class(&first));
    let stored = bench.json(&["bandwidth", "vm", mac, "--config"]);
    assert_eq!((&stored["inbound"]["peak"], &stored["outbound"]["average"]), (&2_000.into(), &500.into()));
    // Stored, it has no alias, and is the same interface.
    bench.ok(&["bandwidth", "vm", "net0", "--outbound", "650"]);
    assert_eq!(bench.json(&["bandwidth", "vm", "net0", "--config"])["outbound"]["average"], 650);
    bench.ok(&["bandwidth", "vm", mac, "--inbound", "none", "--outbound", "none"]);
    assert!(class("vnet0").is_empty() && through().is_none(), "{}", class("vnet0"));
    assert!(!bench.ok(&["xml", "vm", "--stored"]).contains("bandwidth"));
    for (call, code) in [
        (["bandwidth", "vm", "vnet7", "--inbound", "1"], "device.not-found"),
        (["bandwidth", "vm", "vnet0", "--inbound", "1MiB"], "kilobytes in a second"),
    ] {
        let refused = bench.run(&call);
        assert!(refused.status != 0 && refused.stderr.contains(code), "{call:?}: {}", refused.stderr);
    }
    bench.ok(&["bandwidth", "vm", mac, "--outbound", "700"]);
    bench.ok(&["destroy", "vm"]);
    // What is left of a guest that has ended goes with the next limit.
    bench.ok(&["start", "vm"]);
    until("one device is left", || {
        namespace.devices().iter().filter(|name| name.starts_with("hifb")).count() == 1
    });
    bench.ok(&["destroy", "vm"]);
    let unconnected =
        interface("type='user'><bandwidth><inbound average='1'/></bandwidth>", "52:54:00:77:00:22");
    let told =
        bench.json(&["define", bench.write("user.xml", &rom("other", &unconnected)).to_str().unwrap()]);
    assert!(told["warnings"].to_string().contains("no device of this host connects"), "{told}");
}

#[test]
fn network_keeps_to_its_rates() {
    let rates =
        "<bandwidth><inbound average='2000' burst='256'/><outbound average='1000'/></bandwidth><domain";
    let Some((namespace, bench)) = bench("netrates", &LAB.replace("<domain", rates)) else { return };
    bench.ok(&["net", "start", "lab"]);
    let class = |device: &str| namespace.tc(&format!("class show dev {device}"));
    assert!(class("hostler0").contains("rate 16Mbit ceil 16Mbit burst 256Kb"), "{}", class("hostler0"));
    let through = namespace.devices().into_iter().find(|name| name.starts_with("hifb")).unwrap();
    assert!(class(&through).contains("rate 8Mbit ceil 8Mbit"), "{}", class(&through));
    bench.ok(&["net", "stop", "lab"]);
}

#[test]
fn interface_is_plugged_in_and_out_and_its_cable_too() {
    let Some((namespace, bench)) = bench("plugged", LAB) else { return };
    bench.ok(&["net", "start", "lab"]);
    // The guest has loaded what drives such devices, for it has one from its beginning.
    let first = interface("type='user'>", "52:54:00:77:00:01");
    let watching = linux("vm", &first, "hostler.reach=192.168.77.1")
        .replace("hostler.dhcp hostler.reach=192.168.77.1", "hostler.watch")
        .replace("machine='q35'", "machine='pc'");
    bench.define(&watching);
    bench.ok(&["start", "vm"]);
    let says = |text: &str| bench.ok(&["console", "vm", "--until", text, "--timeout", GUEST_SECONDS]);
    says("hostler-guest: ready");
    let element = bench.write("net.xml", &in_lab("52:54:00:77:00:08"));
    let element: &str = element.to_str().unwrap();
    bench.ok(&["attach", "vm", element]);
    says("plugged net eth1 mac=52:54:00:77:00:08");
    says("carrier eth1 1");
    assert_eq!(namespace.devices(), ["hostler0", "vnet0"]);
    for (state, seen) in
        [("down", "carrier eth1 0"), ("up", "carrier eth1 0\r\nhostler-guest: carrier eth1 1")]
    {
        let changed = bench.json(&["link", "vm", "52:54:00:77:00:08", state]);
        assert_eq!((&changed["live"], &changed["stored"]), (&true.into(), &true.into()));
        for which in [&["xml", "vm"][..], &["xml", "vm", "--stored"]] {
            assert!(bench.ok(which).replace('"', "'").contains(&format!("<link state='{state}'/>")));
        }
        says(seen);
    }
    bench.ok(&["detach", "vm", "52:54:00:77:00:08"]);
    says("unplugged eth1");
    until("the tap is gone", || namespace.devices() == ["hostler0"]);
    bench.ok(&["net", "stop", "lab"]);
    let refused = bench.run(&["attach", "vm", element]);
    assert!(refused.status == 5 && refused.stderr.contains("hostler net start lab"), "{}", refused.stderr);
    assert!(!bench.ok(&["xml", "vm"]).contains("77:00:08"), "nothing has changed");
    bench.ok(&["destroy", "vm"]);
    let gone = bench.run(&["link", "vm", "52:54:00:77:00:08", "down"]);
    assert_eq!(gone.status, 3, "{}", gone.stderr);
}

#[test]
fn network_command_killed_at_any_step_leaves_a_whole_network_or_nothing() {
    let Some((namespace, bench)) = bench("killed", LAB) else { return };
    let (mut interrupted, list) = (0, points(KILL_AT));
    for verb in ["start", "stop"] {
        for (calls, count) in &list {
            let at = format!("{verb} {calls} {count}");
            if active(&bench) != (verb == "stop") {
                bench.ok(&["net", if verb == "stop" { "start" } else { "stop" }, "lab"]);
            }
            interrupted += u32::from(!killed_at(&bench, &["net", verb, "lab"], calls, *count));
            // Any owner settles; this one has nothing else to do.
            bench.run(&["destroy", "nobody"]);
            let shown = bench.json(&["net", "show", "lab"]);
            let there = shown["active"].as_bool().unwrap();
            assert!(shown["missing"].as_array().unwrap().is_empty(), "{at}: {shown}");
            assert_eq!(namespace.devices().len(), usize::from(there), "{at}");
            assert_eq!(namespace.running("dnsmasq").len(), usize::from(there), "{at}");
            assert_eq!(namespace.rules().contains("hostler_"), there, "{at}");
        }
    }
    list_fits(interrupted, list.len() * 2);
}

#[test]
fn what_cannot_be_is_refused_with_its_place_and_a_remedy() {
    let Some((namespace, mut bench)) = bench("refused", LAB) else { return };
    let refused = |bench: &Workbench, words: &[&str], code: &str, word: &str| {
        let answer = bench.run(words);
        assert!(
            answer.status != 0 && answer.stderr.contains(code) && answer.stderr.contains(word),
            "{}",
            answer.stderr
        );
        assert!(answer.stderr.contains("hint"), "{}", answer.stderr);
    };
    let file = |name: &str, xml: &str| -> PathBuf { bench.write(name, xml) };
    for (xml, code, word) in [
        ("<network><name>two</name><bridge name='hostler0'/></network>", "network.exists", "lab"),
        (
            "<network><name>two</name><ip address='192.168.77.9' prefix='28'/></network>",
            "network.addresses-taken",
            "lab",
        ),
        ("<network><name>two</name><ip address='192.168.1.300'/></network>", "xml.", "192.168.1.300"),
    ] {
        let answer = bench.run(&["net", "define", file("two.xml", xml).to_str().unwrap()]);
        assert!(
            answer.status != 0 && answer.stderr.contains(code) && answer.stderr.contains(word),
            "{}",
            answer.stderr
        );
    }
    namespace.ip("link add other type bridge");
    namespace.ip("addr add 192.168.77.7/24 dev other");
    refused(&bench, &["net", "start", "lab"], "network.addresses-taken", "other");
    namespace.ip("link del other");
    namespace.ip("link add hostler0 type bridge");
    refused(&bench, &["net", "start", "lab"], "network.bridge-taken", "hostler0");
    assert_eq!(namespace.devices(), ["hostler0"], "what is somebody else's stays");
    namespace.ip("link del hostler0");
    for (name, element, code, word) in [
        ("a", in_lab("52:54:00:77:00:09"), "network.inactive", "hostler net start lab"),
        ("b", in_lab("52:54:00:77:00:09").replace("lab", "lba"), "network.not-found", "did you mean 'lab'"),
        (
            "c",
            interface("type='bridge'><source bridge='br0'/>", "52:54:00:77:00:09"),
            "network.no-bridge",
            "br0",
        ),
        (
            "d",
            interface("type='bridge'><source bridge='lo'/>", "52:54:00:77:00:09"),
            "network.no-bridge",
            "no bridge",
        ),
        (
            "e",
            interface("type='ethernet'><target dev='lo'/>", "52:54:00:77:00:09"),
            "network.device-exists",
            "managed",
        ),
        (
            "f",
            interface("type='ethernet'><target dev='x' managed='no'/>", "52:54:00:77:00:09"),
            "network.no-device",
            "ip tuntap add x",
        ),
    ] {
        bench.define(&rom(name, &element));
        refused(&bench, &["start", name], code, word);
        assert!(namespace.devices().is_empty(), "{name}");
    }
    // Who is not root is told so before anything is made.
    bench.set("HOSTLER_CAGE", "off".into());
    let mut other = bench.program("setpriv".as_ref());
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let xml = place.path().join("network.xml");
    std::fs::write(&xml, LAB).unwrap();
    let script = format!(
        "h='{hostler} --state-dir {state}/state'; $h net define {xml} && $h net start lab",
        hostler = crate::workbench::built("hostler").display(),
        state = place.path().display(),
        xml = xml.display()
    );
    let output = other
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", &script])
        .env("HOSTLER_CACHE_DIR", place.path().join("cache"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("Permission denied") && !said.contains("error[") {
        eprintln!("SKIPPED: another user cannot run what is built here: {said}");
        return;
    }
    assert!(said.contains("network.permission-denied") && said.contains("root"), "{said}");
}

#[test]
fn tenant_is_connected_to_what_the_operator_allows_and_to_nothing_else() {
    let Some((namespace, bench)) = bench("tenant", LAB) else { return };
    namespace.ip("link add br9 type bridge");
    bench.ok(&["net", "start", "lab"]);
    bench.ok(&["tenant", "create", "blue", "--driver", "qemu"]);
    let blue = |words: &[&str]| bench.run(&[&["--tenant", "blue"], words].concat());
    for words in [&["net", "list"][..], &["net", "stop", "lab"], &["net", "leases", "lab"]] {
        let refused = blue(words);
        assert!(
            refused.status != 0 && refused.stderr.contains("network.operator-only"),
            "{}",
            refused.stderr
        );
    }
    for (element, word) in [
        (in_lab("52:54:00:77:00:0a"), "--network lab"),
        (in_lab("52:54:00:77:00:0a").replace("lab", "nothing"), "--network nothing"),
        (interface("type='bridge'><source bridge='br9'/>", "52:54:00:77:00:0a"), "--bridge br9"),
        (interface("type='ethernet'><target dev='x'/>", "52:54:00:77:00:0a"), "type='network'"),
    ] {
        // The ROM of the tests lies in no root of the tenant.
        let file = bench.write("vm.xml", &without_rom(&rom("vm", &element)));
        assert_eq!(blue(&["define", file.to_str().unwrap()]).status, 0);
        let refused = blue(&["start", "vm"]);
        assert!(
            refused.stderr.contains("tenant.network") && refused.stderr.contains(word),
            "{}",
            refused.stderr
        );
        let Some(allowing) = word.strip_prefix("--").filter(|word| !word.contains("nothing")) else {
            continue;
        };
        let (what, name) = allowing.split_once(' ').unwrap_or(("", ""));
        if !name.is_empty() {
            bench.ok(&["tenant", "allow", "blue", &format!("--{what}"), name]);
            let started = blue(&["start", "vm"]);
            assert_eq!(started.status, 0, "{}", started.stderr);
            assert!(namespace.ip("-d link show vnet0").contains("master"));
            assert_eq!(blue(&["destroy", "vm"]).status, 0);
            bench.ok(&["tenant", "deny", "blue", &format!("--{what}"), name]);
            assert_ne!(blue(&["start", "vm"]).status, 0, "from the next command on");
        }
    }
}

#[test]
fn virsh_takes_a_network_through_its_life() {
    if !clients_are_here() {
        return;
    }
    let Some((namespace, bench)) = bench("virsh", LAB) else { return };
    let daemon = Daemon::start(&bench);
    assert_eq!(daemon.ok(&["net-list", "--all", "--name"]), "lab");
    assert_eq!(daemon.ok(&["net-list", "--name"]), "");
    daemon.ok(&["net-start", "lab"]);
    daemon.ok(&["net-autostart", "lab"]);
    let info = daemon.ok(&["net-info", "lab"]);
    let bridge = namespace.devices().into_iter().next().unwrap();
    for line in ["Active:         yes", "Persistent:     yes", "Autostart:      yes", &bridge] {
        assert!(info.contains(line), "{line}: {info}");
    }
    assert!(daemon.ok(&["net-dumpxml", "lab"]).contains("<forward mode='nat'/>"));
    assert!(daemon.virsh(&["net-start", "lab"]).stderr.contains("network is already active"));
    assert!(daemon.virsh(&["net-info", "nobody"]).stderr.contains("no network with matching name 'nobody'"));
    daemon.ok(&["net-destroy", "lab"]);
    assert_eq!(namespace.devices(), Vec::<String>::new());
    let file = bench.write("other.xml", &LAB.replace("lab", "other").replace("192.168.77", "192.168.78"));
    daemon.ok(&["net-define", file.to_str().unwrap()]);
    daemon.ok(&["net-undefine", "lab"]);
    assert_eq!(daemon.ok(&["net-list", "--all", "--name"]), "other");
}
