//! Making a volume, beside `qemu-img create` alone.

use std::fs::File;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};
use hostler_image::Format;
use hostler_storage::{CreateRequest, Draft, PoolRoot, Programs, create_volume};

use super::row;
use crate::place::{Place, output};

/// Size of the volumes, in bytes.
const SIZE: u64 = 10 << 30;

/// Runs the benchmark.
pub(super) fn run(place: &Place, rounds: usize) -> Result<()> {
    let directory = place.work().join("made");
    std::fs::create_dir_all(&directory)?;
    let root = PoolRoot::open_at(&directory)?;
    let programs = Programs::found(&std::env::var_os("PATH").unwrap_or_default());
    println!("\nmaking a volume of 10 GiB, median of {rounds}, microseconds");
    println!("{:<44} {:>12} {:>12} {:>10}", "", "median", "a volume", "ratio");
    for format in ["qcow2", "raw"] {
        let (mut limits, mut durable, mut ours) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=rounds {
            let limit = qemu_img(place, format, false)?;
            let synced = qemu_img(place, format, true)?;
            let made = volume(&root, format, &programs)?;
            if round > 0 {
                limits.push(limit);
                durable.push(synced);
                ours.push(made);
            }
        }
        row(&format!("qemu-img create -f {format}"), 1, &limits, &limits);
        row("  the same, then sync of file and directory", 1, &durable, &limits);
        row("  hostler, in the process, durable", 1, &ours, &limits);
    }
    Ok(())
}

fn qemu_img(place: &Place, format: &str, durable: bool) -> Result<f64> {
    let target = place.work().join("bare-image");
    let begun = Instant::now();
    output(
        Command::new("qemu-img").args(["create", "-q", "-f", format]).arg(&target).arg(format!("{SIZE}")),
    )?;
    if durable {
        File::open(&target)?.sync_all()?;
        File::open(place.work())?.sync_all()?;
    }
    let took = begun.elapsed().as_secs_f64() * 1e6;
    std::fs::remove_file(target)?;
    Ok(took)
}

fn volume(root: &PoolRoot, format: &str, programs: &Programs) -> Result<f64> {
    let format = Format::from_xml_name(format).context("no such format")?;
    let request = CreateRequest::new("made", format, SIZE)?;
    let begun = Instant::now();
    let draft = Draft::begin(root, 1)?;
    create_volume(&draft, &request, programs, &mut |_| {})?;
    draft.publish("made")?;
    let took = begun.elapsed().as_secs_f64() * 1e6;
    hostler_storage::delete_volume(root, "made")?;
    Ok(took)
}
