//! The policy of the shipped template against what a hostile driver would try.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::Template;
use super::check::{check, check_command, check_command_of};
use crate::error::{LaunchError, LaunchErrorKind};
use crate::handle::{EndpointKind, EndpointSpec, Handle, Role};
use crate::plan::{OptionEntry, Plan, Reaction};
use crate::value::Value;

fn qemu() -> Arc<Template> {
    Template::shipped("qemu-system-x86_64")
}

/// Handles 0 to 10: monitor, image, code, file, endpoint, socket, an image that was checked to be qcow2, one whose data
/// is in another file, two taps, those who look at a display, a secret.
pub(super) fn handles() -> Vec<Handle> {
    let made = |role, format, data_apart| Handle::Descriptor {
        fd: None,
        writable: false,
        role,
        format,
        data_apart,
        path: PathBuf::from("/x"),
    };
    let file = |role| made(role, "raw", false);
    vec![
        Handle::Monitor,
        file(Role::Image),
        file(Role::Code),
        file(Role::File),
        Handle::Endpoint(EndpointSpec { alias: "serial0".into(), kind: EndpointKind::Pty }),
        Handle::Socket("vnc.sock".into()),
        made(Role::Image, "qcow2", false),
        made(Role::Image, "qcow2", true),
        Handle::Tap { fds: Vec::new(), queues: 1, name: "vnet0".into() },
        Handle::Tap { fds: Vec::new(), queues: 2, name: "vnet1".into() },
        Handle::Viewers { alias: "graphics0".into(), socket: None },
        file(Role::Secret),
    ]
}

/// A value from JSON; the text `<n>` is handle n.
pub(super) fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Boolean(*value),
        Json::Number(number) => Value::Integer(number.as_i64().unwrap()),
        Json::String(text) => match text.strip_prefix('<').and_then(|text| text.strip_suffix('>')) {
            Some(index) => Value::Handle(index.parse().unwrap()),
            None => Value::text(text.as_str()),
        },
        Json::Array(items) => Value::Sequence(items.iter().map(value).collect()),
        Json::Object(members) => {
            Value::mapping(members.iter().map(|(key, inner)| (key.clone(), value(inner))))
        }
    }
}

pub(super) fn plan(extra: &[(&str, Json)]) -> Plan {
    let sandbox = json!({"enable": "on", "obsolete": "deny", "elevateprivileges": "deny", "spawn": "deny"});
    let mut options = vec![
        OptionEntry::flag("nodefaults"),
        OptionEntry::flag("no-user-config"),
        OptionEntry::new("sandbox", value(&sandbox)),
    ];
    options.extend(extra.iter().map(|(name, json)| OptionEntry {
        name: (*name).into(),
        value: (!json.is_null()).then(|| value(json)),
    }));
    Plan { template: "qemu-system-x86_64".into(), options, environment: vec![], reactions: vec![] }
}

fn verdict(extra: &[(&str, Json)]) -> Result<(), LaunchError> {
    check(&plan(extra), &handles(), &qemu()).map(drop)
}

#[test]
fn what_an_ordinary_domain_needs_passes() {
    let good = [
        ("name", json!({"guest": "a b, c=d", "debug-threads": true})),
        ("S", Json::Null),
        (
            "machine",
            json!({"type": "pc-q35-7.2", "usb": false, "smm": "on", "dump-guest-core": false, "pflash0": "libvirt-pflash0-format", "memory-backend": "pc.ram"}),
        ),
        ("accel", json!("tcg")),
        ("cpu", json!({"model": "host", "migratable": true, "hv-crash": null, "hv-spinlocks": "0x1fff"})),
        ("m", json!({"size": "size=219136k".replace("size=", ""), "slots": 16, "maxmem": "1099511627776k"})),
        ("object", json!({"qom-type": "memory-backend-ram", "id": "pc.ram", "size": 1 << 30})),
        ("object", json!({"qom-type": "rng-random", "id": "objrng0", "filename": "/dev/urandom"})),
        ("overcommit", json!({"mem-lock": false})),
        ("smp", json!({"cpus": 2, "sockets": 2, "cores": 1, "threads": 1})),
        ("uuid", json!("c7a5fdbd-edaf-9455-926a-d65c16db1809")),
        ("display", json!({"type": "none"})),
        ("chardev", json!({"id": "charmonitor", "backend": "<0>"})),
        ("mon", json!({"chardev": "charmonitor", "id": "monitor", "mode": "control"})),
        ("rtc", json!({"base": "utc", "driftfix": "slew"})),
        ("global", json!({"PIIX4_PM.disable_s3": 1})),
        ("global", json!({"driver": "cfi.pflash01", "property": "secure", "value": "on"})),
        ("boot", json!({"menu": true, "strict": true})),
        (
            "blockdev",
            json!({"driver": "file", "filename": "<1>", "node-name": "libvirt-1-storage", "auto-read-only": true, "discard": "unmap"}),
        ),
        (
            "blockdev",
            json!({"node-name": "libvirt-1-format", "read-only": false, "driver": "raw", "file": "libvirt-1-storage"}),
        ),
        (
            "blockdev",
            json!({"node-name": "f", "driver": "qcow2", "backing": "libvirt-1-format", "file": {"driver": "file", "filename": "<6>", "auto-read-only": true}}),
        ),
        (
            "blockdev",
            json!({"node-name": "g", "driver": "qcow2", "backing": null, "data-file": "libvirt-1-format",
                   "file": {"driver": "file", "filename": "<7>", "auto-read-only": true}}),
        ),
        (
            "device",
            json!({"driver": "virtio-blk-pci", "bus": "pci.0", "addr": "0x5", "drive": "libvirt-1-format", "id": "virtio-disk0", "bootindex": 1, "serial": "a/b,c"}),
        ),
        ("netdev", json!({"type": "user", "id": "hostnet0"})),
        ("netdev", json!({"type": "tap", "id": "hostnet1", "fd": "<8>"})),
        ("netdev", json!({"type": "tap", "id": "hostnet2", "fds": "<9>", "sndbuf": 0})),
        ("object", json!({"qom-type": "secret", "id": "s", "file": "<11>"})),
        (
            "device",
            json!({"driver": "virtio-net-pci", "netdev": "hostnet0", "id": "net0", "mac": "52:54:00:09:a4:37"}),
        ),
        ("chardev", json!({"backend": "<4>", "id": "charserial0"})),
        ("device", json!({"driver": "isa-serial", "chardev": "charserial0", "id": "serial0", "index": 0})),
        ("audiodev", json!({"id": "audio1", "driver": "none"})),
        ("vnc", json!({"vnc": "<5>", "audiodev": "audio1"})),
        ("kernel", json!("<3>")),
        ("append", json!("console=ttyS0,115200 root=/dev/vda")),
        ("msg", json!({"timestamp": true})),
    ];
    let mut plan = plan(&good);
    plan.reactions.push(Reaction { event: "SHUTDOWN".into(), commands: vec!["quit".into()] });
    plan.environment.push(("TZ".into(), "UTC".into()));
    let checked = check(&plan, &handles(), &qemu()).unwrap();
    assert!(checked.has_monitor() && checked.hash().len() == 64);
    assert_eq!(checked.hash(), check(&plan, &handles(), &qemu()).unwrap().hash());
}

/// Everything below.
fn abuses() -> Vec<(&'static str, Json, &'static str)> {
    [abuses_of_storage_and_control(), abuses_of_formats(), abuses_of_devices()].concat()
}

/// What a hostile driver tries on the command line, with a word of the place that must be named.
fn abuses_of_storage_and_control() -> Vec<(&'static str, Json, &'static str)> {
    let file =
        |path: &str| json!({"driver": "file", "filename": path, "node-name": "x", "auto-read-only": true});
    let inner = |path: &str| json!({"driver": "file", "filename": path, "auto-read-only": true});
    vec![
        ("blockdev", file("/etc/shadow"), "filename"),
        ("blockdev", file("/dev/fdset/0"), "filename"),
        ("blockdev", file("json:{}"), "filename"),
        (
            "blockdev",
            json!({"driver": "raw", "node-name": "x", "file": file("/srv/tenant-b.raw")}),
            "file.filename",
        ),
        ("blockdev", json!({"driver": "vvfat", "node-name": "x", "dir": "/"}), "driver"),
        (
            "blockdev",
            json!({"driver": "nbd", "node-name": "x", "server": {"type": "inet", "host": "h", "port": "1"}}),
            "driver",
        ),
        (
            "blockdev",
            json!({"driver": "https", "node-name": "x", "url": "http://169.254.169.254/"}),
            "driver",
        ),
        ("blockdev", json!({"driver": "ssh", "node-name": "x"}), "driver"),
        ("blockdev", json!({"driver": "nvme", "node-name": "x", "device": "0000:01:00.0"}), "driver"),
        (
            "blockdev",
            json!({"driver": "host_device", "filename": "/dev/sda", "auto-read-only": true}),
            "filename",
        ),
        ("blockdev", json!({"driver": "file", "filename": "<3>", "auto-read-only": true}), "filename"),
        ("blockdev", json!({"driver": "file", "filename": "<1>"}), "auto-read-only"),
        ("blockdev", json!({"driver": "file", "filename": "<1>", "auto-read-only": false}), "auto-read-only"),
        ("blockdev", json!({"driver": "qcow2", "file": inner("<6>")}), "backing"),
        ("blockdev", json!({"driver": "qcow2", "file": inner("<6>"), "backing": "/etc/shadow"}), "backing"),
        ("blockdev", json!({"driver": "qed", "file": inner("<6>")}), "backing"),
        ("blockdev", json!({"driver": "raw", "file": "x", "force-share": true}), "force-share"),
        ("drive", json!("file=/etc/shadow,format=raw"), "drive"),
        ("chardev", json!({"backend": "file", "id": "c", "path": "/root/.ssh/authorized_keys"}), "chardev"),
        ("chardev", json!({"backend": "socket", "id": "c", "path": "/run/docker.sock"}), "chardev"),
        ("chardev", json!({"backend": "udp", "id": "c", "host": "127.0.0.1", "port": "53"}), "chardev"),
        ("chardev", json!({"backend": "pipe", "id": "c", "path": "/x"}), "chardev"),
        ("chardev", json!({"backend": "<4>", "id": "c", "logfile": "/etc/cron.d/x"}), "chardev"),
        ("chardev", json!({"backend": "<4>", "id": "charmonitor"}), "chardev"),
        ("chardev", json!({"backend": "<0>", "id": "other"}), "chardev"),
        ("mon", json!({"chardev": "charserial0", "mode": "control"}), "mon.chardev"),
        ("mon", json!({"chardev": "charmonitor", "mode": "readline"}), "mon.mode"),
        ("monitor", json!("unix:/tmp/m,server=on"), "monitor"),
        ("qmp", json!("tcp::4444,server=on"), "qmp"),
        ("gdb", json!("tcp::1234"), "gdb"),
        ("s", Json::Null, "s"),
        ("readconfig", json!("/etc/x"), "readconfig"),
        ("plugin", json!("/tmp/evil.so"), "plugin"),
        ("incoming", json!("exec:id"), "incoming"),
        ("incoming", json!("tcp:0:4444"), "incoming"),
        ("daemonize", Json::Null, "daemonize"),
        ("pidfile", json!("/etc/x"), "pidfile"),
        ("D", json!("/etc/x"), "D"),
        ("trace", json!("file=/etc/x"), "trace"),
        ("runas", json!("root"), "runas"),
        ("virtfs", json!("local,path=/"), "virtfs"),
        ("fsdev", json!("local,id=f,path=/"), "fsdev"),
        ("add-fd", json!("set=1,fd=0"), "add-fd"),
        ("nographic", Json::Null, "nographic"),
        ("no-such-option", Json::Null, "no-such-option"),
    ]
}

/// A file read as another format than the host has checked it to be.
fn abuses_of_formats() -> Vec<(&'static str, Json, &'static str)> {
    let file = |path: &str| json!({"driver": "file", "filename": path, "auto-read-only": true});
    vec![
        // A file is read as what the host has checked it to be, or as plain bytes: what a guest writes into a raw disk
        // is no header.
        ("blockdev", json!({"driver": "qcow2", "file": file("<1>"), "backing": null}), "file.filename"),
        ("blockdev", json!({"driver": "vmdk", "file": file("<1>"), "backing": null}), "file.filename"),
        ("blockdev", json!({"driver": "vmdk", "file": file("<6>"), "backing": null}), "file.filename"),
        ("blockdev", json!({"driver": "vdi", "file": file("<6>")}), "file.filename"),
        // Nor is an image read as plain bytes: its guest would write the header.
        ("blockdev", file("<6>"), "filename"),
        ("blockdev", json!({"driver": "raw", "file": file("<6>")}), "file.filename"),
        (
            "blockdev",
            json!({"driver": "qcow2", "file": {"driver": "raw", "offset": 327680, "file": file("<6>")}, "backing": null}),
            "file.driver",
        ),
        (
            "blockdev",
            json!({"driver": "qcow2", "backing": null,
                   "file": {"driver": "qcow2", "file": file("<1>"), "backing": null}}),
            "file.driver",
        ),
        // A name inside would be of a node whose file is of any format.
        (
            "blockdev",
            json!({"driver": "qcow2", "backing": null, "file": {"driver": "raw", "file": "libvirt-1-storage"}}),
            "file.driver",
        ),
        (
            "blockdev",
            json!({"driver": "vmdk", "backing": null,
                   "file": {"driver": "copy-on-read", "file": "libvirt-1-storage"}}),
            "file.driver",
        ),
        ("blockdev", json!({"driver": "qcow2", "file": "x", "backing": null}), "file"),
        ("blockdev", json!({"driver": "vmdk", "file": "x", "backing": null}), "file"),
    ]
}

/// Nodes over the bytes of an interpreted image, and images whose data is in another file, opened without or with one.
fn abuses_of_layers() -> Vec<(Json, &'static str)> {
    let file = |path: &str| json!({"driver": "file", "filename": path, "auto-read-only": true});
    let without = json!({"driver": "qcow2", "node-name": "x", "backing": null, "file": file("<7>")});
    let with =
        json!({"driver": "qcow2", "node-name": "x", "backing": null, "file": file("<6>"), "data-file": "y"});
    let mut named = file("<6>");
    named["node-name"] = json!("bytes");
    vec![
        // QEMU would open the name in the header itself.
        (without.clone(), "file.filename"),
        (json!({"driver": "raw", "node-name": "y", "file": without}), "file.file.filename"),
        (
            json!({"driver": "qcow2", "node-name": "y", "file": file("<6>"), "backing": without}),
            "backing.file.filename",
        ),
        // The header would be given a meaning that the host has not found in it.
        (with.clone(), "file.filename"),
        (json!({"driver": "copy-on-read", "node-name": "y", "file": with}), "file.file.filename"),
        // Nor is it said by a member that says nothing.
        (
            json!({"driver": "qcow2", "node-name": "x", "backing": null, "file": file("<7>"), "data-file": null}),
            "data-file",
        ),
        // A name for the bytes would let a raw node stand over them, and a guest write another header.
        (json!({"driver": "qcow2", "node-name": "x", "backing": null, "file": named}), "file.node-name"),
        (
            json!({"driver": "copy-on-read", "node-name": "y",
                   "file": {"driver": "qcow2", "backing": null, "file": named}}),
            "file.file.node-name",
        ),
        // QEMU makes names for nodes that have none.
        (json!({"driver": "raw", "node-name": "x", "file": "#block123"}), "file"),
        (json!({"driver": "copy-on-read", "node-name": "x", "file": "#block123"}), "file"),
        (
            json!({"driver": "qcow2", "node-name": "x", "file": file("<6>"), "backing": "#block123"}),
            "backing",
        ),
        (
            json!({"driver": "qcow2", "node-name": "x", "file": file("<7>"), "backing": null, "data-file": "#block123"}),
            "data-file",
        ),
    ]
}

#[test]
fn abuses_of_layers_are_refused_at_the_launch_and_by_the_monitor() {
    for (node, place) in abuses_of_layers() {
        let reopened = json!({"options": [{"driver": "null-co", "node-name": "n"}, node]});
        let verdicts = [
            ("blockdev", verdict(&[("blockdev", node.clone())]), place.to_owned()),
            ("blockdev-add", command("blockdev-add", node.clone()), place.to_owned()),
            ("blockdev-reopen", command("blockdev-reopen", reopened), format!("options.1.{place}")),
        ];
        for (name, verdict, place) in verdicts {
            let error = verdict.expect_err(&format!("{name} {node}"));
            assert_eq!(error.kind, LaunchErrorKind::Denied, "{name} {node}: {error}");
            assert_eq!(error.option, format!("{name}.{place}"), "{node}: {error}");
        }
    }
    let bytes = "#block123";
    for (name, arguments) in [
        ("device_add", json!({"driver": "virtio-blk-pci", "drive": bytes})),
        ("blockdev-mirror", json!({"job-id": "j", "device": "d", "target": bytes, "sync": "full"})),
        ("blockdev-mirror", json!({"job-id": "j", "device": "d", "target": "t", "replaces": bytes})),
        ("blockdev-backup", json!({"job-id": "j", "device": "d", "target": bytes, "sync": "full"})),
        ("blockdev-snapshot", json!({"node": "n", "overlay": bytes})),
        ("blockdev-insert-medium", json!({"id": "i", "node-name": bytes})),
        (
            "transaction",
            json!({"actions": [{"type": "blockdev-backup", "data": {"device": "d", "target": bytes}}]}),
        ),
    ] {
        let error = command(name, arguments.clone()).expect_err(&format!("{name} {arguments}"));
        assert_eq!(error.kind, LaunchErrorKind::Denied, "{name}: {error}");
    }
}

/// As above, for what is attached to the machine.
fn abuses_of_devices() -> Vec<(&'static str, Json, &'static str)> {
    vec![
        ("netdev", json!({"type": "tap", "id": "t", "script": "/tmp/x"}), "script"),
        ("netdev", json!({"type": "tap", "id": "t"}), "fd"),
        ("netdev", json!({"type": "tap", "id": "t", "fd": "3"}), "fd"),
        ("netdev", json!({"type": "tap", "id": "t", "fd": "<1>"}), "fd"),
        ("netdev", json!({"type": "tap", "id": "t", "ifname": "eth0"}), "ifname"),
        ("netdev", json!({"type": "tap", "id": "t", "helper": "/bin/sh"}), "helper"),
        ("netdev", json!({"type": "tap", "id": "t", "br": "br0"}), "br"),
        ("netdev", json!({"type": "user", "id": "u", "hostfwd": [{"str": "tcp::22-:22"}]}), "hostfwd"),
        ("netdev", json!({"type": "user", "id": "u", "smb": "/"}), "smb"),
        ("netdev", json!({"type": "user", "id": "u", "tftp": "/"}), "tftp"),
        (
            "netdev",
            json!({"type": "user", "id": "u", "guestfwd": [{"str": "tcp:10.0.2.1:1-cmd:sh"}]}),
            "guestfwd",
        ),
        (
            "netdev",
            json!({"type": "user", "id": "u", "guestfwd": [{"str": "tcp:10.0.2.1:1-file:x-chardev:y"}]}),
            "guestfwd",
        ),
        (
            "netdev",
            json!({"type": "user", "id": "u", "guestfwd": "tcp:10.0.2.1:1-cmd:x-chardev:y"}),
            "guestfwd",
        ),
        ("netdev", json!({"type": "socket", "id": "s", "connect": "h:1"}), "type"),
        (
            "object",
            json!({"qom-type": "memory-backend-file", "id": "m", "mem-path": "/dev/mem", "size": 1}),
            "qom-type",
        ),
        ("object", json!({"qom-type": "secret", "id": "s", "file": "/etc/shadow"}), "file"),
        ("object", json!({"qom-type": "secret", "id": "s", "file": "<3>"}), "file"),
        ("object", json!({"qom-type": "secret", "id": "s", "file": "<11>", "data": "x"}), "data"),
        ("object", json!({"qom-type": "secret", "id": "s"}), "file"),
        ("fw_cfg", json!({"name": "opt/x", "file": "<11>"}), "file"),
        ("kernel", json!("<11>"), "kernel"),
        ("object", json!({"qom-type": "rng-random", "id": "r", "filename": "/etc/passwd"}), "filename"),
        ("object", json!({"qom-type": "filter-dump", "id": "f", "netdev": "n", "file": "/x"}), "qom-type"),
        ("object", json!({"qom-type": "input-linux", "id": "i", "evdev": "/dev/input/event0"}), "qom-type"),
        ("object", json!({"qom-type": "tls-creds-x509", "id": "t", "dir": "/etc/pki"}), "qom-type"),
        ("device", json!({"driver": "vfio-pci", "host": "0000:01:00.0"}), "driver"),
        ("device", json!({"driver": "usb-host", "hostbus": 1}), "driver"),
        ("device", json!({"driver": "usb-mtp", "rootdir": "/"}), "driver"),
        ("device", json!({"driver": "loader", "file": "/etc/shadow"}), "driver"),
        ("device", json!({"driver": "virtio-net-pci", "romfile": "/etc/shadow"}), "romfile"),
        ("device", json!({"driver": "virtio-net-pci", "x": "/etc/shadow"}), "x"),
        ("device", json!({"driver": "virtio-net-pci", "id": "a,b=c"}), "id"),
        ("device", json!({"driver": "virtio-net-pci", "a=b,c": 1}), "a=b,c"),
        ("global", json!({"virtio-net-pci.romfile": "/etc/shadow"}), "romfile"),
        ("global", json!({"driver": "virtio-net-pci", "property": "romfile", "value": "/x"}), "global"),
        ("global", json!({"ICH9-LPC.romfile": "vmlinuz"}), "romfile"),
        ("global", json!({"PIIX4_PM.romfile": "vmlinuz"}), "romfile"),
        ("global", json!({"mch.romfile": "vmlinuz"}), "romfile"),
        ("machine", json!({"type": "q35", "dumpdtb": "/etc/x"}), "dumpdtb"),
        ("machine", json!({"type": "q35,firmware=/etc/x"}), "type"),
        ("bios", json!("/etc/shadow"), "bios"),
        ("kernel", json!("/etc/shadow"), "kernel"),
        ("boot", json!({"splash": "/etc/shadow"}), "splash"),
        ("smbios", json!({"type": 11, "path": "/etc/shadow"}), "path"),
        ("fw_cfg", json!({"name": "opt/x", "file": "/etc/shadow"}), "file"),
        ("acpitable", json!({"file": "/etc/shadow"}), "file"),
        ("tpmdev", json!({"type": "passthrough", "id": "t", "path": "/dev/tpm0"}), "tpmdev"),
        ("audiodev", json!({"driver": "wav", "id": "a", "path": "/etc/x"}), "audiodev"),
        ("vnc", json!({"vnc": "0.0.0.0:1"}), "vnc"),
        ("vnc", json!("unix:/tmp/x"), "vnc"),
        ("vnc", json!({"vnc": "127.0.0.1:1"}), "vnc"),
        ("vnc", json!({"vnc": "none", "reverse": true}), "reverse"),
        ("spice", json!({"port": 0, "x509-dir": "/etc/pki"}), "x509-dir"),
        ("spice", json!({"port": 0, "addr": "127.0.0.1"}), "addr"),
        ("spice", json!({"port": 5900}), "port"),
        ("spice", json!({"port": 0, "tls-port": 5901}), "tls-port"),
        ("spice", json!({"port": 0, "password": "secret"}), "password"),
        ("display", json!({"type": "gtk"}), "display"),
        ("sandbox", json!({"enable": "off"}), "sandbox"),
    ]
}

#[test]
fn abuses_of_options_are_refused_where_they_are() {
    let abuses = abuses().into_iter();
    for (option, json, place) in abuses {
        let error = verdict(&[(option, json.clone())]).expect_err(&format!("{option} {json}"));
        assert_eq!(error.kind, LaunchErrorKind::Denied, "{option} {json}: {error}");
        assert!(error.option.contains(place) && !error.rule.is_empty(), "{option} {json}: {error}");
    }
}

#[test]
fn abuses_of_the_plan_itself_are_refused() {
    let refused = |plan: &Plan| check(plan, &handles(), &qemu()).unwrap_err();
    let mut without = plan(&[]);
    without.options.retain(|option| option.name != "sandbox");
    assert_eq!(refused(&without).option, "sandbox");
    let mut variable = plan(&[]);
    variable.environment.push(("LD_PRELOAD".into(), "/tmp/x.so".into()));
    assert_eq!(refused(&variable).option, "environment.LD_PRELOAD");
    let mut reaction = plan(&[]);
    reaction.reactions.push(Reaction { event: "STOP".into(), commands: vec!["migrate".into()] });
    assert_eq!(refused(&reaction).option, "migrate");
    let twice = plan(&[("name", json!({"guest": "a"})), ("name", json!({"guest": "b"}))]);
    assert_eq!(refused(&twice).option, "name");
    let nul = plan(&[("append", json!("a\u{0}b"))]);
    assert_eq!(refused(&nul).kind, LaunchErrorKind::PlanInvalid);
    let dangling = plan(&[("kernel", json!("<77>"))]);
    assert!(refused(&dangling).rule.contains("no handle 77"));
    let chardev = |id: &str| ("chardev", json!({"backend": "<4>", "id": id}));
    assert_eq!(refused(&plan(&[chardev("a"), chardev("b")])).kind, LaunchErrorKind::PlanInvalid);
    let mut deep = Value::Null;
    for _ in 0..100 {
        deep = Value::mapping([("file", deep)]);
    }
    let mut nested = plan(&[]);
    nested.options.push(OptionEntry::new("blockdev", deep));
    assert_eq!(refused(&nested).kind, LaunchErrorKind::PlanInvalid);
    let mut other = plan(&[]);
    other.template = "other".into();
    assert_eq!(refused(&other).kind, LaunchErrorKind::PlanInvalid);
}

#[test]
fn abuses_of_names_in_handles_are_refused() {
    for name in ["", "../x", "a/b", ".hidden", "a b", &"x".repeat(65)] {
        let error = check(&plan(&[]), &[Handle::Socket(name.into())], &qemu()).unwrap_err();
        assert_eq!(error.kind, LaunchErrorKind::PlanInvalid, "{name}");
    }
    let pipe = EndpointKind::Other { backend: "pipe".into(), pairs: vec![] };
    let endpoint = Handle::Endpoint(EndpointSpec { alias: "serial0".into(), kind: pipe });
    assert_eq!(check(&plan(&[]), &[endpoint], &qemu()).unwrap_err().kind, LaunchErrorKind::Denied);
}

fn command(name: &str, arguments: Json) -> Result<(), LaunchError> {
    let arguments = (!arguments.is_null()).then(|| value(&arguments));
    check_command(&qemu(), name, arguments.as_ref(), &handles())
}

#[test]
fn commands_that_a_driver_needs_pass() {
    for name in ["query-status", "stop", "cont", "system_powerdown", "system_reset", "quit", "query-block"] {
        command(name, Json::Null).unwrap();
    }
    command("blockdev-add", json!({"driver": "file", "filename": "<1>", "auto-read-only": true})).unwrap();
    command("device_del", json!({"id": "disk0"})).unwrap();
    command("migrate-set-capabilities", json!({"capabilities": [{"capability": "events", "state": true}]}))
        .unwrap();
    command("qom-get", json!({"path": "/machine/peripheral/video0", "property": "vgamem_mb"})).unwrap();
    command("block-commit", json!({"device": "f", "base-node": "b", "job-id": "j"})).unwrap();
    command("block-stream", json!({"device": "f", "job-id": "j"})).unwrap();
    let path = "/machine/peripheral/virtio-disk0/virtio-backend";
    command(
        "block_set_io_throttle",
        json!({"id": path, "group": "throttle-drive-vda", "bps": 0, "iops_rd_max": 7}),
    )
    .unwrap();
    let place =
        json!({"driver": "qemu64-x86_64-cpu", "id": "vcpu1", "socket-id": 1, "core-id": 0, "thread-id": 0});
    command("device_add", place).unwrap();
}

#[test]
fn abuses_of_the_monitor_are_refused() {
    let abuses = [
        ("human-monitor-command", json!({"command-line": "info status"})),
        ("migrate", json!({"uri": "exec:id"})),
        ("migrate-incoming", json!({"uri": "tcp:0:1"})),
        ("pmemsave", json!({"val": 0, "size": 1, "filename": "/x"})),
        ("memsave", json!({"val": 0, "size": 1, "filename": "/x"})),
        ("dump-guest-memory", json!({"paging": false, "protocol": "file:/x"})),
        ("screendump", json!({"filename": "/x"})),
        ("chardev-add", json!({"id": "c", "backend": {"type": "file", "data": {"out": "/x"}}})),
        ("chardev-change", json!({})),
        ("nbd-server-start", json!({"addr": {}})),
        ("blockdev-create", json!({"job-id": "j", "options": {"driver": "file", "filename": "/x"}})),
        ("blockdev-snapshot-sync", json!({"snapshot-file": "/x"})),
        ("drive-mirror", json!({"target": "/x"})),
        ("drive-backup", json!({"target": "/x"})),
        ("change-backing-file", json!({"backing-file": "/x"})),
        ("blockdev-change-medium", json!({"filename": "/x"})),
        ("blockdev-add", json!({"driver": "file", "filename": "/etc/shadow", "auto-read-only": true})),
        ("blockdev-add", json!({"driver": "qcow2", "file": "x"})),
        ("blockdev-reopen", json!({"options": [{"driver": "vvfat", "dir": "/"}]})),
        ("block-commit", json!({"device": "f", "backing-file": "/x"})),
        ("block-commit", json!({"device": "f", "top-node": "a", "base-node": "b"})),
        ("block-commit", json!({"device": "f", "top-node": "a", "base-node": "b", "backing-file": "/x"})),
        ("block-stream", json!({"device": "f", "backing-file": "/x"})),
        ("block-stream", json!({"device": "f", "base-node": "b"})),
        ("block-stream", json!({"device": "f", "base-node": "b", "backing-file": "plain-name"})),
        ("device_add", json!({"driver": "vfio-pci", "host": "0000:01:00.0"})),
        (
            "device_add",
            json!({"driver": "max-x86_64-cpu", "id": "v", "socket-id": 0, "core-id": 0, "thread-id": 0, "x": 1}),
        ),
        (
            "device_add",
            json!({"driver": "max-x86_64-cpu", "id": "v", "socket-id": "0", "core-id": 0, "thread-id": 0}),
        ),
        ("qom-set", json!({"path": "/objects/tls0", "property": "limits", "value": {"bps-total": 1}})),
        ("block_set_io_throttle", json!({"id": "/objects/tls0", "bps": 1})),
        ("block_set_io_throttle", json!({"id": "/machine/peripheral/d", "bps": "x"})),
        ("display-update", json!({"type": "vnc", "addresses": [{"type": "fd", "str": "x"}]})),
        ("display-update", json!({"type": "vnc", "addresses": [{"type": "inet", "str": "0.0.0.0"}]})),
        ("add_client", json!({"protocol": "vnc", "fdname": "x"})),
        ("add_client", json!({"protocol": "vnc", "fdname": "<9>"})),
        ("add_client", json!({"protocol": "@dbus-display", "fdname": "<10>"})),
        ("add_client", json!({"protocol": "spice", "fdname": "<10>", "skipauth": true})),
        ("set_password", json!({"protocol": "vnc"})),
        ("set_password", json!({"protocol": "vnc", "password": "x", "display": "y"})),
        ("expire_password", json!({"protocol": "vnc", "time": "+60"})),
        ("object-add", json!({"qom-type": "memory-backend-file", "id": "m", "mem-path": "/x"})),
        ("object-add", json!({"qom-type": "secret", "id": "s", "file": "/etc/shadow"})),
        ("object-add", json!({"qom-type": "secret", "id": "s", "data": "x"})),
        ("qom-get", json!({"path": "/objects/s", "property": "data"})),
        ("netdev_add", json!({"type": "tap", "id": "t", "script": "/x"})),
        ("netdev_add", json!({"type": "tap", "id": "t", "fd": "9"})),
        ("netdev_add", json!({"type": "tap", "id": "t"})),
        ("netdev_add", json!({"type": "user", "id": "u", "hostfwd": [{"str": "tcp::1-:1"}]})),
        ("qom-set", json!({"path": "/objects/s", "property": "file", "value": "/x"})),
        ("transaction", json!({"actions": [{"type": "drive-backup", "data": {"target": "/x"}}]})),
        ("migrate-set-parameters", json!({"tls-creds": "x"})),
        ("add-fd", json!({"fdset-id": 1})),
        ("getfd", json!({"fdname": "x"})),
        ("query-fdsets", Json::Null),
        ("qmp_capabilities", Json::Null),
        ("xen-save-devices-state", json!({"filename": "/x"})),
        ("query-status", json!({"x": "<1>"})),
        ("no-such-command", Json::Null),
    ];
    assert!(abuses.len() >= 35);
    for (name, arguments) in abuses {
        let error = command(name, arguments.clone()).expect_err(&format!("{name} {arguments}"));
        assert!(error.kind == LaunchErrorKind::Denied && error.option.starts_with(name), "{name}: {error}");
    }
}

/// A job that ends with a name in a header is given that name, and it is the host's.
#[test]
fn names_in_headers_are_those_of_the_operation() {
    let given = ["base.qcow2".to_owned()];
    let verdict = |name: &str, arguments: Json| {
        check_command_of(&qemu(), name, Some(&value(&arguments)), &handles(), &given)
    };
    let commit = |file: &str| json!({"device": "f", "top-node": "a", "base-node": "b", "backing-file": file});
    let stream = |file: &str| json!({"device": "f", "base-node": "b", "backing-file": file});
    verdict("block-commit", commit("base.qcow2")).unwrap();
    verdict("block-stream", stream("base.qcow2")).unwrap();
    for other in ["", "base", "base.qcow2x", "/etc/shadow", "json:{}"] {
        for (name, arguments) in [("block-commit", commit(other)), ("block-stream", stream(other))] {
            let error = verdict(name, arguments).unwrap_err();
            assert_eq!(error.kind, LaunchErrorKind::Denied, "{name} {other}: {error}");
            assert!(error.option.starts_with(name), "{error}");
        }
    }
}
