//! The policy of the second shipped template against what a hostile driver would try.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::Template;
use super::abuses::{handles, value};
use super::check::{check, check_command};
use crate::error::{LaunchError, LaunchErrorKind};
use crate::plan::{OptionEntry, Plan};

fn template() -> Arc<Template> {
    Template::shipped("qemu-storage-daemon")
}

/// Options that a launch must have, and these.
fn plan(extra: &[(&str, Json)]) -> Plan {
    let needed =
        [("chardev", json!({"backend": "<0>", "id": "charmonitor"})), ("monitor", json!("charmonitor"))];
    let all = needed.iter().filter(|(name, _)| extra.iter().all(|(other, _)| other != name)).chain(extra);
    let options = all.map(|(name, json)| OptionEntry {
        name: (*name).into(),
        value: (!json.is_null()).then(|| value(json)),
    });
    let options = options.collect();
    Plan { template: "qemu-storage-daemon".into(), options, environment: vec![], reactions: vec![] }
}

fn verdict(extra: &[(&str, Json)]) -> Result<(), LaunchError> {
    check(&plan(extra), &handles(), &template()).map(drop)
}

#[test]
fn what_a_daemon_needs_passes() {
    let file = |handle: &str| json!({"driver": "file", "filename": handle, "auto-read-only": true});
    let export =
        |name: &str| json!({"type": "nbd", "id": name, "node-name": name, "name": name, "writable": true});
    verdict(&[
        ("object", json!({"qom-type": "iothread", "id": "io"})),
        ("object", json!({"qom-type": "throttle-group", "id": "t", "limits": {"iops-total": 100}})),
        ("blockdev", json!({"driver": "raw", "node-name": "vda", "read-only": false, "file": file("<1>")})),
        ("blockdev", json!({"driver": "qcow2", "node-name": "vdb", "backing": "vda", "file": file("<6>")})),
        ("blockdev", json!({"driver": "throttle", "node-name": "vdc", "throttle-group": "t", "file": "vdb"})),
        ("nbd-server", json!({"addr": {"type": "unix", "path": "<5>"}, "max-connections": 4})),
        ("export", export("vda")),
        ("export", export("vdc")),
    ])
    .unwrap();
    for command in ["query-block-exports", "query-named-block-nodes", "quit"] {
        check_command(&template(), command, None, &handles()).unwrap();
    }
    let remove = value(&json!({"id": "vda", "mode": "hard"}));
    check_command(&template(), "block-export-del", Some(&remove), &handles()).unwrap();
}

/// Option, value, and a word of the place that must be named.
fn abuses() -> Vec<(&'static str, Json, &'static str)> {
    let file = |path: &str| json!({"driver": "file", "filename": path, "auto-read-only": true});
    let export = |more: Json| {
        let mut export = json!({"type": "nbd", "id": "e", "node-name": "x"});
        export.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        export
    };
    vec![
        ("blockdev", file("/etc/shadow"), "filename"),
        ("blockdev", file("/proc/self/fd/512"), "filename"),
        ("blockdev", file("<3>"), "filename"),
        ("blockdev", json!({"driver": "file", "filename": "<1>"}), "auto-read-only"),
        ("blockdev", json!({"driver": "raw", "file": file("/etc/shadow")}), "file.filename"),
        ("blockdev", json!({"driver": "qcow2", "backing": null, "file": file("<1>")}), "file.filename"),
        ("blockdev", json!({"driver": "qcow2", "file": file("<6>")}), "backing"),
        ("blockdev", json!({"driver": "qcow2", "backing": null, "file": file("<7>")}), "filename"),
        ("blockdev", json!({"driver": "raw", "node-name": "x", "file": file("<6>")}), "filename"),
        ("blockdev", json!({"driver": "host_device", "filename": "/dev/sda"}), "driver"),
        ("blockdev", json!({"driver": "vvfat", "dir": "/etc"}), "driver"),
        ("blockdev", json!({"driver": "nbd", "server": {"type": "unix", "path": "/run/x"}}), "driver"),
        ("blockdev", json!({"driver": "ssh", "path": "/x"}), "driver"),
        ("blockdev", json!({"driver": "https", "url": "http://169.254.169.254/"}), "driver"),
        ("blockdev", json!({"driver": "nvme", "device": "0000:01:00.0"}), "driver"),
        ("blockdev", json!({"driver": "blkdebug", "config": "/etc/shadow"}), "driver"),
        ("blockdev", json!({"driver": "raw", "file": "x", "force-share": true}), "force-share"),
        ("chardev", json!({"backend": "file", "id": "charmonitor", "path": "/etc/cron.d/x"}), "chardev"),
        ("chardev", json!({"backend": "socket", "id": "charmonitor", "path": "/run/docker.sock"}), "chardev"),
        ("chardev", json!({"backend": "<0>", "id": "charmonitor", "logfile": "/x"}), "logfile"),
        ("chardev", json!({"backend": "<0>", "id": "other"}), "chardev.id"),
        ("chardev", json!({"backend": "<4>", "id": "charmonitor"}), "backend"),
        ("monitor", json!({"chardev": "other"}), "monitor.chardev"),
        ("monitor", json!({"chardev": "charmonitor", "mode": "readline"}), "monitor.mode"),
        ("nbd-server", json!({"addr": {"type": "inet", "host": "0.0.0.0", "port": "10809"}}), "addr"),
        ("nbd-server", json!({"addr": {"type": "unix", "path": "/tmp/x"}}), "addr.path"),
        ("nbd-server", json!({"addr": {"type": "fd", "str": "3"}}), "addr"),
        ("nbd-server", json!({"addr": {"type": "unix", "path": "<5>"}, "tls-creds": "t"}), "tls-creds"),
        ("export", export(json!({"type": "fuse", "mountpoint": "/etc/passwd"})), "export"),
        (
            "export",
            export(json!({"type": "vhost-user-blk", "addr": {"type": "unix", "path": "/x"}})),
            "export",
        ),
        ("export", export(json!({"type": "vduse-blk", "name": "x"})), "export.type"),
        ("export", export(json!({"node-name": {"driver": "file", "filename": "/x"}})), "node-name"),
        ("export", export(json!({"bitmaps": ["x"]})), "bitmaps"),
        ("object", json!({"qom-type": "secret", "id": "s", "file": "/etc/shadow"}), "object"),
        ("object", json!({"qom-type": "tls-creds-x509", "id": "t", "dir": "/etc/pki"}), "object"),
        ("object", json!({"qom-type": "authz-list-file", "id": "a", "filename": "/x"}), "qom-type"),
        ("pidfile", json!("/etc/cron.d/x"), "pidfile"),
        ("daemonize", Json::Null, "daemonize"),
        ("trace", json!({"file": "/x"}), "trace"),
        ("version", Json::Null, "version"),
        ("add-fd", json!("fd=3,set=1"), "add-fd"),
    ]
}

#[test]
fn abuses_of_options_are_refused_with_their_place() {
    for (name, json, place) in abuses() {
        let error = verdict(&[(name, json.clone())]).expect_err(&format!("{name} {json}"));
        assert!(
            error.kind == LaunchErrorKind::Denied && error.option.contains(place),
            "{name} {json}: {error} at '{}'",
            error.option
        );
    }
    let unwatched = Plan { options: vec![OptionEntry::flag("monitor")], ..plan(&[]) };
    assert!(check(&unwatched, &handles(), &template()).is_err(), "a launch has a monitor");
}

#[test]
fn abuses_of_the_monitor_are_refused() {
    for (name, arguments) in [
        ("blockdev-add", json!({"driver": "file", "filename": "<1>", "auto-read-only": true})),
        ("blockdev-add", json!({"driver": "file", "filename": "/etc/shadow"})),
        (
            "blockdev-create",
            json!({"job-id": "j", "options": {"driver": "file", "filename": "/x", "size": 1}}),
        ),
        ("blockdev-snapshot-sync", json!({"node-name": "x", "snapshot-file": "/x"})),
        ("blockdev-reopen", json!({"options": [{"driver": "file", "filename": "/etc/shadow"}]})),
        ("blockdev-mirror", json!({"device": "a", "target": "b", "sync": "full"})),
        ("block-stream", json!({"device": "a", "backing-file": "/etc/shadow"})),
        ("block-commit", json!({"device": "a", "backing-file": "/etc/shadow"})),
        ("change-backing-file", json!({"device": "a", "backing-file": "/etc/shadow"})),
        ("drive-backup", json!({"device": "a", "target": "/x", "sync": "full"})),
        ("drive-mirror", json!({"device": "a", "target": "/x", "sync": "full"})),
        ("nbd-server-start", json!({"addr": {"type": "inet", "data": {"host": "::", "port": "1"}}})),
        ("nbd-server-add", json!({"device": "a"})),
        ("block-export-add", json!({"type": "fuse", "id": "e", "node-name": "a", "mountpoint": "/x"})),
        ("block-export-add", json!({"type": "nbd", "id": "e", "node-name": "<1>"})),
        ("block-export-del", json!({"id": "<1>"})),
        ("chardev-add", json!({"id": "c", "backend": {"type": "file", "data": {"out": "/x"}}})),
        ("chardev-change", json!({"id": "c"})),
        ("object-add", json!({"qom-type": "secret", "id": "s", "file": "/etc/shadow"})),
        ("qom-set", json!({"path": "/objects/s", "property": "file", "value": "/x"})),
        ("transaction", json!({"actions": [{"type": "drive-backup", "data": {"target": "/x"}}]})),
        ("x-blockdev-amend", json!({})),
        ("add-fd", json!({"fdset-id": 1})),
        ("getfd", json!({"fdname": "x"})),
        ("qmp_capabilities", Json::Null),
        ("human-monitor-command", json!({"command-line": "info"})),
        ("query-block", json!({"x": "<1>"})),
    ] {
        let given = (!arguments.is_null()).then(|| value(&arguments));
        let error = check_command(&template(), name, given.as_ref(), &handles())
            .expect_err(&format!("{name} {arguments}"));
        assert!(error.kind == LaunchErrorKind::Denied && error.option.starts_with(name), "{name}: {error}");
    }
}
