//! `hostler driver`: the drivers of this host.

use clap::{Args, Subcommand};
use hostler_domains::DriverSummary;
use serde_json::{Value, json};

use super::view;
use crate::failure::{Failure, Stop};
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Look at the drivers of this host
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Driver {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the drivers that were found, with what they are granted
    List,
}

impl Driver {
    /// Does what was asked.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        match self.what {
            What::List => list(session),
        }
    }
}

fn list(session: &Session) -> Result<Reply, Stop> {
    let (drivers, broken) = session.block_on(async { Ok(session.reader().await?.drivers().await?) })?;
    let broken: Vec<Failure> = broken.into_iter().map(Failure::from).collect();
    for failure in &broken {
        session.output().warning(&format!("a driver cannot be used: {}", failure.message));
    }
    if drivers.is_empty() && broken.is_empty() {
        session.output().note("no driver was found; say where they are with --driver-dir");
    }
    let problems: Vec<Value> = broken.iter().map(Failure::to_json).collect();
    let json = json!({"drivers": view::to_json(&drivers)?, "problems": problems});
    Ok(Reply::data(json, vec![Block::Table(table(&drivers))]))
}

fn table(drivers: &[DriverSummary]) -> Table {
    let mut table = Table::new()
        .words("NAME")
        .words("VERSION")
        .words("CONTRACT")
        .words("TYPES")
        .numbers("SIZE")
        .prose("GRANTED")
        .prose("DENIED")
        .prose("DIGEST");
    for driver in drivers {
        let list = |words: &[String]| Cell::optional(Some(words.join(",")).filter(|text| !text.is_empty()));
        table.row(vec![
            Cell::new(&driver.name),
            Cell::new(&driver.version),
            Cell::new(&driver.contract),
            list(&driver.domain_types),
            Cell::new(quantity::size(driver.size)),
            list(&driver.granted),
            list(&driver.denied),
            Cell::new(&driver.digest),
        ]);
    }
    table
}
