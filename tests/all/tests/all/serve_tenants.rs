//! One daemon and many tenants: each is served what is its own, and finds nothing of the others.

use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::{Daemon, Stranger, clients_are_here, virsh};
use crate::tenants::Shared;
use crate::workbench::{guest, rom_domain};

const BLUE: Stranger = Stranger(40_001);
const RED: Stranger = Stranger(40_002);
const BOTH: Stranger = Stranger(40_003);
const NOBODY: Stranger = Stranger(40_004);
const UUID: &str = "5d4e2ee3-5a0a-4a1c-9d0c-7f6a3e0b9a11";
/// How long an answer may take that waits for nobody.
const PROMPT: Duration = Duration::from_secs(5);

/// Two tenants with a user each, and one who may act for both; nothing where nobody else can come.
fn scene() -> Option<Shared> {
    let shared = Shared::new(&["blue", "red"]);
    if !clients_are_here() || !Stranger::can_come(&shared.0) {
        return None;
    }
    for (tenant, uid) in [("blue", "40001"), ("red", "40002"), ("blue", "40003"), ("red", "40003")] {
        shared.0.ok(&["tenant", "allow", tenant, "--uid", uid]);
    }
    Some(shared)
}

/// The document of a guest of a tenant's, of a name and an identifier that others have too.
fn document(shared: &Shared, tenant: &str, name: &str) -> String {
    let rom = shared.at(tenant, "rom.bin");
    std::fs::copy(guest("rom.bin"), &rom).unwrap();
    rom_domain(name, "qemu")
        .replace(guest("rom.bin").to_str().unwrap(), rom.to_str().unwrap())
        .replace("<name>", &format!("<uuid>{UUID}</uuid><name>"))
}

fn ok(user: Stranger, uri: &str, arguments: &[&str]) -> String {
    let answer = user.virsh(uri, arguments);
    assert_eq!(answer.status, 0, "{arguments:?}: {}{}", answer.stdout, answer.stderr);
    answer.stdout.trim().to_owned()
}

/// Defines a document that everybody can read.
fn define(shared: &Shared, user: Stranger, uri: &str, xml: &str) {
    let file = shared.0.write(&format!("{}.xml", user.0), xml);
    ok(user, uri, &["define", file.to_str().unwrap()]);
}

/// Both tenants have a guest of the same name that runs.
fn start_webs(shared: &Shared, uri: &str) {
    for (user, tenant) in [(BLUE, "blue"), (RED, "red")] {
        define(shared, user, uri, &document(shared, tenant, "web"));
        ok(user, uri, &["start", "web"]);
    }
}

#[test]
fn tenants_are_served_their_own_and_find_nothing_of_each_other() {
    let Some(shared) = scene() else { return };
    let daemon = Daemon::start(&shared.0);
    let uri = daemon.uri();
    start_webs(&shared, &uri);
    let only_blue = "<domain type='test'><name>only-blue</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>\
                     <os><type>hvm</type></os></domain>";
    define(&shared, BLUE, &uri, only_blue);
    let secret = ok(BLUE, &uri, &["domuuid", "only-blue"]);
    assert_eq!(ok(BLUE, &uri, &["list", "--all", "--name"]), "web\nonly-blue");
    assert_eq!(ok(RED, &uri, &["list", "--all", "--name"]), "web");
    assert_eq!(daemon.ok(&["list", "--all", "--name"]), "");
    // Neither by name nor by identifier, whatever is guessed; what is not there is answered alike.
    let guess = |name: &str| {
        let said = RED.virsh(&uri, &["dominfo", name]);
        assert_eq!(said.status, 1, "{}", said.stdout);
        said.stderr.replace(name, "NAME")
    };
    assert_eq!(guess("only-blue"), guess("not-there"));
    assert_eq!(guess(&secret), guess("00000000-0000-0000-0000-000000000001"));
    // A file of another tenant's is no file of this one's.
    let foreign = shared.at("blue", "rom.bin");
    let file = shared.0.write(
        "foreign.xml",
        &document(&shared, "red", "thief")
            .replace(shared.at("red", "rom.bin").to_str().unwrap(), foreign.to_str().unwrap())
            .replace(UUID, "5d4e2ee3-5a0a-4a1c-9d0c-7f6a3e0b9a12"),
    );
    assert_eq!(RED.virsh(&uri, &["define", file.to_str().unwrap()]).status, 1);
    // One ends; the other, of the same name and identifier, goes on.
    ok(BLUE, &uri, &["destroy", "web"]);
    assert_eq!(ok(RED, &uri, &["domstate", "web"]), "running");
    ok(RED, &uri, &["destroy", "web"]);
}

#[test]
fn who_may_act_for_several_says_for_which_and_nobody_learns_which_there_are() {
    let Some(shared) = scene() else { return };
    let daemon = Daemon::start(&shared.0);
    let of = |tenant: &str| format!("{}&tenant={tenant}", daemon.uri());
    let plain = BOTH.virsh(&daemon.uri(), &["list"]);
    assert!(plain.stderr.contains("?tenant=NAME: blue, red"), "{}", plain.stderr);
    for tenant in ["blue", "red"] {
        let xml = document(&shared, tenant, &format!("of-{tenant}"));
        define(&shared, BOTH, &of(tenant), &xml);
        assert_eq!(ok(BOTH, &of(tenant), &["list", "--all", "--name"]), format!("of-{tenant}"));
        // So does the operator.
        assert_eq!(virsh(&of(tenant), &["list", "--all", "--name"]).stdout.trim(), format!("of-{tenant}"));
    }
    let refused = |user: Stranger, tenant: &str| {
        let said = user.virsh(&of(tenant), &["list"]);
        assert_eq!(said.status, 1, "{}", said.stdout);
        said.stderr.replace(tenant, "NAME")
    };
    assert_eq!(refused(BLUE, "red"), refused(BLUE, "green"));
    assert_eq!(refused(NOBODY, "red"), refused(NOBODY, "green"));
    refused(BLUE, "default");
    refused(BLUE, "../red");
    assert!(NOBODY.virsh(&daemon.uri(), &["list"]).stderr.contains("access denied: user 40004"));
}

#[test]
fn events_of_one_tenant_are_told_to_it_alone() {
    let Some(shared) = scene() else { return };
    let daemon = Daemon::start(&shared.0);
    let uri = daemon.uri();
    for (user, tenant) in [(BLUE, "blue"), (RED, "red")] {
        define(&shared, user, &uri, &document(&shared, tenant, tenant));
    }
    let script = "libvirt.virEventRegisterDefaultImpl()
own = libvirt.open(sys.argv[1])
told = []
own.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lambda _, domain, event, *__: told.append((domain.name(), event)), None)
print('listens', flush=True)
while not told or told[-1][1] != 5:
    libvirt.virEventRunDefaultImpl()
print(told)";
    let script = format!("import libvirt, sys\n{script}");
    let mut listener = RED.start(&script, uri.as_ref());
    let mut lines = BufReader::new(listener.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "listens");
    for (user, name) in [(BLUE, "blue"), (RED, "red")] {
        ok(user, &uri, &["start", name]);
        ok(user, &uri, &["destroy", name]);
    }
    let told = lines.next().unwrap().unwrap();
    assert!(told.contains("('red', 5)") && !told.contains("blue"), "{told}");
    listener.wait().unwrap();
}

#[test]
fn tenant_that_hangs_or_floods_holds_up_nobody_else() {
    let Some(shared) = scene() else { return };
    let daemon = Daemon::start(&shared.0);
    let uri = daemon.uri();
    start_webs(&shared, &uri);
    let pid = shared.json("blue", &["show", "web"])["pid"].as_i64().unwrap();
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::STOP).unwrap();
    // Connections that open nothing, more of them than anybody has places for.
    let script = "import socket, sys
held = []
for _ in range(400):
    own = socket.socket(socket.AF_UNIX)
    own.settimeout(5)
    try:
        own.connect(sys.argv[1])
    except OSError:
        break
    held.append(own)
print(len(held), flush=True)
sys.stdin.read()";
    let mut flood = BLUE.start(script, daemon.socket());
    let mut lines = BufReader::new(flood.stdout.take().unwrap()).lines();
    let held: usize = lines.next().unwrap().unwrap().parse().unwrap();
    assert!(held > 100, "{held}");
    std::thread::scope(|scope| {
        let stuck = scope.spawn(|| BLUE.virsh(&uri, &["suspend", "web"]));
        for _ in 0..3 {
            let asked = Instant::now();
            assert_eq!(ok(RED, &uri, &["domstate", "web"]), "running");
            ok(RED, &uri, &["suspend", "web"]);
            ok(RED, &uri, &["resume", "web"]);
            assert_eq!(daemon.ok(&["list", "--all", "--name"]), "");
            assert!(asked.elapsed() < PROMPT, "{:?}", asked.elapsed());
        }
        drop(flood.stdin.take());
        flood.wait().unwrap();
        ok(BLUE, &uri, &["destroy", "web"]);
        stuck.join().unwrap();
    });
    ok(RED, &uri, &["destroy", "web"]);
}

#[test]
fn guests_of_tenants_go_on_and_are_looked_after_by_the_next_daemon() {
    let Some(shared) = scene() else { return };
    let mut daemon = Daemon::start(&shared.0);
    let uri = daemon.uri();
    define(&shared, BLUE, &uri, &document(&shared, "blue", "web"));
    ok(BLUE, &uri, &["start", "web"]);
    // Commands read beside the daemon, and what changes something is carried out there, in the tenant's own place.
    assert_eq!(shared.json("blue", &["show", "web"])["state"], "running");
    let suspended = shared.run("blue", &["suspend", "web"]);
    assert_eq!(suspended.status, 0, "{}", suspended.stderr);
    assert_eq!(ok(BLUE, &uri, &["domstate", "web"]), "paused");
    ok(BLUE, &uri, &["resume", "web"]);
    assert!(daemon.stop().success());
    // Its limits are those of now.
    shared.0.ok(&["tenant", "limits", "blue", "domains=1"]);
    let daemon = Daemon::start(&shared.0);
    assert_eq!(ok(BLUE, &daemon.uri(), &["domstate", "web"]), "running");
    let second = document(&shared, "blue", "more").replace(UUID, "5d4e2ee3-5a0a-4a1c-9d0c-7f6a3e0b9a12");
    let file = shared.0.write("more.xml", &second);
    let refused = BLUE.virsh(&daemon.uri(), &["define", file.to_str().unwrap()]);
    assert!(refused.stderr.contains("may have 1 domain"), "{}", refused.stderr);
    ok(BLUE, &daemon.uri(), &["destroy", "web"]);
    // The operator's command is carried out by the daemon, which lets go of what it holds for the tenant.
    let removed = shared.0.ok(&["tenant", "remove", "blue", "--purge"]);
    assert!(removed.contains("tenant 'blue' removed"), "{removed}");
    assert_ne!(BLUE.virsh(&daemon.uri(), &["list"]).status, 0, "nobody admits its users any more");
}
