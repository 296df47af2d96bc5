//! User-mode networks that passt carries, in a cage of its own beside a hypervisor that has no network.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use crate::networks::{Namespace, linux, rom};
use crate::tenants::Shared;
use crate::workbench::{GUEST_SECONDS, Workbench, kill, until, without_rom};

/// Answers each who greets with one line; says when it listens.
const SAYS: &str = "import socket,sys\ns=socket.create_server((sys.argv[1],int(sys.argv[2])))\nprint('listens',flush=True)\n\
    while True:\n c,_=s.accept()\n c.recv(4096)\n c.sendall(sys.argv[3].encode()+b'\\n')\n c.close()\n";
/// What somebody says to whoever connects, and greets: passt of 2023 completes a connection into the guest with the first bytes.
const ASKS: &str = "import socket,sys\ns=socket.create_connection((sys.argv[1],int(sys.argv[2])),30)\n\
    s.sendall(b'hello\\n')\nprint(s.makefile().readline(),end='')\n";

/// A program that ends with the test.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Who answers at this port where the commands of the bench are run.
fn service(bench: &Workbench, address: &str, port: &str, text: &str) -> Service {
    let mut python = bench.program("python3".as_ref());
    let mut child =
        python.args(["-c", SAYS, address, port, text]).stdout(Stdio::piped()).spawn().expect("python3 runs");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let service = Service(child);
    assert_eq!(line, "listens\n", "nobody listens at {address}:{port}");
    service
}

fn ask(bench: &Workbench, address: &str, port: &str) -> String {
    let mut python = bench.program("python3".as_ref());
    let output = python.args(["-c", ASKS, address, port]).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A host that reaches another one, and a bench there: the host beyond, the host, the bench.
fn scene(name: &str) -> Option<(Namespace, Namespace, Workbench)> {
    let (namespace, beyond) = (Namespace::new(name)?, Namespace::new(&format!("{name}-far"))?);
    namespace.meet(&beyond);
    namespace.ip("route add default via 10.99.0.2 dev up0");
    let mut bench = Workbench::new();
    bench.within(&namespace.0);
    Some((beyond, namespace, bench))
}

fn interface(more: &str) -> String {
    format!(
        "<interface type='user'><mac address='52:54:00:77:00:09'/><source dev='up0'/><backend type='passt'/>\
         <model type='virtio'/>{more}</interface>"
    )
}

fn forward(address: &str, port: u32) -> String {
    format!(
        "<portForward proto='tcp' {address}><range start='{port}' to='22'/></portForward>\
         <portForward proto='udp' {address}><range start='{port}' end='{}'/></portForward>",
        port + 3
    )
}

#[test]
fn guest_reaches_what_the_host_reaches_and_is_reached_where_its_document_says() {
    let Some((beyond, namespace, bench)) = scene("passt") else { return };
    let mut far = Workbench::new();
    far.within(&beyond.0);
    let _far = service(&far, "10.99.0.2", "7000", "beyond");
    // A guest that asks the address of its gateway reaches that, and not what the host keeps to itself.
    let _own = service(&bench, "127.0.0.1", "7000", "of the host alone");
    let interface = interface(&forward("address='127.0.0.1'", 2222));
    bench.define(&linux("linux", &interface, "hostler.fetch=10.99.0.2:7000 hostler.serve=22"));
    let native = bench.ok(&["native", "linux"]);
    assert!(
        native.contains(r#""type":"stream","addr":{"type":"fd","str":"net0"},"server":false"#),
        "{native}"
    );
    bench.ok(&["start", "linux"]);
    let console =
        bench.ok(&["console", "linux", "--until", "hostler-guest: ready", "--timeout", GUEST_SECONDS]);
    for line in ["address=10.99.0.1 router=10.99.0.2", "hostler-guest: fetched beyond"] {
        assert!(console.contains(line), "'{line}' is not in: {console}");
    }
    assert_eq!(ask(&bench, "127.0.0.1", "2222"), "served by linux\n");
    let record = bench.process_record("linux");
    let [program] = record.companions.as_slice() else { panic!("{record:?}") };
    assert_eq!((program.name.as_str(), program.template.as_str()), ("net0", "passt"));
    assert!(program.cage.as_ref().unwrap().host_network && !record.cage.as_ref().unwrap().host_network);
    // It is as another guest to whoever looks from outside: it comes back from a file with its network.
    bench.ok(&["save", "linux"]);
    assert!(namespace.running("passt").is_empty());
    bench.ok(&["start", "linux"]);
    until("the guest answers again", || ask(&bench, "127.0.0.1", "2222") == "served by linux\n");
    bench.ok(&["destroy", "linux"]);
    assert!(bench.running("passt").is_empty());
}

#[test]
fn program_is_in_a_cage_of_its_own_and_the_guest_goes_on_without_it() {
    let Some((_beyond, _namespace, bench)) = scene("passt-cage") else { return };
    bench.define(&rom("rom", &interface("")));
    bench.ok(&["start", "rom"]);
    let record = bench.process_record("rom");
    let pid = record.companions[0].process.pid;
    let process = PathBuf::from(format!("/proc/{pid}"));
    let status = std::fs::read_to_string(process.join("status")).unwrap();
    for line in ["CapPrm:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    let its = record.companions[0].cage.as_ref().unwrap();
    assert_eq!(its.landlock_abi, record.cage.as_ref().unwrap().landlock_abi);
    if rustix::process::geteuid().is_root() {
        assert!(std::fs::metadata(&process).unwrap().uid() == its.uid && its.uid != 0);
    }
    for namespace in ["mnt", "pid", "user", "ipc"] {
        let of = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/{namespace}")).unwrap();
        assert!(of(pid) != of(std::process::id()) && of(pid) != of(record.program.pid), "{namespace}");
    }
    let net = |pid: u32| std::fs::metadata(format!("/proc/{pid}/ns/net")).unwrap().ino();
    assert!(net(pid) != net(record.program.pid), "the hypervisor has no network");
    let seen: Vec<_> =
        std::fs::read_dir(process.join("root")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(!seen.iter().any(|name| name == "home" || name == "root" || name == "var"), "{seen:?}");

    kill(pid);
    until("the event", || bench.ok(&["events"]).contains("companion-ended"));
    assert!(bench.ok(&["show", "rom"]).contains("net0 (passt, ended"));
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"));
    let plugged = bench.write("interface.xml", &interface("").replace(":09'", ":10'"));
    let refused = bench.run(&["attach", "rom", plugged.to_str().unwrap()]);
    assert!(
        refused.status != 0 && refused.stderr.contains("qemu.hotplug-companion"),
        "{}{}",
        refused.stdout,
        refused.stderr
    );
    bench.ok(&["destroy", "rom"]);
}

#[test]
fn ports_that_cannot_be_had_keep_the_guest_from_starting() {
    let Some((_beyond, _namespace, bench)) = scene("passt-ports") else { return };
    let _taken = service(&bench, "127.0.0.1", "2222", "here");
    bench.define(&rom("rom", &interface(&forward("address='127.0.0.1'", 2222))));
    let refused = bench.run(&["start", "rom"]);
    assert!(refused.status != 0 && refused.stderr.contains("2222"), "{}", refused.stderr);
    assert!(bench.running("passt").is_empty() && bench.processes().is_empty());
    assert_eq!(bench.state_of("rom").as_deref(), Some("off"));
    // Without passt there are none to lead anywhere.
    let without = interface(&forward("", 2300)).replace("<backend type='passt'/>", "");
    let file = bench.write("without.xml", &rom("without", &without.replace("<source dev='up0'/>", "")));
    let refused = bench.run(&["define", file.to_str().unwrap()]);
    assert!(refused.status != 0 && refused.stderr.contains("<backend type='passt'/>"), "{}", refused.stderr);
}

#[test]
fn tenants_have_no_ports_that_others_than_the_hosts_users_reach() {
    let shared = Shared::new(&["a"]);
    let start = |name: &str, address: &str| {
        let interface = interface(&forward(address, 2400)).replace("<source dev='up0'/>", "");
        // The ROM of the tests lies in no root of the tenant.
        let file = shared.0.write("tenant.xml", &without_rom(&rom(name, &interface)));
        let defined = shared.run("a", &["define", file.to_str().unwrap()]);
        assert_eq!(defined.status, 0, "{}", defined.stderr);
        shared.run("a", &["start", name])
    };
    for (name, address) in [("open", ""), ("here", "address='192.0.2.2'"), ("dev", "dev='eth0'")] {
        let refused = start(name, address);
        assert!(
            refused.status != 0
                && refused.stderr.contains("tenant.network")
                && refused.stderr.contains("address='127.0.0.1'"),
            "{}",
            refused.stderr
        );
    }
    assert!(shared.0.processes().is_empty());
}
