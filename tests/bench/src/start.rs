//! How much `hostler start` adds to the limit: the same command line run bare; without the cage; and beside
//! `virsh start`.

mod domain;

pub(crate) use domain::{NAME as DOMAIN, xml as domain_xml};

use crate::bare;
use crate::figures::{Series, table};
use crate::peer::Peer;
use crate::place::{Place, output};
use anyhow::{Context, Result};
use std::fs;
use std::time::{Duration, Instant};

/// Runs the benchmark: all of them in turn, round by round, so that they meet the same load.
pub(crate) fn run(place: &Place, rounds: usize) -> Result<()> {
    let xml = domain::xml(&place.guest);
    let file = place.work().join("bench.xml");
    fs::write(&file, &xml).context("cannot write the domain")?;
    output(place.hostler(&["define"]).arg(&file)).context("hostler define")?;
    let argv = bare::command_line(place, domain::NAME)?;
    let mut peer = Peer::begin(place.work())?;
    if let Some(peer) = &mut peer {
        peer.ask(&format!("define {}", file.display()))?;
    }
    let mut bare = Vec::new();
    let mut ours = Vec::new();
    let mut uncaged = Vec::new();
    let mut theirs = Vec::new();
    // The first of each fills caches and is not counted.
    for round in 0..=rounds {
        let counted = round > 0;
        let limit = bare::start_once(&argv, place.work())?;
        let hostler = hostler_once(place, "require")?;
        let open = hostler_once(place, "off")?;
        let virsh = peer.as_mut().map(virsh_once).transpose()?;
        if counted {
            bare.push(limit);
            ours.push(hostler);
            uncaged.push(open);
            theirs.extend(virsh);
        }
    }
    output(&mut place.hostler(&["undefine", domain::NAME])).context("hostler undefine")?;
    println!("start of a domain ({}), {rounds} rounds in turn", domain::describe());
    let mut series = vec![
        Series { name: "limit: same command line, bare, QMP to running".to_owned(), rounds: bare },
        Series { name: "hostler start".to_owned(), rounds: ours },
        Series { name: "hostler start --cage=off".to_owned(), rounds: uncaged },
    ];
    match peer {
        Some(_) => series.push(Series { name: "virsh start (private libvirtd)".to_owned(), rounds: theirs }),
        None => println!("libvirt is not installed: cargo xtask setup --peer"),
    }
    print!("{}", table(&series));
    Ok(())
}

/// The command as a user runs it, from its start to its end.
fn hostler_once(place: &Place, cage: &str) -> Result<Duration> {
    let began = Instant::now();
    output(&mut place.hostler(&["start", domain::NAME, "--cage", cage])).context("hostler start")?;
    let took = began.elapsed();
    output(&mut place.hostler(&["destroy", domain::NAME])).context("hostler destroy")?;
    Ok(took)
}

/// `virsh start` as a user runs it.
fn virsh_once(peer: &mut Peer) -> Result<Duration> {
    let took = peer.ask(&format!("start {}", domain::NAME))?;
    peer.ask(&format!("destroy {}", domain::NAME))?;
    Ok(took)
}
