//! What one operation is made of: the instance, a host call, a document in and out; and whether anything stays behind.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use hostler_grant::{Policy, Tenant};
use hostler_runtime::{DomainContext, Driver, Limits, Runtime, RuntimeConfig};

use super::{context, many, row, share};

/// Size of a large document, in bytes.
const LARGE: usize = 64 << 10;
/// Operations that leave memory as it was.
const OPERATIONS: u32 = 10_000;

/// The guest that gives a document back as it is.
pub(super) fn run(component: &Path, rounds: usize) -> Result<()> {
    let place = tempfile::tempdir()?;
    // The rates of a tenant are for tenants: here the calls themselves are measured.
    let unlimited = Limits {
        cpu_burst: Duration::from_secs(1 << 20),
        host_call_burst: u64::MAX / 2,
        ..Limits::default()
    };
    let config = RuntimeConfig {
        cache_dir: Some(place.path().join("cache")),
        limits: unlimited,
        ..RuntimeConfig::default()
    };
    let runtime = Runtime::new(config)?;
    let load = |tenant: &str| -> Result<Driver> {
        let tenant = Tenant { name: tenant.to_owned(), ..Tenant::default() };
        Ok(runtime.load(component, &Policy::built_in()?, &tenant)?)
    };
    let driver = load("blue")?;
    let context = context(&place.path().join("state"))?;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let check = |xml: &str| {
        let context = DomainContext { xml: xml.to_owned(), ..context.clone() };
        let (driver, tokio) = (&driver, &tokio);
        move || many(|| tokio.block_on(async { driver.check(&context).await.map(drop) }).map_err(Into::into))
    };
    row("smallest guest: instance, describe, drop", rounds, || {
        many(|| tokio.block_on(async { driver.describe().await.map(drop) }).map_err(Into::into))
    })?;
    row("smallest guest: the same with one host call", rounds, check("<domain/>"))?;
    let large = "x".repeat(LARGE);
    row("smallest guest: the same with 64 KiB in and out", rounds, check(&large))?;
    memory(&tokio, &driver, &context)?;
    share::run(&load("red")?, &driver, &context, rounds)
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
