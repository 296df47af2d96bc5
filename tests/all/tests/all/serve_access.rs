//! Who may do what at the daemon: the access file, by clients of libvirt that know nothing of it.

use crate::daemon::{Daemon, Stranger, clients_are_here};
use crate::workbench::Workbench;

const ALICE: Stranger = Stranger(40_001);
const BOB: Stranger = Stranger(40_002);

/// Alice has what is called web-* and sees nothing else; of Bob nothing is said.
const ACCESS: &str = r#"
[[rule]]
then = "allow"
who = { uid = 40001 }
what = ["domain.*", "storage_pool.*", "storage_vol.*", "network.*"]
on = { name = "web-*" }

[[rule]]
then = "allow"
who = { uid = 40001 }
what = "storage_vol.*"
on = { pool = "web-*" }

[[rule]]
then = "deny"
who = { uid = 40001 }
what = ["domain.*", "storage_pool.*", "storage_vol.*", "network.*"]
"#;

fn document(name: &str) -> String {
    format!(
        "<domain type='test'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu><os><type>hvm</type></os>\
         <devices><graphics type='vnc' passwd='geheim'/></devices></domain>"
    )
}

/// A workbench with two domains and an access file; nothing where nobody else can come.
fn scene() -> Option<Workbench> {
    let bench = Workbench::of_drivers();
    if !clients_are_here() || !Stranger::can_come(&bench) {
        return None;
    }
    bench.define(&document("web-1"));
    bench.define(&document("db-1"));
    bench.write("access.toml", ACCESS);
    Some(bench)
}

fn start(bench: &Workbench) -> Daemon<'_> {
    Daemon::start_with(bench, &["--access", bench.path("access.toml").to_str().unwrap()])
}

#[test]
fn rules_hold_for_whom_they_are_about_and_on_what_they_name() {
    let Some(bench) = scene() else { return };
    let daemon = start(&bench);
    let uri = daemon.uri();
    for (name, file) in [("web-2", "web.xml"), ("db-2", "db.xml")] {
        bench.write(file, &document(name));
    }
    let said = ALICE.python(
        &uri,
        &format!(
            "web, db = open('{0}/web.xml').read(), open('{0}/db.xml').read()
one = connection.lookupByName('web-1')
print([number(call) for call in (
    one.create, one.destroy, lambda: connection.defineXML(web), lambda: one.rename('web-9', 0),
    lambda: one.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE),
)])
print([number(call) for call in (
    lambda: connection.lookupByName('db-1'), lambda: connection.defineXML(db), lambda: one.rename('db-9', 0),
    lambda: connection.createXML(db), lambda: connection.storagePoolDefineXML('<pool type=\"dir\"><name>db</name></pool>'),
    lambda: connection.lookupByName('nobody'), lambda: connection.networkDefineXML('<network><name>db</name></network>'),
)])",
            bench.path("").display()
        ),
    );
    assert_eq!(said.trim(), "[0, 0, 0, 0, 0]\n[88, 88, 88, 88, 88, 42, 88]");
    let said = ALICE.python(
        &uri,
        "try:
    connection.lookupByName('db-1')
except libvirt.libvirtError as error:
    print(error)",
    );
    assert_eq!(said.trim(), "access denied: 'domain.getattr' is not allowed on 'db-1'");
    // Nobody says anything of Bob: he may look, and not at passwords.
    assert_eq!(BOB.virsh(&uri, &["list", "--all", "--name"]).stdout.trim(), "db-1\nweb-2\nweb-9");
    assert!(BOB.virsh(&uri, &["dumpxml", "db-1"]).stdout.contains("<graphics"));
    for call in [&["dumpxml", "--security-info", "db-1"][..], &["start", "db-1"], &["undefine", "db-1"]] {
        let denied = BOB.virsh(&uri, call);
        assert!(denied.stderr.contains("access denied: 'domain."), "{call:?}: {}", denied.stderr);
    }
    // Root has everything.
    daemon.ok(&["start", "db-1"]);
    daemon.ok(&["destroy", "db-1"]);
}

#[test]
fn handle_of_something_else_by_an_allowed_name_opens_nothing() {
    let Some(bench) = scene() else { return };
    let daemon = start(&bench);
    let uuid = daemon.ok(&["domuuid", "db-1"]);
    // The name in a handle is what a client says; only its identifier is believed.
    let said = ALICE.python(
        &daemon.uri(),
        &format!(
            "print(number(lambda: connection.lookupByUUIDString('{uuid}')))
document = connection.lookupByName('web-1').XMLDesc()
other = document.replace(connection.lookupByName('web-1').UUIDString(), '{uuid}')
print(number(lambda: connection.defineXML(other)))
print(number(lambda: connection.defineXML(document.replace('<name>web-1', '<name> db-3'))))"
        ),
    );
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[..2], ["88", "88"], "{said}");
    assert_ne!(lines[2], "0", "{said}");
    assert_eq!(daemon.ok(&["domname", &uuid]), "db-1");
}

#[test]
fn lists_counts_and_events_leave_out_what_may_not_be_seen() {
    let Some(bench) = scene() else { return };
    let daemon = start(&bench);
    for pool in ["web-pool", "db-pool"] {
        let target = bench.path(pool);
        std::fs::create_dir(&target).unwrap();
        daemon.ok(&["pool-create-as", pool, "dir", "--target", target.to_str().unwrap()]);
        daemon.ok(&["vol-create-as", pool, &format!("{pool}.raw"), "1M"]);
    }
    for (number, network) in ["web-net", "db-net"].into_iter().enumerate() {
        let file = bench.write(
            "net.xml",
            &format!("<network><name>{network}</name><bridge name='hstl-{number}'/></network>"),
        );
        daemon.ok(&["net-define", file.to_str().unwrap()]);
    }
    daemon.ok(&["start", "web-1"]);
    daemon.ok(&["start", "db-1"]);
    let counted = |script: &str| {
        let root = daemon.python(script);
        (root.trim().to_owned(), ALICE.python(&daemon.uri(), script).trim().to_owned())
    };
    let (all, hers) = counted(
        "print(connection.numOfDomains(), len(connection.listDomainsID()), len(connection.listAllDomains()),
    len(connection.getAllDomainStats()), connection.numOfStoragePools(), connection.listStoragePools(),
    len(connection.listAllStoragePools()), connection.listDefinedNetworks(), connection.numOfDefinedNetworks(),
    len(connection.listAllNetworks()))",
    );
    assert_eq!(all, "2 2 2 2 2 ['db-pool', 'web-pool'] 2 ['db-net', 'web-net'] 2 2");
    assert_eq!(hers, "1 1 1 1 1 ['web-pool'] 1 ['web-net'] 1 1");
    let (all, hers) = counted(
        "connection.lookupByName('web-1').destroy()
print(connection.listDefinedDomains(), connection.numOfDefinedDomains())
connection.lookupByName('web-1').create()
pool = connection.storagePoolLookupByName('web-pool')
print(pool.listVolumes(), pool.numOfVolumes(), number(lambda: connection.storagePoolLookupByName('db-pool')),
    number(lambda: connection.storageVolLookupByPath(pool.storageVolLookupByName('web-pool.raw').path().replace('web-pool', 'db-pool'))))",
    );
    assert_eq!(all, "['web-1'] 1\n['web-pool.raw'] 1 0 0");
    assert_eq!(hers, "['web-1'] 1\n['web-pool.raw'] 1 88 88");
    let script = "libvirt.virEventRegisterDefaultImpl()
connection = libvirt.open(sys.argv[1])
told = []
connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lambda _, domain, event, *__: told.append((domain.name(), event)), None)
open(sys.argv[2], 'w').close()
while not told or told[-1] != ('web-1', 5):
    libvirt.virEventRunDefaultImpl()
print(told)";
    // Root ends the other domain first, and hers once she listens.
    let place = bench.path("listens");
    std::fs::create_dir(&place).unwrap();
    std::fs::set_permissions(&place, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let script = script.replace("sys.argv[2]", &format!("'{}/now'", place.display()));
    let uri = daemon.uri();
    let told = std::thread::scope(|scope| {
        let told = scope.spawn(|| ALICE.python(&uri, &script));
        while !place.join("now").exists() && !told.is_finished() {
            std::thread::yield_now();
        }
        daemon.ok(&["destroy", "db-1"]);
        daemon.ok(&["destroy", "web-1"]);
        told.join().unwrap()
    });
    assert_eq!(told.trim(), "[('web-1', 5)]");
}

#[test]
fn only_who_is_trusted_passes_others_on() {
    let Some(bench) = scene() else { return };
    let daemon = start(&bench);
    let said = daemon.python(
        "assert len(connection.listAllDomains()) == 2
print(number(lambda: connection.setIdentity({'unix-user-id': 40001, 'user-name': 'alice'}, 0)))
print([domain.name() for domain in connection.listAllDomains()])
print(number(lambda: connection.setIdentity({'unix-user-id': 0}, 0)))
print(number(lambda: connection.lookupByName('db-1')))",
    );
    assert_eq!(said.trim(), "0\n['web-1']\n88\n88");
    let said = ALICE.python(
        &daemon.uri(),
        "print(number(lambda: connection.setIdentity({'unix-user-id': 0}, 0)), len(connection.listAllDomains()))",
    );
    assert_eq!(said.trim(), "88 1");
}

#[test]
fn who_is_nobody_is_turned_away_where_nothing_is_said_of_them() {
    let Some(bench) = scene() else { return };
    let options = ["--socket-mode", "0600"];
    let daemon = Daemon::start_with(&bench, &options);
    let refused = ALICE.virsh(&daemon.uri(), &["list"]);
    assert!(refused.stderr.contains("Permission denied"), "{}", refused.stderr);
    drop(daemon);
    // Without a mode, and with a tenant, everybody may connect, which gives nobody anything.
    let root = bench.path("root");
    std::fs::create_dir(&root).unwrap();
    bench.ok(&["tenant", "create", "blue", "--storage-root", root.to_str().unwrap(), "--uid", "40009"]);
    let daemon = Daemon::start(&bench);
    let refused = ALICE.virsh(&daemon.uri(), &["list"]);
    assert!(refused.stderr.contains("access denied: user 40001"), "{}", refused.stderr);
    drop(daemon);
    // An operator who opens the socket by its mode has decided.
    let daemon = Daemon::start_with(&bench, &["--socket-mode", "0666"]);
    assert_eq!(ALICE.virsh(&daemon.uri(), &["list", "--all", "--name"]).stdout.trim(), "db-1\nweb-1");
    drop(daemon);
    let daemon = Daemon::start_with(&bench, &["--auth", "policy"]);
    assert_eq!(ALICE.virsh(&daemon.uri(), &["list", "--all", "--name"]).stdout.trim(), "db-1\nweb-1");
    assert!(ALICE.virsh(&daemon.uri(), &["start", "web-1"]).stderr.contains("access denied"));
}

#[test]
fn access_file_that_is_wrong_keeps_the_daemon_from_starting() {
    let bench = Workbench::of_drivers();
    let file = bench.write("access.toml", "[[rule]]\nthen = 'allow'\nwho = { usr = 'x' }\nwhat = '*'\n");
    let answer = bench.run(&["serve", "--access", file.to_str().unwrap()]);
    assert_ne!(answer.status, 0);
    for words in ["access.toml", "unknown field `usr`", "did you mean 'user'?", "3"] {
        assert!(answer.stderr.contains(words), "{words}: {}", answer.stderr);
    }
}
