//! The daemon behind polkit: a real one, on a bus of the test's own.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Stranger, clients_are_here};
use crate::workbench::Workbench;

const POLKITD: &str = "/usr/lib/polkit-1/polkitd";
const ACTIONS: &str = include_str!("../../../../host/serve/polkit/org.hostler.policy");
/// One may manage, one may not even look, of a third an administrator would be asked.
const RULES: &str = r#"
polkit.addRule(function(action, subject) {
    if (action.id == "org.libvirt.unix.manage" && subject.user == "40001") return polkit.Result.YES;
    if (action.id.indexOf("org.libvirt.unix.") == 0 && subject.user == "40002") return polkit.Result.NO;
});
"#;
const BUS: &str = r#"<busconfig>
  <type>system</type>
  <listen>unix:path=BUS</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>"#;
/// How long the two may take to be there.
const READY: Duration = Duration::from_secs(30);
const OPEN: &str = "import libvirt, sys
libvirt.registerErrorHandler(lambda *_: None, None)
try:
    connection = libvirt.openReadOnly(sys.argv[1]) if sys.argv[1].endswith('/r') else libvirt.open(sys.argv[1])
    print(0, len(connection.listAllDomains()))
except libvirt.libvirtError as error:
    print(error.get_error_code())";

/// A bus with polkit on it. Both are ended when this is dropped.
struct Polkit {
    bus: Child,
    polkit: Child,
}

impl Polkit {
    /// Starts both; nothing where they are not installed.
    fn start(bench: &mut Workbench) -> Option<Self> {
        if !Path::new(POLKITD).exists() || !Path::new("/usr/bin/dbus-daemon").exists() {
            eprintln!("skipped: polkitd or dbus-daemon is not installed; run: cargo xtask setup");
            return None;
        }
        let socket = bench.path("bus");
        let config = bench.write("bus.conf", &BUS.replace("BUS", socket.to_str().unwrap()));
        for (name, file, text) in
            [("actions", "org.hostler.policy", ACTIONS), ("rules", "10-test.rules", RULES)]
        {
            std::fs::create_dir(bench.path(name)).unwrap();
            std::fs::write(bench.path(name).join(file), text).unwrap();
        }
        let mut bus = Command::new("dbus-daemon")
            .args(["--nofork", "--nopidfile", "--print-address=1"])
            .arg(format!("--config-file={}", config.display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(bus.stdout.take().unwrap()).read_line(&mut address).unwrap();
        assert!(address.starts_with("unix:path="), "{address}");
        let address = address.trim().split(',').next().unwrap().to_owned();
        bench.set("DBUS_SYSTEM_BUS_ADDRESS", address.clone().into());
        // With actions and rules of the test's own in the places of the system's.
        let script = format!(
            "mount --bind {0}/actions /usr/share/polkit-1/actions && mount --bind {0}/rules /etc/polkit-1/rules.d && \
             exec {POLKITD} --no-debug",
            bench.path("").display()
        );
        let polkit = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", &script])
            .env("DBUS_SYSTEM_BUS_ADDRESS", &address)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut both = Self { bus, polkit };
        let deadline = Instant::now() + READY;
        while !is_there(&address) {
            let ended = both.polkit.try_wait().unwrap();
            assert!(Instant::now() < deadline && ended.is_none(), "polkit does not come: {ended:?}");
        }
        Some(both)
    }
}

fn is_there(address: &str) -> bool {
    let asked = Command::new("dbus-send")
        .args([&format!("--bus={address}"), "--print-reply=literal", "--dest=org.freedesktop.DBus", "/"])
        .args(["org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.PolicyKit1"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&asked.stdout).contains("true")
}

impl Drop for Polkit {
    fn drop(&mut self) {
        for child in [&mut self.polkit, &mut self.bus] {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn opened(user: Stranger, uri: &str) -> String {
    let child = user.start(OPEN, uri.as_ref());
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn polkit_says_who_comes_in() {
    let mut bench = Workbench::of_drivers();
    if !clients_are_here() || !Stranger::can_come(&bench) {
        return;
    }
    let Some(_polkit) = Polkit::start(&mut bench) else { return };
    let root = bench.path("root");
    std::fs::create_dir(&root).unwrap();
    bench.ok(&["tenant", "create", "blue", "--storage-root", root.to_str().unwrap(), "--uid", "40004"]);
    let daemon = Daemon::start_with(&bench, &["--auth", "polkit"]);
    let (full, read_only) = (daemon.uri(), daemon.read_only_uri());
    assert_eq!(opened(Stranger(40_001), &full), "0 0");
    assert_eq!(opened(Stranger(40_002), &full), "45");
    assert_eq!(opened(Stranger(40_002), &read_only), "45");
    // Nobody is there who could ask an administrator; and whoever may not manage may look.
    assert_eq!(opened(Stranger(40_003), &full), "94");
    assert_eq!(opened(Stranger(40_003), &read_only), "0 0");
    // A tenant's user is asked nothing, for nothing but what is the tenant's: what polkit did not let it in to stays closed.
    assert_eq!(opened(Stranger(40_004), &full), "0 0");
    assert_eq!(opened(Stranger(40_004), &format!("{full}&tenant=default")), "88");
    // Root is asked nothing.
    assert_eq!(daemon.ok(&["list", "--all", "--name"]), "");
    // Who was let in may everything.
    let xml = "<domain type=\"test\"><name>a</name><memory>1024</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>";
    let defined = Stranger(40_001).python(&full, &format!("print(connection.defineXML('{xml}').name())"));
    assert_eq!(defined.trim(), "a");
}

#[test]
fn polkit_that_is_not_there_lets_nobody_in() {
    let mut bench = Workbench::of_drivers();
    if !clients_are_here() || !Stranger::can_come(&bench) {
        return;
    }
    bench.set("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus".into());
    let daemon = Daemon::start_with(&bench, &["--auth", "polkit"]);
    assert_eq!(opened(Stranger(40_001), &daemon.uri()), "94");
    assert_eq!(daemon.ok(&["list", "--all", "--name"]), "");
}
