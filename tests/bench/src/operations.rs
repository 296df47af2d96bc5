//! What is done to a domain day by day, each beside `virsh` with a private libvirtd and beside the same steps of a script
//! that knows everything already.

mod bare;
mod hostler;
mod scene;
mod virsh;

use std::time::Duration;

use anyhow::Result;

use crate::figures::{Series, table};
use crate::peer::Peer;
use crate::place::Place;

/// Something that is done to a domain, in the order of a round: each finds what the one before it has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Define,
    Native,
    Start,
    Statistics,
    Snapshot,
    Commit,
    Save,
    Restore,
    Destroy,
}

impl Step {
    const ALL: [Self; 9] = [
        Self::Define,
        Self::Native,
        Self::Start,
        Self::Statistics,
        Self::Snapshot,
        Self::Commit,
        Self::Save,
        Self::Restore,
        Self::Destroy,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Define => "define (limit: one durable write)",
            Self::Native => "XML to command line",
            Self::Start => "start",
            Self::Statistics => "statistics",
            Self::Snapshot => "snapshot of a running guest, disk only",
            Self::Commit => "active commit of an empty overlay, and pivot",
            Self::Save => "save, 64 MiB guest",
            Self::Restore => "restore, 64 MiB guest",
            Self::Destroy => "destroy",
        }
    }
}

/// Who does it. Between two rounds nothing of a round is left.
trait Actor {
    fn name(&self) -> String;
    /// Makes the round's images anew.
    fn prepare(&mut self, round: usize) -> Result<()>;
    /// Does it; nothing where there is no such thing. Only the time of the step itself counts.
    fn take(&mut self, step: Step) -> Result<Option<Duration>>;
    /// Forgets the domain.
    fn clean(&mut self) -> Result<()>;
}

/// Runs the benchmark: the actors in turn, round by round, so that they meet the same load.
pub(crate) fn run(place: &Place, rounds: usize) -> Result<()> {
    let mut actors: Vec<Box<dyn Actor + '_>> = vec![
        Box::new(bare::Bare::new(place)?),
        Box::new(hostler::Hostler::new(place, "require")?),
        Box::new(hostler::Hostler::new(place, "off")?),
    ];
    match Peer::begin(place.work())? {
        Some(peer) => actors.push(Box::new(virsh::Virsh::new(place, peer)?)),
        None => println!("libvirt is not installed: cargo xtask setup --peer"),
    }
    let mut taken = vec![vec![Vec::new(); actors.len()]; Step::ALL.len()];
    // The first round of each fills caches and is not counted.
    for round in 0..=rounds {
        for (index, actor) in actors.iter_mut().enumerate() {
            actor.prepare(round)?;
            for (step, taken) in Step::ALL.into_iter().zip(&mut taken) {
                let took = actor.take(step)?;
                if let (Some(series), true) = (taken.get_mut(index), round > 0) {
                    series.extend(took);
                }
            }
            actor.clean()?;
        }
    }
    println!(
        "a domain with one disk ({}), {rounds} rounds in turn; commands as a user runs them",
        scene::describe()
    );
    for (step, taken) in Step::ALL.into_iter().zip(taken) {
        println!("\n{}", step.title());
        let named = actors.iter().map(|actor| actor.name()).zip(taken);
        let series: Vec<_> = named
            .filter(|(_, rounds)| !rounds.is_empty())
            .map(|(name, rounds)| Series { name, rounds })
            .collect();
        print!("{}", table(&series));
    }
    Ok(())
}
