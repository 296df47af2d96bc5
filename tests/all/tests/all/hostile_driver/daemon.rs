//! The same against the storage daemon: option or command, value, and the place that the refusal names.

use super::Tried;

/// The program, as the driver launches it instead of QEMU.
pub(super) const TEMPLATE: &str = "qemu-storage-daemon";

pub(super) const OPTIONS: &[Tried] = &[
    (
        "blockdev",
        r#"{"driver": "file", "node-name": "x", "filename": "@SECRET@", "auto-read-only": true}"#,
        "filename",
    ),
    (
        "blockdev",
        r#"{"driver": "raw", "node-name": "x", "file": {"driver": "file", "filename": "@OTHER@", "auto-read-only": true}}"#,
        "filename",
    ),
    (
        "blockdev",
        r#"{"driver": "file", "node-name": "x", "filename": "/proc/self/fd/512", "auto-read-only": true}"#,
        "filename",
    ),
    (
        "blockdev",
        r#"{"driver": "qcow2", "node-name": "x", "backing": null, "file": {"driver": "file", "filename": "<vda>", "auto-read-only": true}}"#,
        "filename",
    ),
    (
        "blockdev",
        r#"{"driver": "qcow2", "node-name": "x", "file": "disk", "backing": "@OTHER@"}"#,
        "blockdev",
    ),
    ("blockdev", r#"{"driver": "vvfat", "node-name": "x", "dir": "/etc"}"#, "driver"),
    ("blockdev", r#"{"driver": "host_device", "node-name": "x", "filename": "@SECRET@"}"#, "driver"),
    (
        "blockdev",
        r#"{"driver": "nbd", "node-name": "x", "server": {"type": "unix", "path": "/run/x"}}"#,
        "driver",
    ),
    (
        "blockdev",
        r#"{"driver": "raw", "node-name": "x", "file": "disk", "force-share": true}"#,
        "force-share",
    ),
    ("chardev", r#"{"backend": "file", "id": "c", "path": "@MADE@"}"#, "chardev"),
    ("chardev", r#"{"backend": "<monitor>", "id": "charmonitor", "logfile": "@MADE@"}"#, "chardev"),
    ("chardev", r#"{"backend": "socket", "id": "c", "host": "0.0.0.0", "port": "4444"}"#, "chardev"),
    ("monitor", r#"{"chardev": "c", "mode": "control"}"#, "monitor.chardev"),
    ("nbd-server", r#"{"addr": {"type": "inet", "host": "0.0.0.0", "port": "10809"}}"#, "nbd-server"),
    ("nbd-server", r#"{"addr": {"type": "unix", "path": "@MADE@"}}"#, "path"),
    ("nbd-server", r#"{"addr": {"type": "fd", "str": "5"}}"#, "nbd-server"),
    ("nbd-server", r#"{"addr": {"type": "unix", "path": "<vda>"}}"#, "path"),
    ("export", r#"{"type": "fuse", "id": "x", "node-name": "disk", "mountpoint": "@SECRET@"}"#, "export"),
    (
        "export",
        r#"{"type": "vhost-user-blk", "id": "x", "node-name": "disk", "addr": {"type": "unix", "path": "@MADE@"}}"#,
        "export",
    ),
    ("export", r#"{"type": "vduse-blk", "id": "x", "node-name": "disk", "name": "x"}"#, "export"),
    ("object", r#"{"qom-type": "secret", "id": "s", "file": "@SECRET@"}"#, "object"),
    (
        "object",
        r#"{"qom-type": "tls-creds-x509", "id": "t", "dir": "/etc/pki", "endpoint": "server"}"#,
        "object",
    ),
    ("object", r#"{"qom-type": "authz-pam", "id": "a", "service": "su"}"#, "qom-type"),
    ("pidfile", r#""@MADE@""#, "pidfile"),
    ("daemonize", "null", "daemonize"),
    ("trace", r#"{"file": "@MADE@"}"#, "trace"),
    ("add-fd", r#"{"set": 1, "fd": 5}"#, "add-fd"),
    // An option of QEMU is none of this program.
    ("drive", r#""file=@SECRET@,format=raw""#, "drive"),
    ("device", r#"{"driver": "virtio-blk-pci", "drive": "disk"}"#, "device"),
];

pub(super) const COMMANDS: &[Tried] = &[
    ("blockdev-add", r#"{"driver": "file", "node-name": "x", "filename": "@SECRET@"}"#, "blockdev-add"),
    (
        "blockdev-add",
        r#"{"driver": "file", "node-name": "x", "filename": "<vda>", "auto-read-only": true}"#,
        "blockdev-add",
    ),
    (
        "blockdev-create",
        r#"{"job-id": "j", "options": {"driver": "file", "filename": "@MADE@", "size": 512}}"#,
        "blockdev-create",
    ),
    (
        "blockdev-snapshot-sync",
        r#"{"node-name": "disk", "snapshot-file": "@MADE@"}"#,
        "blockdev-snapshot-sync",
    ),
    ("drive-backup", r#"{"device": "disk", "target": "@MADE@", "sync": "full"}"#, "drive-backup"),
    ("drive-mirror", r#"{"device": "disk", "target": "@OTHER@", "sync": "full"}"#, "drive-mirror"),
    (
        "change-backing-file",
        r#"{"device": "disk", "image-node-name": "disk", "backing-file": "@SECRET@"}"#,
        "change-backing-file",
    ),
    ("block-stream", r#"{"device": "disk", "backing-file": "@SECRET@"}"#, "block-stream"),
    (
        "blockdev-reopen",
        r#"{"options": [{"driver": "raw", "node-name": "disk", "file": "@OTHER@"}]}"#,
        "blockdev-reopen",
    ),
    (
        "nbd-server-start",
        r#"{"addr": {"type": "inet", "data": {"host": "0.0.0.0", "port": "1"}}}"#,
        "nbd-server-start",
    ),
    ("nbd-server-stop", "null", "nbd-server-stop"),
    (
        "block-export-add",
        r#"{"type": "fuse", "id": "x", "node-name": "disk", "mountpoint": "@SECRET@"}"#,
        "block-export-add",
    ),
    ("block-export-add", r#"{"type": "nbd", "id": "x", "node-name": "<vda>"}"#, "node-name"),
    ("chardev-add", r#"{"id": "c", "backend": {"type": "file", "data": {"out": "@MADE@"}}}"#, "chardev-add"),
    ("object-add", r#"{"qom-type": "secret", "id": "s", "file": "@SECRET@"}"#, "object-add"),
    ("qom-set", r#"{"path": "/objects/x", "property": "file", "value": "@SECRET@"}"#, "qom-set"),
    ("transaction", r#"{"actions": []}"#, "transaction"),
    ("human-monitor-command", r#"{"command-line": "info block"}"#, "human-monitor-command"),
    ("getfd", r#"{"fdname": "x"}"#, "getfd"),
    ("qmp_capabilities", "null", "qmp_capabilities"),
];
