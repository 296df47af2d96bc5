//! Clients that are programs of our own: in Perl, which check what libvirt's compatibility kit checks and pass on libvirt 9.0 too;
//! in Go, without libvirt's library; and over D-Bus.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::daemon::Daemon;
use crate::workbench::{Answer, Workbench, rom_domain};

/// Where the programs are.
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients");

fn perl() -> Command {
    let mut command = Command::new("/usr/bin/perl");
    command.arg(format!("-I{PROGRAMS}"));
    command
}

/// Whether Perl has what it needs to speak to a daemon. Tests that need it say so when it has not.
fn perl_is_here() -> bool {
    let mut command = perl();
    command.args(["-e", "use Sys::Virt"]).stdout(Stdio::null()).stderr(Stdio::null());
    let here = command.status().is_ok_and(|status| status.success());
    if !here {
        eprintln!("skipped: libsys-virt-perl is not installed; run: cargo xtask setup");
    }
    here
}

/// Runs a program against a daemon of its own. All its checks have to hold.
fn run(name: &str) {
    if !perl_is_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let disks = bench.path("disks");
    std::fs::create_dir(&disks).unwrap();
    let answer = Answer::of(
        perl().arg(Path::new(PROGRAMS).join(name)).arg(daemon.uri()).arg(&disks).output().unwrap(),
    );
    let wrong: Vec<_> = answer.stdout.lines().filter(|line| !line.starts_with("ok ")).collect();
    assert_eq!(answer.status, 0, "{name}: {}\n{}", wrong.join("\n"), answer.stderr);
    assert!(bench.processes().iter().all(|line| !line.contains("qemu")), "{:?}", bench.processes());
}

#[test]
fn life_of_domains_is_as_clients_know_it() {
    run("life.pl");
}

#[test]
fn sizes_and_notes_are_as_clients_know_them() {
    run("sizes.pl");
}

#[test]
fn guests_are_put_away_as_clients_know_it() {
    run("saving.pl");
}

#[test]
fn devices_change_as_clients_know_it() {
    run("devices.pl");
}

#[test]
fn more_devices_come_and_go_as_clients_know_it() {
    run("more_devices.pl");
}

#[test]
fn snapshots_are_as_clients_know_them() {
    run("snapshots.pl");
}

/// Whether something that a client needs is there. Tests that need it say so when it is not.
fn is_here(path: &str, package: &str) -> bool {
    let here = Path::new(path).exists();
    if !here {
        eprintln!("skipped: {package} is not installed; run: cargo xtask setup");
    }
    here
}

#[test]
fn client_without_libvirts_library_takes_a_domain_through_its_life() {
    let library = "/usr/share/gocode/src/github.com/digitalocean/go-libvirt";
    if !is_here("/usr/bin/go", "golang-go") || !is_here(library, "golang-github-digitalocean-go-libvirt-dev")
    {
        return;
    }
    let bench = Workbench::of_drivers();
    let built = Command::new("/usr/bin/go")
        .args(["build", "-o"])
        .arg(bench.path("life"))
        .arg(Path::new(PROGRAMS).join("life.go"))
        .envs([("GO111MODULE", "off"), ("GOPATH", "/usr/share/gocode"), ("CGO_ENABLED", "0")])
        .env("GOCACHE", std::env::temp_dir().join("hostler-test-go"))
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let daemon = Daemon::start(&bench);
    let document = bench.write("rom.xml", &rom_domain("rom", "qemu"));
    let output = Command::new(bench.path("life")).arg(daemon.socket()).arg(document).output().unwrap();
    let answer = Answer::of(output);
    assert_eq!(answer.status, 0, "{}{}", answer.stdout, answer.stderr);
    let lines: Vec<_> = answer.stdout.lines().collect();
    let told = "told [0/0 4/0 2/0 5/1 1/0]";
    let expected =
        ["version true", "nobody true", "state 1", "active 1 rom", "info 32768 1", "peek true", told];
    assert_eq!(lines, expected);
}

#[test]
fn domain_is_taken_through_its_life_over_dbus() {
    for (path, package) in [
        ("/usr/sbin/libvirt-dbus", "libvirt-dbus"),
        ("/usr/bin/dbus-run-session", "dbus-daemon"),
        ("/usr/bin/gdbus", "libglib2.0-bin"),
    ] {
        if !is_here(path, package) {
            return;
        }
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can have a socket where libvirt-dbus looks, and nobody else see it");
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let document = bench.write("rom.xml", &rom_domain("rom", "qemu"));
    // In mounts of its own, so that no socket of the machine's is in the way.
    let script = "mount -t tmpfs none /run && mkdir /run/libvirt && ln -s \"$1\" /run/libvirt/libvirt-sock && \
                  exec dbus-run-session -- sh \"$2\" \"$3\"";
    let output = Command::new("unshare")
        .args(["-m", "--propagation", "private", "sh", "-c", script, "sh"])
        .arg(daemon.socket())
        .arg(Path::new(PROGRAMS).join("life-dbus.sh"))
        .arg(document)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let answer = Answer::of(output);
    assert_eq!(answer.status, 0, "{}{}", answer.stdout, answer.stderr);
    for line in [
        "name (<'rom'>,)",
        "state ((1, 1),)",
        "active (<true>,)",
        "stats ({'state.state': <<1>>, 'state.reason': <<1>>},)",
        "state ((3, 1),)",
        "left (@ao [],)",
    ] {
        assert!(answer.stdout.lines().any(|told| told == line), "{line}: {}", answer.stdout);
    }
}
