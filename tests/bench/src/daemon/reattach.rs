//! Guests that run while their daemon is killed: how long the next one takes until it answers that each of them runs.

use super::client::Client;
use super::sides::{Ours, Side, Theirs};
use super::{PATIENCE, RETRY, first_answer, timed};
use crate::bare::{self, Guest};
use crate::figures::{Series, table};
use crate::peer::Peer;
use crate::place::{Place, output};
use crate::start::{DOMAIN, domain_xml};
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How many guests run.
const GUESTS: usize = 5;
/// How clients are told that a guest runs.
const RUNNING: i32 = 1;

/// Takes the figures of both daemons, and of a script that asks each monitor anew.
pub(super) fn run(place: &Place, rounds: usize) -> Result<()> {
    let Some(peer) = Peer::begin(place.work())? else {
        println!("libvirt is not installed: cargo xtask setup --peer");
        return Ok(());
    };
    let (mut theirs, mut ours) = (Theirs::new(peer), Ours::new(place));
    ours.begin()?;
    let names: Vec<String> = (0..GUESTS).map(|number| format!("reattach-{number}")).collect();
    for side in [&theirs as &dyn Side, &ours] {
        let mut client = first_answer(side, None)?;
        for name in &names {
            let domain = client.define(domain_xml(&place.guest).replace(DOMAIN, name))?;
            client.create(&domain)?;
        }
    }
    let mut bare = Bare::start(place)?;
    let (mut limit, mut our, mut their) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        limit.push(bare.reattach()?);
        our.push(reattached(&mut ours, &names)?);
        their.push(reattached(&mut theirs, &names)?);
    }
    bare.end()?;
    println!("\n{GUESTS} guests found again after kill -9 of their daemon, {rounds} rounds in turn");
    let series = [
        Series { name: "limit: monitors connected to, query-status".to_owned(), rounds: limit },
        Series { name: "hostler serve".to_owned(), rounds: our },
        Series { name: "libvirtd".to_owned(), rounds: their },
    ];
    print!("{}", table(&series));
    for side in [&theirs as &dyn Side, &ours] {
        let mut client = first_answer(side, None)?;
        names.iter().try_for_each(|name| destroy(&mut client, name))?;
    }
    ours.end()?;
    theirs.end()
}

/// Ends a guest. libvirtd says that one runs before it has found it, and ends none until then; and it may find it gone.
fn destroy(client: &mut Client, name: &str) -> Result<()> {
    let domain = client.by_name(name)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match client.destroy(&domain) {
            Err(_) if client.state(&domain)? != RUNNING => return Ok(()),
            Err(_) if Instant::now() < deadline => std::thread::sleep(RETRY),
            ended => return ended,
        }
    }
}

/// Kills a daemon and begins it again: from its start to the word that the last guest runs.
fn reattached(side: &mut dyn Side, names: &[String]) -> Result<Duration> {
    let daemon = Pid::from_raw(i32::try_from(side.process()?)?).context("no process")?;
    kill_process(daemon, Signal::KILL)?;
    side.end()?;
    let (seconds, ()) = timed(1.0, || {
        side.begin()?;
        let mut client = first_answer(side, None)?;
        names.iter().try_for_each(|name| {
            let deadline = Instant::now() + PATIENCE;
            loop {
                // libvirtd answers before it has looked.
                let domain = client.by_name(name)?;
                if client.state(&domain)? == RUNNING {
                    return Ok(());
                }
                if Instant::now() > deadline {
                    bail!("'{name}' is not found to run");
                }
                std::thread::sleep(RETRY);
            }
        })
    })?;
    Ok(Duration::from_secs_f64(seconds))
}

/// The same guests, and nobody's.
struct Bare(Vec<(Guest, PathBuf)>);

impl Bare {
    fn start(place: &Place) -> Result<Self> {
        let file = place.work().join("reattach.xml");
        std::fs::write(&file, domain_xml(&place.guest))?;
        output(place.hostler(&["define"]).arg(&file)).context("hostler define")?;
        let argv = bare::command_line(place, DOMAIN)?;
        output(&mut place.hostler(&["undefine", DOMAIN])).context("hostler undefine")?;
        let guests = (0..GUESTS).map(|number| {
            let work = place.work().join(format!("bare-{number}"));
            std::fs::create_dir(&work)?;
            let mut guest = Guest::start(&argv, &[], &work)?;
            guest.go()?;
            Ok((guest, work))
        });
        Ok(Self(guests.collect::<Result<_>>()?))
    }

    /// Lets go of all monitors, and asks them anew.
    fn reattach(&mut self) -> Result<Duration> {
        let alone: Vec<_> = self.0.drain(..).map(|(guest, work)| (guest.let_go(), work)).collect();
        let (seconds, guests) = timed(1.0, || {
            let again = alone.into_iter().map(|(process, work)| Ok((Guest::attach(process, &work)?, work)));
            again.collect::<Result<Vec<_>>>()
        })?;
        self.0 = guests;
        Ok(Duration::from_secs_f64(seconds))
    }

    fn end(self) -> Result<()> {
        self.0.into_iter().try_for_each(|(guest, _)| guest.end())
    }
}
