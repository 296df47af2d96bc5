//! Drivers in processes of their own, beside the same drivers in this process: what the way there and back costs.

use std::path::Path;

use anyhow::{Context, Result};
use hostler_grant::{Policy, Tenant};
use hostler_runtime::{Allocation, DomainContext, Driver, Runtime, RuntimeConfig};

use super::{CALLS, MACHINE, context, timed};
use crate::figures::median;
use crate::place::Place;

/// Runs the benchmark: of each operation the figure here, the figure in a worker, and what that adds.
pub(crate) fn run(place: &Place, rounds: usize) -> Result<()> {
    println!(
        "\ndrivers in processes of their own, median of {rounds}, microseconds: here, worker, difference"
    );
    let directory = tempfile::tempdir()?;
    let program = place.programs.join("hostler");
    let load = |name: &str, worker: Option<&Path>| -> Result<Driver> {
        let cache = directory.path().join("cache");
        let worker = worker.map(Path::to_owned);
        let config = RuntimeConfig {
            cache_dir: Some(cache),
            worker,
            allocation: Allocation::Pool,
            ..RuntimeConfig::default()
        };
        let component = place.components.join("drivers").join(name);
        Ok(Runtime::new(config)?.load(&component, &Policy::built_in()?, &Tenant::default())?)
    };
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let test = context(&directory.path().join("state"))?;
    let qemu = DomainContext { xml: MACHINE.to_owned(), ..test.clone() };
    for (what, name, context) in [
        ("describe", "test.wasm", None),
        ("check", "test.wasm", Some(&test)),
        ("check", "qemu.wasm", Some(&qemu)),
    ] {
        let pair = [load(name, None)?, load(name, Some(&program))?];
        let once = |driver: &Driver| -> Result<f64> {
            let calls = || -> Result<()> {
                for _ in 0..CALLS {
                    tokio.block_on(async {
                        match context {
                            None => driver.describe().await.map(drop),
                            Some(context) => driver.check(context).await.map(drop),
                        }
                    })?;
                }
                Ok(())
            };
            Ok(timed(calls)? / f64::from(CALLS))
        };
        let mut figures = [Vec::new(), Vec::new()];
        for _ in 0..=rounds {
            for (driver, figures) in pair.iter().zip(&mut figures) {
                figures.push(once(driver)?);
            }
        }
        // The first of each starts the worker.
        let [here, apart] = figures.map(|figures| median(figures.get(1..).unwrap_or_default()));
        let calls = host_calls(&pair[1]);
        let what = format!("{what} ({name}, {calls} host calls)");
        println!("{what:<40} {here:>10.1} {apart:>10.1} {:>10.1}", apart - here);
    }
    first(rounds, || load("test.wasm", Some(&program)), &tokio)?;
    idle(&load("qemu.wasm", Some(&program))?, &qemu, &tokio)
}

/// Host calls of one operation.
fn host_calls(driver: &Driver) -> u64 {
    let activity = driver.take_activity();
    let operations: u64 = activity.operations.values().map(|tally| tally.count).sum();
    let calls: u64 = activity.host_calls.values().map(|tally| tally.count).sum();
    calls / operations.max(1)
}

/// The first operation, for which the worker is started.
fn first(rounds: usize, load: impl Fn() -> Result<Driver>, tokio: &tokio::runtime::Runtime) -> Result<()> {
    let mut figures = Vec::new();
    for _ in 0..rounds {
        let driver = load()?;
        figures.push(timed(|| Ok(tokio.block_on(driver.describe()).map(drop)?))?);
    }
    println!("{:<40} {:>10} {:>10.1}", "describe, with the start of its process", "", median(&figures));
    Ok(())
}

/// What a worker keeps of the machine's memory while nothing is asked of it.
fn idle(driver: &Driver, context: &DomainContext, tokio: &tokio::runtime::Runtime) -> Result<()> {
    for _ in 0..CALLS {
        tokio.block_on(driver.check(context))?;
    }
    let parent = std::process::id().to_string();
    for entry in std::fs::read_dir("/proc")? {
        let directory = entry?.path();
        let Ok(status) = std::fs::read_to_string(directory.join("status")) else { continue };
        let field = |name: &str| -> Option<&str> {
            status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
        };
        if field("PPid:") == Some(&parent) && field("Name:") == Some("hostler-worker") {
            let memory = std::fs::read_to_string(directory.join("smaps_rollup"))?;
            let of = |name: &str| memory.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let all = of("Rss:").context("no Rss")?;
            let own = of("Private_Dirty:").context("no Private_Dirty")?;
            println!("an idle worker of qemu keeps {all}, of which {own} are its own");
        }
    }
    Ok(())
}
