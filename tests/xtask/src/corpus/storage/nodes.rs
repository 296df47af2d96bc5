//! Whole chains as lists of block nodes, against the ones that libvirt recorded.

use super::Outcome;
use super::documents::{disk, nodes};
use super::records::{read, same};
use anyhow::Result;
use hostler_driver_qemu::blockdev::Names;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// A disk, and the nodes of its layers; none where it must be refused.
#[derive(Deserialize)]
pub(super) struct DiskCase {
    pub(super) name: String,
    pub(super) disk_xml: String,
    /// `ok` or `error`.
    expect: String,
    pub(super) images: Option<Vec<Image>>,
}

/// The nodes of one layer, the active layer first.
#[derive(Deserialize)]
pub(super) struct Image {
    pub(super) format_props: Value,
    pub(super) storage_props: Value,
    pub(super) target_only_props: Value,
    pub(super) backing_string: Recorded,
}

/// The reference that an image above would record.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Recorded {
    String(String),
    Json(Value),
}

/// The recorded disks.
pub(super) fn cases(directory: &Path) -> Result<Vec<DiskCase>> {
    read(&directory.join("blockdev/xml2json.jsonl"))
}

/// Judges every disk.
pub(super) fn judge(directory: &Path) -> Result<Vec<Outcome>> {
    Ok(cases(directory)?.into_iter().map(|case| (case.name.clone(), one(&case))).collect())
}

fn one(case: &DiskCase) -> Result<(), String> {
    let found = made(&case.disk_xml);
    let (Some(images), "ok") = (&case.images, case.expect.as_str()) else {
        return match found {
            Ok(nodes) => Err(format!("is accepted, as {}", Value::from(nodes))),
            Err(_) => Ok(()),
        };
    };
    let found = found?;
    // Windows into files have nodes of their own, which the records leave out.
    let recorded: Vec<&Value> =
        images.iter().rev().flat_map(|image| [&image.storage_props, &image.format_props]).collect();
    let names: Vec<&Value> = recorded.iter().filter_map(|node| node.get("node-name")).collect();
    let found: Vec<&Value> =
        found.iter().filter(|node| node.get("node-name").is_some_and(|name| names.contains(&name))).collect();
    same(&found.len(), &recorded.len())?;
    found.into_iter().zip(recorded).try_for_each(|(found, recorded)| same(found, recorded))
}

/// The nodes that we make for a recorded disk.
pub(super) fn made(element: &str) -> Result<Vec<Value>, String> {
    let mut found = nodes(&disk(element)?, Names::Recorded)?;
    found.iter_mut().for_each(as_recorded);
    Ok(found)
}

/// A node as the records have it: their secrets were named by the program that recorded them, and how much a
/// client logs is decided at a start, which they are not of.
pub(super) fn as_recorded(node: &mut Value) {
    let Value::Object(members) = node else { return };
    if members.get("driver").is_some_and(|driver| driver == "gluster") {
        members.remove("debug");
    }
    for (name, value) in members.iter_mut() {
        match value {
            Value::String(text) if name.ends_with("-secret") => *text = secret(text),
            Value::Object(_) => as_recorded(value),
            _ => {}
        }
    }
}

fn secret(id: &str) -> String {
    let named = |end: &str, recorded: &str| Some(format!("{}{recorded}", id.strip_suffix(end)?));
    named("-auth-secret0", "-secalias")
        .or_else(|| named("-encryption-secret0", "-encalias"))
        .unwrap_or_else(|| id.to_owned())
}
