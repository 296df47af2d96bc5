//! Commands to a running QEMU that reach beyond the domain: command, arguments, and the place that the refusal names.

use super::Tried;

/// Files of the host, read and written.
pub(super) const FILES: &[Tried] = &[
    (
        "human-monitor-command",
        r#"{"command-line": "drive_add dummy file=@SECRET@,format=raw,if=none,id=x"}"#,
        "human-monitor-command",
    ),
    ("human-monitor-command", r#"{"command-line": "logfile @MADE@"}"#, "human-monitor-command"),
    ("chardev-add", r#"{"id": "c", "backend": {"type": "file", "data": {"out": "@MADE@"}}}"#, "chardev-add"),
    (
        "chardev-change",
        r#"{"id": "charmonitor", "backend": {"type": "file", "data": {"out": "@MADE@"}}}"#,
        "chardev-change",
    ),
    (
        "blockdev-add",
        r#"{"driver": "file", "node-name": "x", "filename": "@SECRET@", "auto-read-only": true}"#,
        "blockdev-add.filename",
    ),
    ("blockdev-add", r#"{"driver": "vvfat", "node-name": "x", "dir": "/etc"}"#, "blockdev-add.driver"),
    (
        "blockdev-add",
        r#"{"driver": "raw", "node-name": "x", "file": {"driver": "host_device", "filename": "@SECRET@"}}"#,
        "blockdev-add.file",
    ),
    (
        "blockdev-reopen",
        r#"{"options": [{"driver": "raw", "node-name": "disk", "file": {"driver": "file", "filename": "@SECRET@"}}]}"#,
        "blockdev-reopen",
    ),
    (
        "blockdev-create",
        r#"{"job-id": "j", "options": {"driver": "file", "filename": "@MADE@", "size": 4096}}"#,
        "blockdev-create",
    ),
    (
        "blockdev-snapshot-sync",
        r#"{"node-name": "disk", "snapshot-file": "@MADE@", "format": "qcow2"}"#,
        "blockdev-snapshot-sync",
    ),
    ("blockdev-change-medium", r#"{"id": "disk0", "filename": "@SECRET@"}"#, "blockdev-change-medium"),
    ("drive-mirror", r#"{"device": "disk", "target": "@MADE@", "sync": "full"}"#, "drive-mirror"),
    ("drive-backup", r#"{"device": "disk", "target": "@MADE@", "sync": "full"}"#, "drive-backup"),
    (
        "transaction",
        r#"{"actions": [{"type": "drive-backup", "data": {"device": "disk", "target": "@MADE@", "sync": "full"}}]}"#,
        "transaction",
    ),
    (
        "transaction",
        r#"{"actions": [{"type": "blockdev-snapshot-sync", "data": {"node-name": "disk", "snapshot-file": "@MADE@"}}]}"#,
        "transaction",
    ),
    ("block-commit", r#"{"device": "disk", "backing-file": "@SECRET@"}"#, "block-commit.backing-file"),
    ("block-stream", r#"{"device": "disk", "backing-file": "@SECRET@"}"#, "block-stream.backing-file"),
    (
        "change-backing-file",
        r#"{"device": "disk", "image-node-name": "disk", "backing-file": "@SECRET@"}"#,
        "change-backing-file",
    ),
    ("pmemsave", r#"{"val": 0, "size": 4096, "filename": "@MADE@"}"#, "pmemsave"),
    ("memsave", r#"{"val": 0, "size": 4096, "filename": "@MADE@"}"#, "memsave"),
    ("dump-guest-memory", r#"{"paging": false, "protocol": "file:@MADE@"}"#, "dump-guest-memory"),
    ("screendump", r#"{"filename": "@MADE@"}"#, "screendump"),
    ("xen-save-devices-state", r#"{"filename": "@MADE@"}"#, "xen-save-devices-state"),
    ("object-add", r#"{"qom-type": "secret", "id": "s", "file": "@SECRET@"}"#, "object-add.file"),
    ("object-add", r#"{"qom-type": "rng-random", "id": "r", "filename": "@SECRET@"}"#, "object-add.filename"),
    (
        "object-add",
        r#"{"qom-type": "memory-backend-file", "id": "m", "mem-path": "@MADE@", "size": 1048576}"#,
        "object-add.qom-type",
    ),
    (
        "object-add",
        r#"{"qom-type": "filter-dump", "id": "f", "netdev": "n", "file": "@MADE@"}"#,
        "object-add.qom-type",
    ),
    ("device_add", r#"{"driver": "virtio-net-pci", "romfile": "@SECRET@"}"#, "device_add.romfile"),
    ("device_add", r#"{"driver": "loader", "file": "@SECRET@"}"#, "device_add.driver"),
    ("device_add", r#"{"driver": "usb-mtp", "rootdir": "/etc"}"#, "device_add.driver"),
    ("device_add", r#"{"driver": "vfio-pci", "host": "0000:00:01.0"}"#, "device_add.driver"),
    ("qom-set", r#"{"path": "/objects/x", "property": "file", "value": "@SECRET@"}"#, "qom-set"),
    ("migrate", r#"{"uri": "file:@MADE@"}"#, "migrate"),
    ("trace-event-set-state", r#"{"name": "*", "enable": true}"#, "trace-event-set-state"),
    ("x-exit-preconfig\nmigrate", "null", "x-exit-preconfig\\nmigrate"),
    ("no-such-command", "null", "no-such-command"),
];

/// The image of another tenant: by path, and by names of nodes that are none of the domain's.
pub(super) const OTHER_TENANT: &[Tried] = &[
    (
        "blockdev-add",
        r#"{"driver": "file", "node-name": "x", "filename": "@OTHER@", "auto-read-only": true}"#,
        "blockdev-add.filename",
    ),
    ("blockdev-add", r#"{"driver": "raw", "node-name": "x", "file": "@OTHER@"}"#, "blockdev-add.file"),
    ("blockdev-add", r##"{"driver": "raw", "node-name": "x", "file": "#block123"}"##, "blockdev-add.file"),
    (
        "blockdev-add",
        r#"{"driver": "file", "node-name": "x", "filename": "/dev/fdset/0", "auto-read-only": true}"#,
        "blockdev-add.filename",
    ),
    (
        "blockdev-add",
        r#"{"driver": "file", "node-name": "x", "filename": "<monitor>", "auto-read-only": true}"#,
        "blockdev-add.filename",
    ),
    (
        "blockdev-add",
        r#"{"driver": "nbd", "node-name": "x", "server": {"type": "unix", "path": "@OTHER@"}}"#,
        "blockdev-add.driver",
    ),
    (
        "drive-mirror",
        r#"{"device": "disk", "target": "@OTHER@", "mode": "existing", "sync": "full"}"#,
        "drive-mirror",
    ),
    (
        "blockdev-mirror",
        r##"{"job-id": "j", "device": "disk", "target": "#block123", "sync": "full"}"##,
        "blockdev-mirror.target",
    ),
    (
        "blockdev-mirror",
        r#"{"job-id": "j", "device": "disk", "target": "@OTHER@", "sync": "full"}"#,
        "blockdev-mirror.target",
    ),
    (
        "blockdev-backup",
        r#"{"job-id": "j", "device": "disk", "target": "@OTHER@", "sync": "full"}"#,
        "blockdev-backup.target",
    ),
    ("blockdev-snapshot", r##"{"node": "disk", "overlay": "#block123"}"##, "blockdev-snapshot.overlay"),
    ("block-commit", r#"{"device": "disk", "base": "@OTHER@"}"#, "block-commit.base"),
    ("block-stream", r#"{"device": "disk", "base": "@OTHER@"}"#, "block-stream.base"),
    (
        "blockdev-insert-medium",
        r##"{"id": "disk0", "node-name": "#block123"}"##,
        "blockdev-insert-medium.node-name",
    ),
    ("device_add", r#"{"driver": "virtio-blk-pci", "drive": "@OTHER@"}"#, "device_add.drive"),
];

/// Programs, sockets, descriptors and networks.
pub(super) const CHANNELS: &[Tried] = &[
    ("migrate", r#"{"uri": "exec:touch @MADE@"}"#, "migrate"),
    ("migrate", r#"{"uri": "fd:3"}"#, "migrate"),
    ("migrate", r#"{"uri": "unix:@MADE@"}"#, "migrate"),
    ("migrate", r#"{"uri": "tcp:127.0.0.1:22"}"#, "migrate"),
    ("migrate-incoming", r#"{"uri": "exec:touch @MADE@"}"#, "migrate-incoming"),
    ("migrate-recover", r#"{"uri": "exec:touch @MADE@"}"#, "migrate-recover"),
    ("human-monitor-command", r#"{"command-line": "gdbserver tcp::1234"}"#, "human-monitor-command"),
    ("human-monitor-command", r#"{"command-line": "info status"}"#, "human-monitor-command"),
    (
        "chardev-add",
        r#"{"id": "c", "backend": {"type": "socket", "data": {"addr": {"type": "unix", "data": {"path": "@MADE@"}}, "server": true}}}"#,
        "chardev-add",
    ),
    (
        "chardev-add",
        r#"{"id": "c", "backend": {"type": "socket", "data": {"addr": {"type": "fd", "data": {"str": "hostler-viewer"}}}}}"#,
        "chardev-add",
    ),
    ("netdev_add", r#"{"type": "tap", "id": "t", "script": "/bin/sh"}"#, "netdev_add.script"),
    (
        "netdev_add",
        r#"{"type": "user", "id": "u", "hostfwd": [{"str": "tcp::2222-:22"}]}"#,
        "netdev_add.hostfwd",
    ),
    (
        "netdev_add",
        r#"{"type": "user", "id": "u", "guestfwd": [{"str": "tcp:10.0.2.1:1-cmd:touch @MADE@"}]}"#,
        "netdev_add.guestfwd",
    ),
    (
        "nbd-server-start",
        r#"{"addr": {"type": "inet", "data": {"host": "0.0.0.0", "port": "10809"}}}"#,
        "nbd-server-start",
    ),
    ("block-export-add", r#"{"type": "nbd", "id": "e", "node-name": "disk"}"#, "block-export-add"),
    ("getfd", r#"{"fdname": "x"}"#, "getfd"),
    ("closefd", r#"{"fdname": "x"}"#, "closefd"),
    ("add-fd", r#"{"fdset-id": 0}"#, "add-fd"),
    ("remove-fd", r#"{"fdset-id": 0}"#, "remove-fd"),
    ("query-fdsets", "null", "query-fdsets"),
    ("qmp_capabilities", r#"{"enable": ["oob"]}"#, "qmp_capabilities"),
    ("add_client", r#"{"protocol": "vnc", "fdname": "x"}"#, "add_client"),
    (
        "display-update",
        r#"{"type": "vnc", "addresses": [{"type": "inet", "host": "0.0.0.0", "port": "5999"}]}"#,
        "display-update.addresses",
    ),
    ("display-update", r#"{"type": "vnc", "addresses": [{"type": "fd", "str": "x"}]}"#, "str"),
    (
        "object-add",
        r#"{"qom-type": "tls-creds-x509", "id": "t", "dir": "/etc/pki", "endpoint": "server"}"#,
        "object-add.qom-type",
    ),
    ("migrate-set-parameters", r#"{"tls-creds": "x"}"#, "migrate-set-parameters"),
    ("query-status", r#"{"x": "<monitor>"}"#, "query-status"),
];

/// Handles that were not given.
pub(super) const FORGED: &[Tried] = &[
    (
        "blockdev-add",
        r#"{"driver": "file", "node-name": "x", "filename": "<99>", "auto-read-only": true}"#,
        "refers to handle 99,",
    ),
    (
        "blockdev-add",
        r#"{"driver": "file", "node-name": "x", "filename": "<0>", "auto-read-only": true}"#,
        "refers to handle 0,",
    ),
    ("query-status", r#"{"x": "<4294967295>"}"#, "refers to handle 4294967295,"),
];
