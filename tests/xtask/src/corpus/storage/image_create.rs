//! Images that a running hypervisor is asked to make, as libvirt recorded the requests.

use super::Outcome;
use super::blockdev::backing;
use super::documents::{disk, json};
use super::nodes::as_recorded;
use super::records::{read, same};
use anyhow::Result;
use hostler_domain::disk::Disk;
use hostler_driver_qemu::blockdev::{Creation, LayerNames, Layout, Reference};
use hostler_image::{Profile, reference_text};
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// A disk whose image is to be made; none where there is nothing to do.
#[derive(Deserialize)]
pub(super) struct Case {
    pub(super) name: String,
    disk_xml: String,
    backing_xml: Option<String>,
    capacity: u64,
    physical: u64,
    pub(super) protocol_create: Option<Value>,
    pub(super) format_create: Option<Value>,
}

/// The recorded requests.
pub(super) fn cases(directory: &Path) -> Result<Vec<Case>> {
    read(&directory.join("imagecreate/imagecreate.jsonl"))
}

/// Judges every request.
pub(super) fn judge(directory: &Path) -> Result<Vec<Outcome>> {
    Ok(cases(directory)?.into_iter().map(|case| (case.name.clone(), one(&case))).collect())
}

fn one(case: &Case) -> Result<(), String> {
    let (storage, content) = made(case)?;
    let shown = |value: &Option<Value>| value.clone().unwrap_or(Value::Null);
    same(&shown(&storage), &shown(&case.protocol_create))?;
    same(&shown(&content), &shown(&case.format_create))
}

/// What we would ask for: what is to hold the bytes, and the format in it.
pub(super) fn made(case: &Case) -> Result<(Option<Value>, Option<Value>), String> {
    let disk = disk(&case.disk_xml)?;
    let below = case.backing_xml.as_deref().map(self::disk).transpose()?;
    let status = disk.source.status.as_deref().ok_or("the record names no nodes")?;
    let names = LayerNames::recorded(status, 0).map_err(|error| format!("{error:?}"))?;
    let creation = Creation {
        disk: disk.target.as_str(),
        layer: 0,
        source: &disk.source,
        format: format(&disk),
        names: &names,
        capacity: case.capacity,
        physical: case.physical,
        backing: below.as_ref().map(reference).transpose()?,
        layout: Layout::default(),
    };
    let shown = |made: Result<Option<hostler_sdk::Value>, hostler_sdk::Error>| {
        let made = made.map_err(|error| format!("{error:?}"))?;
        let mut made = made.map(|made| json(&made, &disk.source)).transpose()?;
        made.iter_mut().for_each(as_recorded);
        Ok::<_, String>(made)
    };
    Ok((shown(creation.storage())?, shown(creation.content())?))
}

fn reference(below: &Disk) -> Result<Reference<'_>, String> {
    let name =
        reference_text(&backing(&below.source), Profile::Compatible).map_err(|fault| fault.to_string())?;
    Ok(Reference { name: name.into(), source: &below.source, format: format(below) })
}

fn format(disk: &Disk) -> &str {
    disk.source.format.as_deref().unwrap_or("raw")
}
