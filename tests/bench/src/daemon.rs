//! The daemon with many defined domains beside libvirtd: same documents, same client, in turn.

mod client;
mod load;
mod reattach;
mod sides;
mod stuck;

use crate::figures::median;
use crate::peer::Peer;
use crate::place::Place;
use anyhow::{Context, Result, bail};
use client::Client;
use sides::{Ours, Side, Theirs};
use std::thread;
use std::time::{Duration, Instant};

/// How many domains are defined, one after the other.
const DOMAINS: [usize; 2] = [1_000, 5_000];
/// Connections that call at once.
const CONNECTIONS: [usize; 3] = [1, 8, 64];
/// Calls of all connections together in one round.
const CALLS: usize = 6_400;
/// Questions of one kind over one connection in one round.
const QUESTIONS: usize = 400;
/// A start takes its time, and varies little.
const STARTS: usize = 5;
/// How long a daemon may take until it answers.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two tries to connect.
const RETRY: Duration = Duration::from_micros(200);

/// What was measured of both, round by round.
struct Row {
    name: String,
    theirs: Vec<f64>,
    ours: Vec<f64>,
    /// What the ratio may be at most.
    bar: f64,
}

/// Runs the benchmark.
pub(crate) fn run(place: &Place, rounds: usize) -> Result<()> {
    let Some(peer) = Peer::begin(place.work())? else {
        println!("libvirt is not installed: cargo xtask setup --peer");
        return Ok(());
    };
    let (mut theirs, mut ours) = (Theirs::new(peer), Ours::new(place));
    ours.begin()?;
    let mut names: Vec<String> = Vec::new();
    for domains in DOMAINS {
        let more: Vec<String> = (names.len()..domains).map(|number| format!("bench-{number:05}")).collect();
        let mut rows = vec![defined(&theirs, &ours, &more)?];
        names.extend(more);
        rows.extend(started(&mut theirs, &mut ours, &names, rounds.min(STARTS))?);
        rows.extend(asked(&theirs, &ours, &names, rounds)?);
        rows.extend(pressed(&theirs, &ours, &names, rounds)?);
        show(domains, &rows);
    }
    ours.end()?;
    theirs.end()?;
    // Of a state directory of their own: these are about guests, and not about how many domains there are.
    answers(&Place::find()?)?;
    reattach(&Place::find()?, rounds)
}

/// Runs the part about answers while something is stuck.
pub(crate) fn answers(place: &Place) -> Result<()> {
    stuck::run(place)
}

/// Runs the part about guests that outlive their daemon.
pub(crate) fn reattach(place: &Place, rounds: usize) -> Result<()> {
    reattach::run(place, rounds)
}

fn xml(name: &str) -> String {
    format!(
        "<domain type='qemu'>
  <name>{name}</name>
  <title>A machine for a benchmark</title>
  <memory unit='MiB'>2048</memory>
  <vcpu>2</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <boot dev='hd'/>
  </os>
  <features><acpi/><apic/></features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='/var/lib/libvirt/images/{name}.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='network'>
      <source network='default'/>
      <model type='virtio'/>
    </interface>
    <serial type='pty'/>
    <graphics type='vnc' autoport='yes'/>
    <video><model type='vga'/></video>
    <memballoon model='virtio'/>
  </devices>
</domain>
"
    )
}

/// Defines these in both, one by one, in turn.
fn defined(theirs: &dyn Side, ours: &dyn Side, names: &[String]) -> Result<Row> {
    let (mut their, mut our) = (first_answer(theirs, None)?, first_answer(ours, None)?);
    // Ours is durable when it is answered, and theirs is not: there is no bar.
    let mut row = Row::new("define, ms", f64::INFINITY);
    for name in names {
        row.theirs.push(timed(1e3, || their.define(xml(name)))?.0);
        row.ours.push(timed(1e3, || our.define(xml(name)))?.0);
    }
    Ok(row)
}

/// How long both take from their start to the first answer about a domain; and what they have of the memory then, and
/// once they have answered more.
fn started(theirs: &mut Theirs, ours: &mut Ours<'_>, names: &[String], rounds: usize) -> Result<Vec<Row>> {
    let mut start = Row::new("start to the first answer, ms", 1.0 / 20.0);
    let mut memory = Row::new("memory (PSS) after all were looked up, KiB", 1.0);
    for _ in 0..rounds {
        for (side, took, kib) in [
            (&mut *theirs as &mut dyn Side, &mut start.theirs, &mut memory.theirs),
            (&mut *ours, &mut start.ours, &mut memory.ours),
        ] {
            side.end()?;
            let (milliseconds, mut client) = timed(1e3, || {
                side.begin()?;
                first_answer(side, names.last())
            })?;
            took.push(milliseconds);
            client.list_all()?;
            names.iter().try_for_each(|name| client.by_name(name).map(drop))?;
            kib.push(side.pss_kib()?);
        }
    }
    Ok(vec![start, memory])
}

/// Waits until a daemon answers, about this domain if one is named.
fn first_answer(side: &dyn Side, name: Option<&String>) -> Result<Client> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match side.socket().and_then(|socket| Client::open(&socket)) {
            Ok(mut client) => {
                if let Some(name) = name {
                    client.by_name(name)?;
                }
                return Ok(client);
            }
            Err(error) if Instant::now() > deadline => return Err(error).context("no answer"),
            Err(_) => thread::sleep(RETRY),
        }
    }
}

/// What one connection asks of both.
fn asked(theirs: &dyn Side, ours: &dyn Side, names: &[String], rounds: usize) -> Result<Vec<Row>> {
    let (mut their, mut our) = (first_answer(theirs, None)?, first_answer(ours, None)?);
    let mut list = Row::new("list of all, ms", 1.0 / 4.0);
    for _ in 0..rounds {
        for (client, took) in [(&mut their, &mut list.theirs), (&mut our, &mut list.ours)] {
            let (milliseconds, found) = timed(1e3, || client.list_all())?;
            if found.len() != names.len() {
                bail!("{} of {} domains are listed", found.len(), names.len());
            }
            took.push(milliseconds);
        }
    }
    let mut rows = vec![list];
    type Ask = fn(&mut Client, &hostler_rpc::wire::DomainHandle) -> Result<()>;
    let questions: [(&str, Ask); 5] = [
        ("lookup by name, us", |client, domain| client.by_name(&domain.name).map(drop)),
        ("lookup by identifier, us", |client, domain| client.by_uuid(domain.uuid).map(drop)),
        ("state, us", |client, domain| client.state(domain).map(drop)),
        ("info, us", |client, domain| client.info(domain).map(drop)),
        ("document, us", |client, domain| client.xml(domain).map(drop)),
    ];
    let (their_domains, our_domains) = (their.list_all()?, our.list_all()?);
    for (name, ask) in questions {
        let mut row = Row::new(name, 1.0);
        for _ in 0..rounds {
            for (client, domains, took) in
                [(&mut their, &their_domains, &mut row.theirs), (&mut our, &our_domains, &mut row.ours)]
            {
                let each = domains.iter().cycle().take(QUESTIONS);
                let each = each.map(|domain| Ok(timed(1e6, || ask(client, domain))?.0));
                took.push(median(&each.collect::<Result<Vec<_>>>()?));
            }
        }
        rows.push(row);
    }
    Ok(rows)
}

/// What many connections at once meet.
fn pressed(theirs: &dyn Side, ours: &dyn Side, names: &[String], rounds: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for connections in CONNECTIONS {
        let name = |part: &str| format!("lookup, {connections} at once, {part}, us");
        let (mut middle, mut late) = (Row::new(name("p50"), 1.0), Row::new(name("p99"), 1.0));
        for _ in 0..rounds {
            for (side, p50, p99) in
                [(theirs, &mut middle.theirs, &mut late.theirs), (ours, &mut middle.ours, &mut late.ours)]
            {
                let took = load::lookups(&side.socket()?, names, connections, CALLS)?;
                p50.push(load::percentile(&took, 50));
                p99.push(load::percentile(&took, 99));
            }
        }
        rows.extend([middle, late]);
    }
    Ok(rows)
}

/// How long something took, in parts of a second of which there are so many, and what came of it.
fn timed<T>(parts: f64, work: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let began = Instant::now();
    let done = work()?;
    Ok((began.elapsed().as_secs_f64() * parts, done))
}

impl Row {
    fn new(name: impl Into<String>, bar: f64) -> Self {
        Self { name: name.into(), theirs: Vec::new(), ours: Vec::new(), bar }
    }
}

fn bar(most: f64) -> String {
    if most.is_finite() { format!("{most:.2}x") } else { "-".to_owned() }
}

fn show(domains: usize, rows: &[Row]) {
    println!(
        "\n{:<44} {:>10} {:>10} {:>10} {:>8}",
        format!("{domains} defined domains"),
        "libvirtd",
        "hostler",
        "ratio",
        "at most"
    );
    for row in rows {
        // Of each pair, not of the medians: both halves of a pair met the same load.
        let ratios: Vec<f64> = row.ours.iter().zip(&row.theirs).map(|(ours, theirs)| ours / theirs).collect();
        let (theirs, ours, ratio) = (median(&row.theirs), median(&row.ours), median(&ratios));
        println!("{:<44} {theirs:>10.2} {ours:>10.2} {ratio:>9.3}x {:>8}", row.name, bar(row.bar));
    }
}
