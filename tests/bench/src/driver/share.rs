//! What a driver that loops costs the drivers of other tenants, in one process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hostler_runtime::{DomainContext, Driver};

use crate::figures::median;

/// How long operations are counted at a time.
const WINDOW: Duration = Duration::from_millis(500);

/// Counts the operations of a neighbour in turn with and without the other one looping.
pub(super) fn run(
    what: &str,
    neighbour: &Driver,
    looping: &Driver,
    context: &DomainContext,
    rounds: usize,
) -> Result<()> {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let looped = DomainContext { name: "loop".to_owned(), ..context.clone() };
    let (mut quiet, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let alone = operations(&tokio, neighbour, None)?;
        let beside = operations(&tokio, neighbour, Some((looping, &looped)))?;
        quiet.push(alone);
        ratios.push(beside / alone);
    }
    println!(
        "a neighbour's operations a second: {:.0}; beside a driver that loops, {what}: {:.3} of them",
        median(&quiet) / WINDOW.as_secs_f64(),
        median(&ratios)
    );
    Ok(())
}

/// How many operations of the driver end within the window.
fn operations(
    tokio: &tokio::runtime::Runtime,
    driver: &Driver,
    looping: Option<(&Driver, &DomainContext)>,
) -> Result<f64> {
    let ended = std::sync::Arc::new(AtomicBool::new(false));
    let other = looping.map(|(looping, context)| {
        let (looping, context, ended) = (looping.clone(), context.clone(), std::sync::Arc::clone(&ended));
        tokio.spawn(async move {
            while !ended.load(Ordering::Relaxed) {
                if looping.start(&context, &[]).await.is_ok() {
                    return false;
                }
            }
            true
        })
    });
    let driver = driver.clone();
    let counted = tokio.spawn(async move {
        let begun = Instant::now();
        let mut count = 0_u32;
        while begun.elapsed() < WINDOW {
            driver.describe().await?;
            count += 1;
        }
        Ok::<_, hostler_runtime::RuntimeError>(f64::from(count))
    });
    let count = tokio.block_on(counted)??;
    ended.store(true, Ordering::Relaxed);
    if let Some(other) = other {
        ensure!(tokio.block_on(other)?, "the driver that loops came to an end");
    }
    Ok(count)
}
