//! `cargo xtask bench [NAME]`: every figure beside a peer or the physical limit, taken in one run.
//!
//! Absolute figures move with the machine's load; what counts is the ratio of two that were taken in turn.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

mod bare;
mod daemon;
mod driver;
mod figures;
mod footprint;
mod operations;
mod peer;
mod place;
mod qmp;
mod start;
mod storage;

use anyhow::{Result, bail};
use std::env;
use std::process::ExitCode;

/// Runs when none is asked for.
const DEFAULT_ROUNDS: usize = 15;

const HELP: &str = "\
usage: cargo xtask bench [NAME] [--rounds N]

  start       hostler start beside the same command line run bare, without its cage, and beside virsh start
  operations  what is done to a domain day by day, beside the same steps of a script and beside virsh
  driver      loading a driver, cold and cached; one call in an instance of its own
  worker      one call of a driver in a process of its own, beside the same call in this process
  daemon      the daemon with many defined domains beside libvirtd: its start, its memory, what it answers, also while
              a hypervisor hangs or a driver loops; with the next two
  answers     what others are answered while a hypervisor hangs or a driver loops
  reattach    guests found again after their daemon was killed, beside libvirtd
  footprint   sizes of components and programs, peak memory of the command line
  storage     resolving a chain beside qemu-img and beside bare reads; listing a pool beside libvirt;
              making a volume beside qemu-img
  all         everything (the default)
";

fn main() -> ExitCode {
    match run(&env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (name, rounds) = match words.as_slice() {
        [] => ("all", DEFAULT_ROUNDS),
        ["--help" | "-h"] => {
            print!("{HELP}");
            return Ok(());
        }
        ["--rounds", rounds] => ("all", rounds.parse()?),
        [name] => (*name, DEFAULT_ROUNDS),
        [name, "--rounds", rounds] => (*name, rounds.parse()?),
        _ => bail!("too many words; see cargo xtask bench --help"),
    };
    if rounds == 0 {
        bail!("a median needs at least one round");
    }
    let place = place::Place::find()?;
    match name {
        "start" => start::run(&place, rounds),
        "operations" => operations::run(&place, rounds),
        "driver" => driver::run(&place, rounds),
        "worker" => driver::worker::run(&place, rounds),
        "daemon" => daemon::run(&place, rounds),
        "answers" => daemon::answers(&place),
        "reattach" => daemon::reattach(&place, rounds),
        "footprint" => footprint::run(&place, rounds),
        "storage" => storage::run(&place, rounds),
        "all" => {
            start::run(&place, rounds)?;
            operations::run(&place, rounds)?;
            driver::run(&place, rounds)?;
            driver::worker::run(&place, rounds)?;
            daemon::run(&place, rounds)?;
            footprint::run(&place, rounds)?;
            storage::run(&place, rounds)
        }
        other => bail!("there is no benchmark {other}; see cargo xtask bench --help"),
    }
}
