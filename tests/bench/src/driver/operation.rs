//! What one operation is made of: the instance, a host call, a document in and out; and whether anything stays behind.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use hostler_grant::{Policy, Tenant};
use hostler_runtime::{Allocation, DomainContext, Driver, Limits, Runtime, RuntimeConfig};

use super::{context, many, share};
use crate::figures::median;

/// Size of a large document, in bytes.
const LARGE: usize = 64 << 10;
/// Operations that leave memory as it was.
const OPERATIONS: u32 = 10_000;

/// The guest that gives a document back as it is.
pub(super) fn run(component: &Path, rounds: usize) -> Result<()> {
    let place = tempfile::tempdir()?;
    let context = context(&place.path().join("state"))?;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for (allocation, word) in [(Allocation::OnDemand, "on demand"), (Allocation::Pool, "pool")] {
        let driver = load_with(component, place.path(), allocation, unlimited())?.0;
        println!("smallest guest, memory from {word}");
        parts(&tokio, &driver, &context, rounds)?;
        memory(&tokio, &driver, &context)?;
    }
    let (neighbour, _runtime) = load_with(component, place.path(), Allocation::Pool, unlimited())?;
    share::beside_process(&neighbour, rounds)?;
    // At once a tenant may use a processor whole; in the long run as much as its rate gives.
    for (what, cpu_burst) in [("within its burst", UNLIMITED), ("in the long run", Duration::ZERO)] {
        let limits = Limits { cpu_burst, ..unlimited() };
        let (looping, _runtime) = load_with(component, place.path(), Allocation::Pool, limits)?;
        share::beside_driver(what, &neighbour, &looping, &context, rounds)?;
    }
    Ok(())
}

/// What an instance, a host call and a large document take, each measured in turn, and what one adds to another.
fn parts(
    tokio: &tokio::runtime::Runtime,
    driver: &Driver,
    context: &DomainContext,
    rounds: usize,
) -> Result<()> {
    let of_length = |length: usize| DomainContext { xml: "x".repeat(length), ..context.clone() };
    let (small, large) = (of_length(8), of_length(LARGE));
    let check = |context: &DomainContext| {
        many(|| tokio.block_on(async { driver.check(context).await.map(drop) }).map_err(Into::into))
    };
    let mut figures = [const { Vec::new() }; 5];
    for _ in 0..rounds {
        let empty = many(|| tokio.block_on(async { driver.describe().await.map(drop) }).map_err(Into::into))?;
        let (call, document) = (check(&small)?, check(&large)?);
        for (figures, figure) in
            figures.iter_mut().zip([empty, call, call - empty, document, document - call])
        {
            figures.push(figure);
        }
    }
    for (what, figures) in [
        "instance, describe, drop",
        "instance, check with one host call, drop",
        "  the call with one host call adds",
        "the same with 64 KiB in and out",
        "  the document adds",
    ]
    .iter()
    .zip(&figures)
    {
        println!("{what:<52} {:>10.1}", median(figures));
    }
    Ok(())
}

/// More processor time than there is.
const UNLIMITED: Duration = Duration::from_secs(1 << 20);

/// The rates of a tenant are for tenants: here the calls themselves are measured.
fn unlimited() -> Limits {
    Limits { cpu_burst: UNLIMITED, host_call_burst: u64::MAX / 2, ..Limits::default() }
}

fn load_with(
    component: &Path,
    place: &Path,
    allocation: Allocation,
    limits: Limits,
) -> Result<(Driver, Runtime)> {
    let cache_dir = Some(place.join("cache"));
    let runtime = Runtime::new(RuntimeConfig { cache_dir, limits, allocation, ..RuntimeConfig::default() })?;
    Ok((runtime.load(component, &Policy::built_in()?, &Tenant::default())?, runtime))
}

/// Resident memory of this process before and after many operations.
fn memory(tokio: &tokio::runtime::Runtime, driver: &Driver, context: &DomainContext) -> Result<()> {
    let context = DomainContext { xml: "x".repeat(LARGE), ..context.clone() };
    let operate = |count: u32| -> Result<()> {
        (0..count).try_for_each(|_| {
            tokio.block_on(async { driver.check(&context).await.map(drop) }).map_err(Into::into)
        })
    };
    operate(OPERATIONS / 100)?;
    let before = resident_kib()?;
    operate(OPERATIONS)?;
    let after = resident_kib()?;
    println!(
        "{OPERATIONS} operations with 64 KiB each, resident memory in KiB: {before} before, {after} after"
    );
    Ok(())
}

fn resident_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number =
        line.and_then(|line| line.split_whitespace().next()).context("no VmRSS in /proc/self/status")?;
    Ok(number.parse()?)
}
