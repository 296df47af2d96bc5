//! `hostler driver list`: the drivers that are installed or found, with what they are granted.

use clap::Args;
use hostler_domains::DriverSummary;
use serde_json::{Value, json};

use crate::commands::view;
use crate::failure::{Failure, Stop};
use crate::output::colour::Tone;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// List the drivers that are installed or were found, with what they are granted
///
/// A driver that another of its name hides is listed too; it is not used.
#[derive(Debug, Args)]
pub(super) struct List {}

impl List {
    /// Lists them; those that cannot be used are warned about.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
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
}

fn table(drivers: &[DriverSummary]) -> Table {
    let mut table = Table::new()
        .words("NAME")
        .words("VERSION")
        .words("CONTRACT")
        .words("TYPES")
        .numbers("SIZE")
        .words("FROM")
        .words("SIGNER")
        .prose("GRANTED")
        .prose("DENIED")
        .prose("DIGEST");
    for driver in drivers {
        let list = |words: &[String]| Cell::optional(Some(words.join(",")).filter(|text| !text.is_empty()));
        let tone = if driver.hidden { Tone::Faint } else { Tone::Plain };
        table.row(vec![
            Cell::new(&driver.name).tone(tone),
            Cell::new(&driver.version).tone(tone),
            Cell::new(&driver.contract),
            list(&driver.domain_types),
            Cell::new(quantity::size(driver.size)),
            Cell::new(from(driver)).tone(tone),
            Cell::optional(driver.signer.as_deref()),
            list(&driver.granted),
            list(&driver.denied),
            Cell::new(&driver.digest),
        ]);
    }
    table
}

/// Where it comes from, and whether it is used.
fn from(driver: &DriverSummary) -> String {
    let marks = [(driver.pinned, "pinned"), (driver.hidden, "hidden")];
    let marks = marks.into_iter().filter_map(|(holds, mark)| holds.then_some(mark));
    std::iter::once(driver.origin.word()).chain(marks).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::view::samples;

    #[test]
    fn hidden_and_pinned_drivers_are_marked() {
        let mut driver = samples::driver();
        assert_eq!(from(&driver), "directory");
        (driver.pinned, driver.hidden) = (true, true);
        assert_eq!(from(&driver), "directory,pinned,hidden");
        let text = table(&[driver]).render(None, false);
        assert!(text.contains("directory,pinned,hidden  -       process:qemu"), "{text}");
    }
}
