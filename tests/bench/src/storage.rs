//! Storage: chains beside `qemu-img info --backing-chain` and bare reads; pools beside libvirt; volumes beside qemu-img.

mod chain;
mod pool;
mod volume;

use anyhow::Result;

use crate::figures::median;
use crate::place::Place;

/// Lengths of the chains that are measured, in layers; 200 is the most that a chain may have.
const DEPTHS: [usize; 4] = [1, 10, 50, 200];

/// Runs the benchmark.
pub(crate) fn run(place: &Place, rounds: usize) -> Result<()> {
    println!("\nstorage chains, median of {rounds}, microseconds for the whole chain");
    println!("{:<44} {:>12} {:>12} {:>10}", "", "median", "a layer", "ratio");
    for depth in DEPTHS {
        let images = chain::make(place, depth)?;
        let mut limits = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            limits.push(chain::bare_reads(&images)?);
        }
        row(&format!("{depth} layers, limit: open, fstat, pread, close"), depth, &limits, &limits);
        for (what, once) in chain::CONTENDERS {
            let mut figures = Vec::with_capacity(rounds);
            let mut beside = Vec::with_capacity(rounds);
            for _ in 0..rounds {
                // In turn, so that both halves of a pair meet the same load.
                beside.push(chain::bare_reads(&images)?);
                figures.push(once(place, &images)?);
            }
            row(what, depth, &figures, &beside);
        }
    }
    pool::run(place, rounds)?;
    volume::run(place, rounds)
}

/// One line: the figures, and their ratio to the limit, pair by pair.
fn row(what: &str, layers: usize, figures: &[f64], limits: &[f64]) {
    let ratios: Vec<f64> = figures.iter().zip(limits).map(|(figure, limit)| figure / limit).collect();
    let middle = median(figures);
    let layers = u32::try_from(layers).map_or(1.0, f64::from);
    println!("{what:<44} {middle:>12.1} {:>12.2} {:>9.2}x", middle / layers, median(&ratios));
}
