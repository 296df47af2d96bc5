//! What a driver that loops costs the drivers of other tenants, in one process.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hostler_runtime::{DomainContext, Driver};

use crate::figures::median;

/// How long operations are counted at a time.
const WINDOW: Duration = Duration::from_millis(500);

/// The limit: what a process costs that loops and has nothing to do with us.
pub(super) fn beside_process(neighbour: &Driver, rounds: usize) -> Result<()> {
    compare("limit: a process that loops", rounds, neighbour, |tokio| {
        let mut process = Command::new("sh").args(["-c", "while :; do :; done"]).spawn()?;
        let count = operations(tokio, neighbour, None);
        process.kill()?;
        process.wait()?;
        count
    })
}

/// A driver of another tenant that loops.
pub(super) fn beside_driver(
    what: &str,
    neighbour: &Driver,
    looping: &Driver,
    context: &DomainContext,
    rounds: usize,
) -> Result<()> {
    let looped = DomainContext { name: "loop".to_owned(), ..context.clone() };
    compare(&format!("a driver that loops, {what}"), rounds, neighbour, |tokio| {
        operations(tokio, neighbour, Some((looping, &looped)))
    })
}

/// Counts the operations of a neighbour in turn alone and beside something.
fn compare(
    what: &str,
    rounds: usize,
    neighbour: &Driver,
    mut beside: impl FnMut(&tokio::runtime::Runtime) -> Result<f64>,
) -> Result<()> {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (mut quiet, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let alone = operations(&tokio, neighbour, None)?;
        ratios.push(beside(&tokio)? / alone);
        quiet.push(alone);
    }
    let each_second = median(&quiet) / WINDOW.as_secs_f64();
    println!("{:.3} of {each_second:.0} operations a second beside {what}", median(&ratios));
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
