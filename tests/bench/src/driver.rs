//! The sandbox: what it costs to load a driver, and to let it answer one call.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use hostler_grant::{Policy, Tenant};
use hostler_launch::TemplateSet;
use hostler_network::Attachments;
use hostler_runtime::{DomainContext, NoSecrets, Purpose, Roots, Runtime, RuntimeConfig, StateAccess};
use hostler_state::{StateDir, Uuid};
use hostler_storage::Translations;

use crate::figures::median;
use crate::place::Place;

mod operation;
mod share;
pub(crate) mod worker;

/// Calls in one round: a single one is too short to be timed.
const CALLS: u32 = 50;
/// A domain that the test driver knows.
const DOCUMENT: &str = "<domain type='test'><name>bench</name><memory>1024</memory><vcpu>1</vcpu>\
                        <os><type>hvm</type></os></domain>";

/// A machine for the QEMU driver, with a device of each everyday kind.
const MACHINE: &str = "<domain type='qemu'><name>bench</name><memory unit='MiB'>256</memory><vcpu>2</vcpu>\
                       <os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features><devices>\
                       <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/nonexistent'/>\
                       <target dev='vda' bus='virtio'/></disk><interface type='user'><model type='virtio'/></interface>\
                       <serial type='pty'/><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>\
                       </devices></domain>";

/// Runs the benchmark.
pub(crate) fn run(place: &Place, rounds: usize) -> Result<()> {
    println!("\nsandbox, median of {rounds}, microseconds");
    for name in ["test", "qemu"] {
        let component = place.components.join("drivers").join(format!("{name}.wasm"));
        row(&format!("load {name}, cold (compiled)"), rounds, || cold_load(&component))?;
        let cache = tempfile::tempdir()?;
        load(&component, cache.path())?;
        row(&format!("load {name}, cached"), rounds, || cached_load(&component, cache.path()))?;
    }
    row("limit: read and digest the larger component", rounds, || {
        read(&place.components.join("drivers/qemu.wasm"))
    })?;
    row("limit: an empty process", rounds, empty_process)?;
    calls(&place.components.join("drivers/test.wasm"), rounds)?;
    operation::run(&place.components.join("guests/fault.wasm"), rounds)
}

fn row(what: &str, rounds: usize, mut once: impl FnMut() -> Result<f64>) -> Result<()> {
    let figures = (0..rounds).map(|_| once()).collect::<Result<Vec<_>>>().with_context(|| what.to_owned())?;
    println!("{what:<52} {:>10.1}", median(&figures));
    Ok(())
}

fn load(component: &Path, cache: &Path) -> Result<hostler_runtime::Driver> {
    // The runtime makes it, for nobody but us; a temporary directory is open to more.
    let cache = cache.join("cache");
    let runtime = Runtime::new(RuntimeConfig { cache_dir: Some(cache), ..RuntimeConfig::default() })?;
    Ok(runtime.load(component, &Policy::built_in()?, &Tenant::default())?)
}

fn cold_load(component: &Path) -> Result<f64> {
    let cache = tempfile::tempdir()?;
    timed(|| load(component, cache.path()).map(drop))
}

fn cached_load(component: &Path, cache: &Path) -> Result<f64> {
    timed(|| load(component, cache).map(drop))
}

fn read(component: &Path) -> Result<f64> {
    use sha2::Digest as _;
    timed(|| {
        std::hint::black_box(sha2::Sha256::digest(std::fs::read(component)?));
        Ok(())
    })
}

fn empty_process() -> Result<f64> {
    timed(|| {
        Command::new("true").stdin(Stdio::null()).status()?;
        Ok(())
    })
}

/// One call each in an instance of its own: the smallest, and one that reads a document.
fn calls(component: &Path, rounds: usize) -> Result<()> {
    let place = tempfile::tempdir()?;
    let driver = load(component, place.path())?;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let context = context(&place.path().join("state"))?;
    row("instance, describe, drop", rounds, || {
        many(|| tokio.block_on(async { driver.describe().await.map(drop) }).map_err(Into::into))
    })?;
    row("instance, check a document, drop", rounds, || {
        many(|| tokio.block_on(async { driver.check(&context).await.map(drop) }).map_err(Into::into))
    })?;
    let qemu = load(&component.with_file_name("qemu.wasm"), place.path())?;
    let context = DomainContext { xml: MACHINE.to_owned(), ..context };
    row("qemu: instance, complete a machine, drop", rounds, || {
        many(|| tokio.block_on(async { qemu.check(&context).await.map(drop) }).map_err(Into::into))
    })?;
    row("qemu: instance, show its launch, drop", rounds, || {
        many(|| tokio.block_on(async { qemu.show(&context).await.map(drop) }).map_err(Into::into))
    })
}

fn context(state: &Path) -> Result<DomainContext> {
    Ok(DomainContext {
        uuid: Uuid::from_u128(1),
        name: "bench".to_owned(),
        xml: DOCUMENT.to_owned(),
        numeric_id: 0,
        purpose: Purpose::Describe,
        state: StateAccess::Reader(Arc::new(StateDir::open_reader(state)?)),
        roots: Roots::of_operator(Vec::new()),
        volumes: Translations::default(),
        networks: Attachments::default(),
        secrets: Arc::new(NoSecrets),
        templates: Arc::new(TemplateSet::builtin()?),
        shim: "/nonexistent".into(),
        cage: hostler_launch::CageSetting::Require,
        firmware: hostler_firmware::SearchPath::system(),
        transfer: None,
        references: Vec::new(),
        next: None,
    })
}

fn many(mut once: impl FnMut() -> Result<()>) -> Result<f64> {
    Ok(timed(|| (0..CALLS).try_for_each(|_| once()))? / f64::from(CALLS))
}

/// Microseconds that it took.
fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed().as_secs_f64() * 1e6)
}
