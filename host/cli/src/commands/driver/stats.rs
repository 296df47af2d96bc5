//! `hostler driver stats`: what drivers did, how often, and how long it took.

use std::time::Duration;

use clap::Args;
use hostler_domains::{ActivityLine, DriverStats};
use serde_json::json;

use crate::commands::view;
use crate::failure::Stop;
use crate::output::colour::Tone;
use crate::output::table::{Cell, Facts, Table};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Show what drivers did: operations, calls to the host, time
///
/// Counted are the commands that change something; those that only read count nothing.
#[derive(Debug, Args)]
pub(super) struct Stats {
    /// Name of the driver; all that did something without it
    #[arg(value_name = "DRIVER")]
    name: Option<String>,
}

impl Stats {
    /// Shows them.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let name = self.name.as_deref();
        let stats = session.block_on(async { Ok(session.reader().await?.driver_stats(name)?) })?;
        if stats.is_empty() {
            session.output().note("nothing is counted yet");
        }
        let json = json!({"drivers": view::to_json(&stats)?});
        Ok(Reply::data(json, stats.iter().flat_map(blocks).collect()))
    }
}

fn blocks(stats: &DriverStats) -> Vec<Block> {
    let mut facts = Facts::new();
    facts.add("driver", &stats.driver);
    facts.add("since", quantity::moment(stats.since_unix_ms));
    facts.add("processor", time(stats.cpu_us));
    vec![
        Block::Facts(facts),
        Block::Heading("Operations".to_owned()),
        Block::Table(table("OPERATION", &stats.operations)),
        Block::Heading("Host calls".to_owned()),
        Block::Table(table("CALL", &stats.host_calls)),
    ]
}

fn table(what: &'static str, lines: &[ActivityLine]) -> Table {
    let mut table =
        Table::new().words(what).numbers("COUNT").numbers("FAILED").numbers("TIME").numbers("EACH");
    for line in lines {
        let tone = if line.failed > 0 { Tone::Bad } else { Tone::Plain };
        table.row(vec![
            Cell::new(&line.name),
            Cell::new(line.count.to_string()),
            Cell::new(line.failed.to_string()).tone(tone),
            Cell::new(time(line.time_us)),
            Cell::new(time(line.mean_us)),
        ]);
    }
    table
}

/// Microseconds as people read them: `14 us`, `3.2 ms`, `1m 5s`.
fn time(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..1_000_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        _ => quantity::span(Duration::from_micros(us)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_that_fit() {
        for (us, shown) in [(0, "0 us"), (999, "999 us"), (1_000, "1.0 ms"), (3_250, "3.2 ms")] {
            assert_eq!(time(us), shown);
        }
        assert!(time(65_000_000).contains('m'));
    }

    #[test]
    fn failures_are_in_the_table() {
        let line =
            ActivityLine { name: "start".to_owned(), count: 3, failed: 1, time_us: 9_000, mean_us: 3_000 };
        let text = table("OPERATION", &[line]).render(None, false);
        assert!(text.contains("start          3       1  9.0 ms  3.0 ms"), "{text}");
    }
}
