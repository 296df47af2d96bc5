//! What clients do with pools, networks, secrets and devices. The programs in Perl are held against libvirt too: what passes
//! there passes here.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::daemon::{Daemon, clients_are_here, virt_install_is_here};
use crate::networks::Namespace;
use crate::workbench::{Answer, Workbench, rom_domain};

/// Where the programs are.
const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients");
/// A passphrase that nobody else writes anywhere.
const PASSPHRASE: &str = "correct horse battery staple 7Q";

/// Whether programs in Perl have their module. Tests that need it say so when they have not.
fn perl_is_here() -> bool {
    let mut perl = Command::new("/usr/bin/perl");
    let here = perl.args(["-MSys::Virt", "-MTest::More", "-e", "1"]).stderr(Stdio::null()).status();
    let here = here.is_ok_and(|status| status.success());
    if !here {
        eprintln!("skipped: libsys-virt-perl is not installed; run: cargo xtask setup");
    }
    here
}

/// Runs a program in Perl against a daemon; nothing that it checks may fail.
fn passes(daemon: &Daemon<'_>, name: &str, directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    let mut perl = Command::new("/usr/bin/perl");
    perl.arg(Path::new(CLIENTS).join(name)).arg(daemon.uri()).arg(directory).stdin(Stdio::null());
    let answer = Answer::of(perl.output().unwrap());
    assert_eq!(answer.status, 0, "{name}\n{}{}", answer.stdout, answer.stderr);
    assert!(answer.stdout.lines().any(|line| line.starts_with("1..")), "{name} did not come to its end");
}

fn program_passes(name: &str) {
    if !perl_is_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    passes(&daemon, name, &bench.path("objects"));
}

#[test]
fn pools_live_as_clients_in_perl_expect() {
    program_passes("storage_pools.pl");
}

#[test]
fn volumes_are_what_clients_in_perl_expect() {
    program_passes("storage_volumes.pl");
}

#[test]
fn pools_are_told_of_as_clients_in_perl_expect() {
    program_passes("storage_events.pl");
}

#[test]
fn secrets_are_what_clients_in_perl_expect() {
    program_passes("secret_life.pl");
}

#[test]
fn networks_live_as_clients_in_perl_expect() {
    if !perl_is_here() {
        return;
    }
    let Some(namespace) = Namespace::new("perl") else { return };
    let mut bench = Workbench::of_drivers();
    bench.within(&namespace.0);
    let daemon = Daemon::start(&bench);
    passes(&daemon, "network_life.pl", &bench.path("objects"));
    assert!(namespace.running("dnsmasq").is_empty(), "a server is left");
}

/// Every file beneath a directory that has these bytes.
pub(crate) fn files_with(directory: &Path, bytes: &[u8]) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let kind = std::fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() {
            found.extend(files_with(&path, bytes));
        } else if kind.is_file()
            && std::fs::read(&path).unwrap().windows(bytes.len()).any(|part| part == bytes)
        {
            found.push(path);
        }
    }
    found
}

#[test]
fn secrets_stay_and_their_values_are_in_one_file_alone() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let mut daemon = Daemon::start(&bench);
    daemon.python(&format!(
        "def xml(volume, ephemeral):
    return f\"<secret ephemeral='{{ephemeral}}'><usage type='volume'><volume>{{volume}}</volume></usage></secret>\"
connection.secretDefineXML(xml('/kept', 'no')).setValue(b'{PASSPHRASE}')
connection.secretDefineXML(xml('/short', 'yes')).setValue(b'{PASSPHRASE}')
assert connection.numOfSecrets() == 2"
    ));
    // Beside the daemon, which has the state directory.
    assert!(bench.ok(&["secret", "list"]).contains("/kept"));
    assert_eq!(bench.ok(&["secret", "get", "/kept", "--plain"]).trim_end(), PASSPHRASE);
    let with = files_with(&bench.path("."), PASSPHRASE.as_bytes());
    let [only] = with.as_slice() else { panic!("{with:?}") };
    assert_eq!(std::fs::metadata(only).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(daemon.stop().success());
    let daemon = Daemon::start(&bench);
    let left = daemon.python(
        "secrets = connection.listAllSecrets()
print([(secret.usageID(), secret.value().decode()) for secret in secrets])",
    );
    assert_eq!(left.trim(), format!("[('/kept', '{PASSPHRASE}')]"));
    drop(daemon);
    bench.ok(&["secret", "undefine", "/kept"]);
    assert_eq!(files_with(&bench.path("."), PASSPHRASE.as_bytes()), Vec::<std::path::PathBuf>::new());
}

#[test]
fn secrets_are_kept_by_commands_and_private_ones_told_to_nobody() {
    let bench = Workbench::of_drivers();
    let xml = "<secret private='yes'><usage type='tls'><name>key</name></usage></secret>";
    let file = bench.write("secret.xml", xml);
    bench.ok(&["secret", "define", file.to_str().unwrap()]);
    let value = bench.write("value", PASSPHRASE);
    bench.ok(&["secret", "set", "key", value.to_str().unwrap()]);
    let shown = bench.json(&["secret", "show", "key"]);
    assert_eq!((shown["private"].as_bool(), shown["has_value"].as_bool()), (Some(true), Some(true)));
    let refused = bench.run(&["secret", "get", "key"]);
    assert!(refused.stderr.contains("error[secret.private]") && !refused.stderr.contains(PASSPHRASE));
    let other = bench.write("other.xml", &xml.replace("private='yes'", "private='no'"));
    assert!(bench.run(&["secret", "define", other.to_str().unwrap()]).stderr.contains("secret.exists"));
    let short = bench.write("short.xml", &xml.replace("private", "ephemeral").replace("key", "short"));
    assert!(bench.run(&["secret", "define", short.to_str().unwrap()]).stderr.contains("secret.ephemeral"));
    assert_eq!(bench.json(&["secret", "list"])["secrets"].as_array().unwrap().len(), 1);
    let base64 = bench.write("base64", "YWI=\n");
    bench.ok(&["secret", "set", "key", base64.to_str().unwrap(), "--base64"]);
    bench.ok(&["secret", "undefine", "key"]);
    assert_eq!(bench.run(&["secret", "show", "key"]).status, 3);
}

#[test]
fn devices_and_interfaces_of_this_machine_are_told_of_and_not_changed() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let devices = daemon.ok(&["nodedev-list"]);
    assert!(devices.lines().any(|line| line == "computer"), "{devices}");
    let nets = daemon.ok(&["nodedev-list", "--cap", "net"]);
    let lo = nets.lines().find(|line| line.starts_with("net_lo_")).unwrap();
    assert!(daemon.ok(&["nodedev-dumpxml", lo]).contains("<interface>lo</interface>"));
    assert!(daemon.ok(&["nodedev-dumpxml", lo]).contains("<parent>computer</parent>"));
    assert!(daemon.virsh(&["nodedev-dumpxml", "none"]).stderr.contains("Node device not found"));
    assert!(daemon.virsh(&["nodedev-detach", lo]).stderr.contains("argument unsupported"));
    assert!(daemon.ok(&["iface-list", "--all"]).contains("lo"));
    assert!(daemon.ok(&["iface-dumpxml", "lo"]).contains("<interface type='ethernet' name='lo'>"));
    assert!(daemon.virsh(&["iface-begin"]).stderr.contains("not supported by the connection driver"));
    assert!(daemon.virsh(&["iface-dumpxml", "none0"]).stderr.contains("Interface not found"));
    // A filter that nobody would enforce is not taken.
    let filter = bench.write("filter.xml", "<filter name='f'/>");
    assert!(daemon.virsh(&["nwfilter-define", filter.to_str().unwrap()]).stderr.contains("takes no filter"));
    assert!(daemon.virsh(&["nwfilter-dumpxml", "f"]).stderr.contains("Network filter not found"));
    let registered = daemon.python(
        "libvirt.virEventRegisterDefaultImpl()
connection = libvirt.open(sys.argv[1])
number = connection.nodeDeviceEventRegisterAny(None, libvirt.VIR_NODE_DEVICE_EVENT_ID_LIFECYCLE, print, None)
connection.nodeDeviceEventDeregisterAny(number)
print('fine')",
    );
    assert_eq!(registered.trim(), "fine");
}

#[test]
fn gaps_of_volumes_are_told_of_and_not_sent() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let target = bench.path("images");
    std::fs::create_dir(&target).unwrap();
    daemon.ok(&["pool-create-as", "images", "dir", "--target", target.to_str().unwrap()]);
    let sent = bench.path("sent");
    let file = std::fs::File::create(&sent).unwrap();
    file.set_len(64 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, PASSPHRASE.as_bytes(), 33 << 20).unwrap();
    for volume in ["one", "two"] {
        daemon.ok(&["vol-create-as", "images", volume, "64M", "--allocation", "0"]);
    }
    let room = |path: &Path| std::fs::metadata(path).unwrap().blocks() * 512;
    daemon.ok(&["vol-upload", "one", sent.to_str().unwrap(), "--pool", "images", "--sparse"]);
    assert!(std::fs::read(target.join("one")).unwrap() == std::fs::read(&sent).unwrap());
    assert!(room(&target.join("one")) < 1 << 20, "{}", room(&target.join("one")));
    let came = bench.path("came");
    daemon.ok(&["vol-download", "one", came.to_str().unwrap(), "--pool", "images", "--sparse"]);
    assert!(std::fs::read(&came).unwrap() == std::fs::read(&sent).unwrap());
    assert!(room(&came) < 1 << 20, "{}", room(&came));
    // A gap costs who sends it nothing, so that none is longer than the volume.
    let long = bench.path("long");
    std::fs::File::create(&long).unwrap().set_len(1 << 40).unwrap();
    let refused =
        daemon.virsh(&["vol-upload", "two", long.to_str().unwrap(), "--pool", "images", "--sparse"]);
    assert_ne!(refused.status, 0, "{}{}", refused.stdout, refused.stderr);
    assert_eq!(std::fs::metadata(target.join("two")).unwrap().len(), 64 << 20);
    assert!(daemon.virsh(&["vol-wipe", "one", "--pool", "images"]).status == 0);
    assert!(std::fs::read(target.join("one")).unwrap().iter().all(|byte| *byte == 0));
    let unknown = daemon.virsh(&["vol-wipe", "one", "--pool", "images", "--algorithm", "gutmann"]);
    assert!(unknown.stderr.contains("is no way in which this host wipes"), "{}", unknown.stderr);
}

#[test]
fn virt_install_makes_its_disk_and_pool_and_virt_clone_copies_both() {
    if !clients_are_here() || !virt_install_is_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let images = bench.path("fresh");
    std::fs::create_dir(&images).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(["--connect", &daemon.uri()]).args(arguments);
        command.env("HOME", bench.path("home")).stdin(Stdio::null());
        let answer = Answer::of(command.output().unwrap());
        assert_eq!(answer.status, 0, "{program}: {}{}", answer.stdout, answer.stderr);
    };
    // Neither the image nor a pool is there yet.
    let disk = format!("path={}/new.qcow2,size=1,format=qcow2", images.display());
    let common =
        ["--name", "made", "--memory", "64", "--import", "--virt-type", "qemu", "--osinfo", "generic"];
    let rest = ["--graphics", "none", "--network", "none", "--noautoconsole", "--disk", &disk];
    run("virt-install", &[common.as_slice(), &rest].concat());
    assert_eq!(daemon.ok(&["pool-list", "--name", "--autostart"]), "fresh");
    assert!(daemon.ok(&["vol-list", "fresh"]).contains("new.qcow2"));
    daemon.ok(&["destroy", "made"]);
    run("virt-clone", &["--original", "made", "--name", "copied", "--auto-clone"]);
    assert!(daemon.ok(&["dumpxml", "copied"]).contains("new-clone.qcow2"));
    let volume = daemon.ok(&["vol-dumpxml", "new-clone.qcow2", "--pool", "fresh"]);
    assert!(volume.contains("<format type='qcow2'/>") && !volume.contains("<backingStore>"), "{volume}");
    daemon.ok(&["start", "copied"]);
    daemon.ok(&["destroy", "copied"]);
}

const LAB: &str = "<network><name>lab</name><bridge name='lab0'/><ip address='192.168.79.1' prefix='24'>\
                   <dhcp><range start='192.168.79.2' end='192.168.79.9'/></dhcp></ip></network>";

#[test]
fn guests_are_joined_again_and_get_interfaces_while_they_run() {
    if !clients_are_here() {
        return;
    }
    let Some(namespace) = Namespace::new("rejoin") else { return };
    let mut bench = Workbench::of_drivers();
    bench.within(&namespace.0);
    let daemon = Daemon::start(&bench);
    let file = bench.write("lab.xml", LAB);
    daemon.ok(&["net-define", file.to_str().unwrap()]);
    daemon.ok(&["net-start", "lab"]);
    let interface = "<devices><interface type='network'><source network='lab'/>\
                     <mac address='52:54:00:79:00:02'/><model type='virtio'/></interface>";
    let guest = bench.write("guest.xml", &rom_domain("rom", "qemu").replacen("<devices>", interface, 1));
    daemon.ok(&["create", guest.to_str().unwrap()]);
    let ports = || namespace.ip("-o link show master lab0").lines().count();
    assert_eq!(ports(), 1);
    daemon.ok(&["net-destroy", "lab"]);
    assert!(!namespace.ip("-o link show").contains("lab0"));
    daemon.ok(&["net-start", "lab"]);
    assert_eq!(ports(), 1, "the guest is in the network again");
    daemon.ok(&[
        "attach-interface",
        "rom",
        "network",
        "lab",
        "--mac",
        "52:54:00:79:00:03",
        "--model",
        "virtio",
        "--live",
    ]);
    assert_eq!(ports(), 2);
    assert!(daemon.ok(&["domiflist", "rom"]).contains("52:54:00:79:00:03"));
    // Its server goes on with what is changed, and so does the network with who is in it.
    let host = "<host mac='52:54:00:79:00:03' ip='192.168.79.50'/>";
    daemon.ok(&["net-update", "lab", "add", "ip-dhcp-host", host, "--live", "--config"]);
    let settings =
        bench.state_root().join("networks").join(daemon.ok(&["net-uuid", "lab"])).join("dnsmasq.conf");
    assert!(std::fs::read_to_string(settings).unwrap().contains("52:54:00:79:00:03"));
    assert_eq!((ports(), namespace.running("dnsmasq").len()), (2, 1));
    daemon.ok(&["net-destroy", "lab"]);
    daemon.ok(&["destroy", "rom"]);
}
