//! A valid launch of QEMU with one disk, and what is added to it.

use hostler_sdk::internal::driver::hostler::host::process::{LaunchPlan, OptionEntry, Reaction};
use hostler_sdk::{Domain, Error, Fact};
use serde_json::{Value as Json, json};

use crate::handles::Opened;
use crate::tree;

/// Launches it.
pub(crate) fn launch(domain: &Domain, wish: &Json) -> Result<(), Error> {
    let mut opened = Opened::default();
    let added = wish["options"].as_array().cloned().unwrap_or_default();
    let replaced: Vec<_> =
        added.iter().map(|option| text(&option[0])).filter(|name| SINGLE.contains(&&**name)).collect();
    let mut options = valid(&domain.name());
    options.retain(|(name, _)| !replaced.iter().any(|single| single == name));
    options.extend(added.iter().map(|option| (text(&option[0]), option[1].clone())));
    let options = options.iter().map(|(name, value)| OptionEntry {
        name: name.clone(),
        value: (!value.is_null()).then(|| tree::tree(value, &mut opened)),
    });
    let plan = LaunchPlan {
        template: wish["template"].as_str().unwrap_or("qemu-system-x86_64").to_owned(),
        options: options.collect(),
        environment: members(&wish["environment"])
            .map(|(key, value)| Fact { key, value: text(&value) })
            .collect(),
        reactions: members(&wish["reactions"])
            .map(|(event, command)| Reaction { event, commands: vec![text(&command)] })
            .collect(),
    };
    opened.open(domain)?;
    domain.launch(&plan, &opened.lend()).map(drop)
}

/// Options that may be given once: what is added takes the place of ours.
const SINGLE: &[&str] = &["name", "machine", "sandbox", "m", "mon"];

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

fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn members(value: &Json) -> impl Iterator<Item = (String, Json)> {
    value.as_object().cloned().unwrap_or_default().into_iter()
}
