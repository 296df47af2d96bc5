//! What others are answered while something in the daemon is stuck: a hypervisor that hangs with calls that wait for it,
//! and a driver that loops.

use super::client::Client;
use super::load::percentile;
use super::sides::{Ours, Side as _};
use super::{first_answer, timed};
use crate::place::{Place, output};
use crate::start::{DOMAIN, domain_xml};
use anyhow::{Context as _, Result, anyhow, ensure};
use hostler_rpc::wire::DomainHandle;
use rustix::process::{Pid, Signal, kill_process};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// What every other answer may take, in milliseconds.
const BAR_MS: f64 = 50.0;
/// Domains that are only defined.
const DOMAINS: usize = 1_000;
/// Questions of each kind.
const QUESTIONS: usize = 200;
/// Calls that wait for a hypervisor that hangs, each of a client of its own.
const WAITING: usize = 8;
/// Clients that call a driver that loops, each anew as soon as its call was stopped, which is after half a second.
const LOOPING: usize = 4;

/// A domain of the test driver that never comes back.
const LOOP: &str = "<domain type='fault'><name>loop</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>\
                    <os><type>hvm</type></os></domain>";

/// Takes the figures; there is no peer, for the bar is a time.
pub(super) fn run(place: &Place) -> Result<()> {
    let mut ours = Ours::with_faults(place);
    ours.begin()?;
    let mut client = first_answer(&ours, None)?;
    let names: Vec<String> = (0..DOMAINS).map(|number| format!("stuck-{number:05}")).collect();
    names.iter().try_for_each(|name| client.define(super::xml(name)).map(drop))?;
    let guest = |name| domain_xml(&place.guest).replace(DOMAIN, name);
    let hung = client.define(guest("hung"))?;
    let other = client.define(guest("other"))?;
    let looping = client.define(LOOP.to_owned())?;
    client.create(&hung)?;
    client.create(&other)?;
    println!(
        "\n{:<44} {:>10} {:>10} {:>10} {:>8}",
        "answers to others, ms", "p50", "p99", "longest", "at most"
    );
    show("nothing is stuck", &answers(&mut client, &names, &other)?);
    let pid = hypervisor(place, "hung")?;
    kill_process(pid, Signal::STOP)?;
    show("a hypervisor that hangs", &beside_waiting(&ours, &hung, || answers(&mut client, &names, &other))?);
    kill_process(pid, Signal::CONT)?;
    show("a driver that loops", &beside_looping(&ours, &looping, || answers(&mut client, &names, &other))?);
    client.destroy(&hung)?;
    client.destroy(&other)?;
    ours.end()
}

/// Does something while clients wait for an answer about a domain, and some wait still when it is done.
fn beside_waiting<T>(ours: &Ours<'_>, domain: &DomainHandle, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let mut waiting = (0..WAITING)
        .map(|_| {
            let mut client = Client::open(&ours.socket()?)?;
            client.send_suspend(domain)?;
            Ok(client)
        })
        .collect::<Result<Vec<_>>>()?;
    let done = work()?;
    ensure!(
        waiting.iter_mut().any(Client::is_unanswered),
        "nothing was stuck any more when the others had been answered"
    );
    Ok(done)
}

/// Does something while clients have a driver called that never comes back, from before its beginning to its end.
fn beside_looping<T>(ours: &Ours<'_>, domain: &DomainHandle, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let clients = (0..LOOPING).map(|_| Client::open(&ours.socket()?)).collect::<Result<Vec<_>>>()?;
    let (begun, done) = (Barrier::new(LOOPING + 1), AtomicBool::new(false));
    thread::scope(|scope| {
        let callers: Vec<_> = clients
            .into_iter()
            .map(|client| scope.spawn(|| call_until(client, domain, &begun, &done)))
            .collect();
        begun.wait();
        let answered = work();
        done.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.join().map_err(|_| anyhow!("a caller has died"))??;
        }
        answered
    })
}

/// Calls the driver of a domain again and again, for as long as the others are asked.
fn call_until(mut client: Client, domain: &DomainHandle, begun: &Barrier, done: &AtomicBool) -> Result<()> {
    begun.wait();
    while !done.load(Ordering::Relaxed) {
        ensure!(client.create(domain).is_err(), "the driver that loops has come back");
    }
    Ok(())
}

/// How long each answer took, in milliseconds.
#[derive(Default)]
struct Answers {
    /// Of reading.
    read: Vec<f64>,
    /// Of changing another guest, which its hypervisor has a part in.
    changed: Vec<f64>,
}

fn answers(client: &mut Client, names: &[String], other: &DomainHandle) -> Result<Answers> {
    let mut took = Answers::default();
    for name in names.iter().cycle().take(QUESTIONS) {
        took.read.extend([
            timed(1e3, || client.by_name(name))?.0,
            timed(1e3, || client.list_all())?.0,
            timed(1e3, || client.state(other))?.0,
            timed(1e3, || client.info(other))?.0,
            timed(1e3, || client.xml(other))?.0,
        ]);
        took.changed
            .extend([timed(1e3, || client.suspend(other))?.0, timed(1e3, || client.resume(other))?.0]);
    }
    Ok(took)
}

/// The process of a domain's hypervisor.
fn hypervisor(place: &Place, name: &str) -> Result<Pid> {
    let shown: serde_json::Value =
        serde_json::from_str(&output(&mut place.hostler(&["-o", "json", "show", name]))?)?;
    let pid = shown.get("pid").and_then(serde_json::Value::as_i64).context("no pid is shown")?;
    Pid::from_raw(i32::try_from(pid)?).context("no process")
}

fn show(beside: &str, took: &Answers) {
    for (what, took) in [("reading", &took.read), ("changing", &took.changed)] {
        let longest = took.iter().copied().fold(0.0, f64::max);
        let (p50, p99) = (percentile(took, 50), percentile(took, 99));
        println!("{:<44} {p50:>10.2} {p99:>10.2} {longest:>10.2} {BAR_MS:>8.0}", format!("{beside}: {what}"));
    }
}
