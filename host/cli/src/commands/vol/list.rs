//! `hostler vol list`: the volumes of one pool.

use clap::Args;
use hostler_domains::VolumeSummary;
use serde_json::json;

use super::format;
use crate::commands::pool::PoolTarget;
use crate::commands::view;
use crate::failure::Stop;
use crate::output::colour::Tone;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// List the volumes of a pool
///
/// Formats marked '(seen)' are what the content looks like; they decide nothing for a guest.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    target: PoolTarget,
}

impl List {
    /// Lists them by name.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let volumes = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.vol_list(&self.target.reference()).await?)
        })?;
        if volumes.is_empty() {
            session.output().note("the pool has no volume; 'hostler vol create' makes one");
        }
        let json = json!({"volumes": view::to_json(&volumes)?});
        Ok(Reply::data(json, vec![Block::Table(table(&volumes))]))
    }
}

fn table(volumes: &[VolumeSummary]) -> Table {
    let mut table = Table::new()
        .words("NAME")
        .words("TYPE")
        .words("FORMAT")
        .numbers("CAPACITY")
        .numbers("ON DISK")
        .prose("STANDS ON")
        .prose("PROBLEM");
    for volume in volumes {
        table.row(vec![
            Cell::new(&volume.name),
            Cell::new(&volume.kind),
            Cell::optional(format(volume)),
            Cell::new(quantity::size(volume.capacity)),
            Cell::new(quantity::size(volume.allocation)),
            Cell::optional(volume.backing.as_deref()),
            Cell::optional(volume.problem.as_deref()).tone(Tone::Warning),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn table_tells_what_is_recorded_from_what_is_seen() {
        let mut brought = samples::volume("brought", false);
        brought.backing = Some("base".into());
        let expected = "\
NAME     TYPE  FORMAT        CAPACITY  ON DISK  STANDS ON  PROBLEM
made     file  qcow2           10 GiB  200 KiB  -          -
brought  file  qcow2 (seen)    10 GiB  200 KiB  base       -
";
        assert_eq!(table(&[samples::volume("made", true), brought]).render(None, false), expected);
    }
}
