//! Calls of many connections at once, and how long each took.

use super::client::Client;
use anyhow::{Result, anyhow};
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

/// Steps through all domains in an order that looks like chance: a prime that divides no count.
const STRIDE: usize = 7_919;

/// Lookups by name of so many connections at once, so many in all; how long each took, in microseconds.
pub(super) fn lookups(socket: &Path, names: &[String], connections: usize, calls: usize) -> Result<Vec<f64>> {
    let barrier = Barrier::new(connections);
    let each = calls.div_ceil(connections);
    let opened = (0..connections).map(|_| Client::open(socket)).collect::<Result<Vec<_>>>()?;
    thread::scope(|scope| {
        let barrier = &barrier;
        let threads: Vec<_> = (opened.into_iter().enumerate())
            .map(|(number, client)| {
                scope.spawn(move || {
                    barrier.wait();
                    looked_up(client, names, number * each, each)
                })
            })
            .collect();
        let mut all = Vec::with_capacity(calls);
        for thread in threads {
            all.extend(thread.join().map_err(|_| anyhow!("a client panicked"))??);
        }
        Ok(all)
    })
}

fn looked_up(mut client: Client, names: &[String], first: usize, calls: usize) -> Result<Vec<f64>> {
    let mut took = Vec::with_capacity(calls);
    let order = (first..first + calls).map(|number| number * STRIDE % names.len());
    for name in order.filter_map(|at| names.get(at)) {
        let asked = Instant::now();
        client.by_name(name)?;
        took.push(asked.elapsed().as_secs_f64() * 1e6);
    }
    Ok(took)
}

/// The value below which this part of all lies.
pub(super) fn percentile(values: &[f64], part: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() * part / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentile_is_a_value_that_was_measured() {
        let values: Vec<f64> = (0..100).rev().map(f64::from).collect();
        assert!((percentile(&values, 50) - 50.0).abs() < 1e-9);
        assert!((percentile(&values, 99) - 99.0).abs() < 1e-9);
        assert!(percentile(&[], 99).abs() < 1e-9);
    }
}
