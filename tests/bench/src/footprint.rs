//! What it takes: sizes of components and programs, and the memory of a command.

use crate::figures::median;
use crate::place::{Place, output};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// How often a command is asked for its memory while it runs.
const SAMPLE: Duration = Duration::from_micros(200);

/// Runs the benchmark.
pub(crate) fn run(place: &Place, rounds: usize) -> Result<()> {
    println!("\nsizes, bytes");
    for directory in ["drivers", "guests"] {
        sizes(&place.components.join(directory), "wasm")?;
    }
    for program in ["hostler", "hostler-shim"] {
        size(&place.programs.join(program))?;
    }
    println!("\npeak memory of a command, KiB, median of {rounds}");
    output(&mut place.hostler(&["list", "--all"])).context("hostler list")?;
    for arguments in [&["list", "--all"][..], &["driver", "list"]] {
        let peaks = (0..rounds).map(|_| peak_kib(place.hostler(arguments))).collect::<Result<Vec<f64>>>()?;
        println!("{:<44} {:>10.0}", format!("hostler {}", arguments.join(" ")), median(&peaks));
    }
    Ok(())
}

fn sizes(directory: &Path, extension: &str) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    files
        .iter()
        .filter(|file| file.extension().is_some_and(|found| found == extension))
        .try_for_each(|file| size(file))
}

fn size(file: &Path) -> Result<()> {
    let bytes = fs::metadata(file).with_context(|| format!("no {}", file.display()))?.len();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    println!("{name:<44} {bytes:>10}");
    Ok(())
}

/// The largest resident size that a command was seen to have had; the kernel keeps the mark, so that only what
/// came after the last look is missed.
fn peak_kib(mut command: Command) -> Result<f64> {
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", process.id());
    let mut peak: f64 = 0.0;
    while process.try_wait()?.is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let mark = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak = peak.max(mark.and_then(|kib| kib.trim().parse().ok()).unwrap_or_default());
        thread::sleep(SAMPLE);
    }
    Ok(peak)
}
