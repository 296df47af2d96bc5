//! Images that a running QEMU makes, as the driver asks it to, and layers that it reopens.

use super::files::held;
use super::kinds::Sample;
use super::open;
use crate::qemu::Monitor;
use anyhow::{Context, Result, anyhow};
use hostler_driver_qemu::blockdev::{Creation, LayerNames, Layout, Reference, Version};
use hostler_sdk::domain::disk::Disk;
use serde_json::{Value, json};
use std::path::Path;

/// Has QEMU make an image with something below it, and answers with what `qemu-img` says about it.
pub(super) fn create(home: &Path, format: &str, encryption: &str) -> Result<Value> {
    let dir = home.display();
    let disk = disk(&format!(
        "<disk type='file'><driver name='qemu' type='{format}'/><source file='{dir}/new'>{encryption}</source>\
         <backingStore/><target dev='vda'/></disk>"
    ))?;
    let below =
        self::disk(&format!("<disk type='file'><source file='{dir}/below'/><target dev='vda'/></disk>"))?;
    std::fs::write(home.join("below"), vec![0; 1 << 20])?;
    let names = LayerNames::numbered(1);
    let reference = (format != "raw").then(|| Reference {
        name: format!("{dir}/below").into(),
        source: &below.source,
        format: "raw",
    });
    let creation = Creation {
        disk: "vda",
        layer: 0,
        source: &disk.source,
        format,
        names: &names,
        capacity: 1 << 20,
        physical: if format == "raw" { 4 << 20 } else { 0 },
        backing: reference,
        layout: Layout { version: (format == "qcow2").then_some(Version::V3), ..Layout::default() },
    };
    let key = json!({ "qom-type": "secret", "id": "libvirt-1-format-encryption-secret0", "data": "hunter2" });
    let mut monitor = Monitor::start(&["-object".to_owned(), key.to_string()])?;
    let file = format!("{dir}/new");
    for made in [creation.storage(), creation.content()] {
        let made = made.map_err(|error| anyhow!("{error:?}"))?.context("there is nothing to make")?;
        let options: Value = serde_json::from_str(&made.to_json(&|_| file.clone()))?;
        run_job(&mut monitor, &options)?;
        if options["driver"] == "file" {
            let node = json!({ "driver": "file", "filename": file, "node-name": "libvirt-1-storage" });
            monitor.ask("blockdev-add", &node)?;
        }
    }
    drop(monitor);
    let told = crate::shell::read(
        std::process::Command::new("qemu-img").args(["info", "--output=json"]).arg(&file),
    )?;
    serde_json::from_str(&told).context("qemu-img does not speak JSON")
}

fn run_job(monitor: &mut Monitor, options: &Value) -> Result<()> {
    monitor.ask("blockdev-create", &json!({ "job-id": "create", "options": options }))?;
    monitor.wait(|event| event["event"] == "JOB_STATUS_CHANGE" && event["data"]["status"] == "concluded")?;
    let jobs = monitor.ask("query-jobs", &json!({}))?;
    monitor.ask("job-dismiss", &json!({ "id": "create" }))?;
    match jobs.as_array().into_iter().flatten().find_map(|job| job.get("error")) {
        Some(error) => Err(anyhow!("{options}: {error}")),
        None => Ok(()),
    }
}

fn disk(element: &str) -> Result<Disk> {
    open::disk(element).map_err(|why| anyhow!(why))
}

/// Reopens a layer for writing, as a block job would; the answer is whether the last file of the sample was held
/// for writing before and after.
pub(super) fn reopen(sample: &Sample, home: &Path, layer: &str) -> Result<(bool, bool)> {
    let wrong = |why: String| anyhow!(why);
    open::make(sample, home).map_err(wrong)?;
    let disk = disk(&sample.disk.replace("DIR", &home.display().to_string()))?;
    let layers = open::layers(sample, &disk);
    let arguments = open::arguments(sample, &disk, &layers, home).map_err(wrong)?;
    let mut monitor = Monitor::start(&arguments.words)?;
    let file = sample.files.last().map(|(name, _)| *name).context("the sample has no files")?;
    let is_written = |monitor: &Monitor| {
        held(monitor.process(), home, None).map(|held| held.get(file) == Some(&true)).map_err(wrong)
    };
    let before = is_written(&monitor)?;
    let node = arguments.nodes.iter().find(|node| node["node-name"] == layer);
    let mut node = node.context("there is no such layer")?.clone();
    node["read-only"] = Value::from(false);
    monitor.ask("blockdev-reopen", &json!({ "options": [node] }))?;
    Ok((before, is_written(&monitor)?))
}
