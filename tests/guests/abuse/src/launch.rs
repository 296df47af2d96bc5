//! A valid launch of QEMU or its storage daemon with one disk, and what is added to it.

use hostler_sdk::internal::driver::hostler::host::process::{LaunchPlan, OptionEntry, Reaction};
use hostler_sdk::{Domain, Error, Fact};
use serde_json::{Value as Json, json};

use crate::handles::Opened;
use crate::{pair, tree};

/// Launches it.
pub(crate) fn launch(domain: &Domain, wish: &Json) -> Result<(), Error> {
    let mut opened = Opened::default();
    let added = wish.get("options").and_then(Json::as_array);
    let added: Vec<_> = added.into_iter().flatten().map(pair).collect();
    let template = wish.get("template").and_then(Json::as_str).unwrap_or("qemu-system-x86_64");
    let mut options = if is_daemon(wish) { valid_daemon() } else { valid(&domain.name()) };
    options.retain(|(name, _)| !SINGLE.contains(&&**name) || !added.iter().any(|(other, _)| other == name));
    options.extend(added);
    let options = options.into_iter().map(|(name, value)| OptionEntry {
        name,
        value: (!value.is_null()).then(|| tree::tree(&value, &mut opened)),
    });
    let plan = LaunchPlan {
        template: template.to_owned(),
        options: options.collect(),
        environment: texts(wish, "environment").map(|(key, value)| Fact { key, value }).collect(),
        reactions: texts(wish, "reactions")
            .map(|(event, command)| Reaction { event, commands: vec![command] })
            .collect(),
    };
    opened.open(domain)?;
    domain.launch(&plan, &opened.lend()).map(drop)
}

/// Options that may be given once: what is added takes the place of ours.
const SINGLE: &[&str] = &["name", "machine", "sandbox", "m", "mon", "monitor", "nbd-server"];

/// The program beside QEMU whose valid launch is known here.
const STORAGE_DAEMON: &str = "qemu-storage-daemon";

/// Whether that is what is launched.
pub(crate) fn is_daemon(wish: &Json) -> bool {
    wish.get("template").and_then(Json::as_str) == Some(STORAGE_DAEMON)
}

/// A daemon that serves one disk.
fn valid_daemon() -> Vec<(String, Json)> {
    let options = [
        ("chardev", json!({"backend": "<monitor>", "id": "charmonitor"})),
        ("monitor", json!({"chardev": "charmonitor", "mode": "control"})),
        (
            "blockdev",
            json!({"driver": "raw", "node-name": "disk", "read-only": false,
                   "file": {"driver": "file", "filename": "<vda>", "auto-read-only": true}}),
        ),
        ("nbd-server", json!({"addr": {"type": "unix", "path": "<socket:nbd.sock>"}})),
        ("export", json!({"type": "nbd", "id": "e", "node-name": "disk", "name": "vda", "writable": true})),
    ];
    options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn valid(name: &str) -> Vec<(String, Json)> {
    let options = [
        ("name", json!({"guest": name})),
        ("S", Json::Null),
        ("nodefaults", Json::Null),
        ("no-user-config", Json::Null),
        (
            "sandbox",
            json!({"enable": "on", "obsolete": "deny", "elevateprivileges": "deny", "spawn": "deny"}),
        ),
        ("machine", json!({"type": "q35", "accel": "tcg"})),
        ("m", json!({"size": "32M"})),
        ("display", json!({"type": "none"})),
        ("chardev", json!({"backend": "<monitor>", "id": "charmonitor"})),
        ("mon", json!({"chardev": "charmonitor", "mode": "control"})),
        (
            "blockdev",
            json!({"driver": "file", "node-name": "disk-file", "filename": "<vda>", "auto-read-only": true}),
        ),
        ("blockdev", json!({"driver": "raw", "node-name": "disk", "file": "disk-file", "read-only": false})),
        ("device", json!({"driver": "virtio-blk-pci", "drive": "disk", "id": "disk0"})),
    ];
    options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The named texts of a member.
fn texts<'a>(wish: &'a Json, member: &str) -> impl Iterator<Item = (String, String)> + 'a {
    let members = wish.get(member).and_then(Json::as_object).into_iter().flatten();
    members.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
}
