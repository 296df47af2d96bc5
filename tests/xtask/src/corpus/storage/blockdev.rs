//! Sources of documents, as block drivers are told of them and as images record them.

use super::Outcome;
use super::documents::sources;
use super::nodes::{Image, Recorded, cases};
use super::records::{plain_xml, read, same};
use anyhow::Result;
use hostler_domain::disk::DiskDevice;
use hostler_domain::storage_source::StorageSource;
use hostler_image::{BackingSource, Profile, SourceReading, read_source, reference_text, target_properties};
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

#[derive(Deserialize)]
pub(super) struct RoundTrip {
    pub(super) name: String,
    r#type: String,
    source_xml: String,
}

impl RoundTrip {
    /// The disk whose source it is.
    pub(super) fn disk(&self) -> String {
        format!("<disk type='{}'>{}<target dev='vda'/></disk>", self.r#type, self.source_xml)
    }
}

/// The recorded sources.
pub(super) fn round_trip_cases(directory: &Path) -> Result<Vec<RoundTrip>> {
    read(&directory.join("blockdev/xml-json-xml.jsonl"))
}

/// A source, described in JSON and read again, is the same source.
pub(super) fn round_trips(directory: &Path) -> Result<Vec<Outcome>> {
    Ok(round_trip_cases(directory)?.into_iter().map(|case| (case.name.clone(), round_trip(&case))).collect())
}

fn round_trip(case: &RoundTrip) -> Result<(), String> {
    let sources = sources(&case.disk())?;
    let source = sources.first().ok_or("the disk has no source")?;
    let described =
        target_properties(&backing(source), Profile::Strict).map_err(|fault| fault.to_string())?;
    match read_source(&format!("json:{{\"file\":{}}}", described.to_text()), Profile::Compatible) {
        SourceReading::Usable(found) => same(&plain_xml(&found.to_xml()), &plain_xml(&case.source_xml)),
        other => Err(format!("{} is read as {other:?}", described.to_text())),
    }
}

#[derive(Deserialize)]
pub(super) struct Description {
    pub(super) name: String,
    input: String,
    pub(super) expect_storage_props: Value,
}

/// The recorded descriptions.
pub(super) fn description_cases(directory: &Path) -> Result<Vec<Description>> {
    read(&directory.join("blockdev/json2json.jsonl"))
}

/// A description as older programs wrote it, and the members of today that it stands for.
pub(super) fn descriptions(directory: &Path) -> Result<Vec<Outcome>> {
    Ok(description_cases(directory)?
        .into_iter()
        .map(|case| (case.name.clone(), description(&case)))
        .collect())
}

fn description(case: &Description) -> Result<(), String> {
    let SourceReading::Usable(source) = read_source(&case.input, Profile::Compatible) else {
        return Err("cannot be read".to_owned());
    };
    let mut expected = case.expect_storage_props.clone();
    if let Some(members) = expected.as_object_mut() {
        // How a node is opened is said where nodes are made, not by the source.
        members.remove("auto-read-only");
        members.remove("discard");
    }
    same(&properties(&source, Profile::Strict)?, &expected)
}

/// What images would record about each layer of a disk.
pub(super) fn targets(directory: &Path) -> Result<Vec<Outcome>> {
    let described =
        cases(directory)?.into_iter().filter_map(|case| Some((case.name, case.disk_xml, case.images?)));
    Ok(described.map(|(name, xml, images)| (name, target(&xml, &images))).collect())
}

fn target(disk: &str, images: &[Image]) -> Result<(), String> {
    let disk = super::documents::disk(disk)?;
    same(&disk.source.layers().count(), &images.len())?;
    for (source, image) in disk.source.layers().zip(images) {
        let floppy = disk.device == DiskDevice::Floppy;
        let source = BackingSource { floppy, ..backing(source) };
        same(&properties(&source, Profile::Compatible)?, &image.target_only_props)?;
        let text = reference_text(&source, Profile::Compatible).map_err(|fault| fault.to_string())?;
        match &image.backing_string {
            Recorded::String(expected) => same(&text, expected)?,
            Recorded::Json(expected) => {
                let tree = text.strip_prefix("json:").and_then(|text| serde_json::from_str(text).ok());
                same(&tree.unwrap_or(Value::String(text)), expected)?;
            }
        }
    }
    Ok(())
}

/// What a block driver is told about a source.
pub(super) fn properties(source: &BackingSource, profile: Profile) -> Result<Value, String> {
    let text = target_properties(source, profile).map_err(|fault| fault.to_string())?.to_text();
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// A source of a document as a reference describes it.
pub(super) fn backing(source: &StorageSource) -> BackingSource {
    BackingSource { slice: source.slice, ..BackingSource::new(source.location.clone()) }
}
