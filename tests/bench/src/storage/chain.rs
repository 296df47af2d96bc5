//! One chain, resolved by each contender.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use hostler_runtime::{Detail, Roots, inspect_image};

use crate::place::{Place, output};

/// Bytes read of each layer by the limit: the page that holds nearly every header.
const PAGE: usize = 4096;
/// Resolutions in one round of what is too short to be timed alone.
const REPEATS: u32 = 20;

/// Takes one figure in microseconds.
type Contender = fn(&Place, &[PathBuf]) -> Result<f64>;

/// Who resolves the chain, beside the limit.
pub(super) const CONTENDERS: [(&str, Contender); 3] = [
    ("  hostler, in the process", ours),
    ("  hostler image chain, a process", our_command),
    ("  qemu-img info --backing-chain, a process", qemu_img),
];

/// Makes a chain of this length with qemu-img; the active layer comes last.
pub(super) fn make(place: &Place, depth: usize) -> Result<Vec<PathBuf>> {
    let directory = place.work().join(format!("chain-{depth}"));
    std::fs::create_dir_all(&directory)?;
    let layers: Vec<PathBuf> = (0..depth).map(|layer| directory.join(format!("l{layer}.qcow2"))).collect();
    for (index, layer) in layers.iter().enumerate() {
        let mut create = Command::new("qemu-img");
        create.args(["create", "-q", "-u", "-f", "qcow2"]);
        if let Some(below) = index.checked_sub(1).and_then(|below| layers.get(below)) {
            create.arg("-b").arg(below).args(["-F", "qcow2"]);
        }
        output(create.arg(layer).arg("64M"))?;
    }
    Ok(layers)
}

/// The limit: each file opened once, its facts and its first page read, and closed.
pub(super) fn bare_reads(layers: &[PathBuf]) -> Result<f64> {
    let mut page = vec![0; PAGE];
    repeated(|| {
        for layer in layers {
            let file = File::open(layer)?;
            let length = file.metadata()?.len();
            black_box((file.read_at(&mut page, 0)?, length));
        }
        Ok(())
    })
}

fn ours(_: &Place, layers: &[PathBuf]) -> Result<f64> {
    let active = layers.last().context("a chain has a layer")?;
    let roots = Roots::of_operator(Vec::new());
    repeated(|| {
        let found = inspect_image(active, Some("qcow2"), Detail::Chain, &roots)?.layers;
        ensure!(found.len() == layers.len(), "{} layers of {} were found", found.len(), layers.len());
        Ok(())
    })
}

fn our_command(place: &Place, layers: &[PathBuf]) -> Result<f64> {
    let active = layers.last().context("a chain has a layer")?;
    let begun = Instant::now();
    output(place.hostler(&["-o", "json", "image", "chain", "--format", "qcow2"]).arg(active))?;
    Ok(microseconds(begun))
}

fn qemu_img(_: &Place, layers: &[PathBuf]) -> Result<f64> {
    let active = layers.last().context("a chain has a layer")?;
    let begun = Instant::now();
    output(
        Command::new("qemu-img")
            .args(["info", "--backing-chain", "--output=json", "-U", "-f", "qcow2"])
            .arg(active),
    )?;
    Ok(microseconds(begun))
}

fn repeated(mut once: impl FnMut() -> Result<()>) -> Result<f64> {
    let begun = Instant::now();
    (0..REPEATS).try_for_each(|_| once())?;
    Ok(microseconds(begun) / f64::from(REPEATS))
}

fn microseconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e6
}
