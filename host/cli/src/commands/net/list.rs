//! `hostler net list`: the networks of this host.

use clap::Args;
use hostler_domains::NetworkSummary;
use serde_json::json;

use super::state;
use crate::commands::view;
use crate::failure::Stop;
use crate::output::colour::Tone;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply};
use crate::session::Session;

/// List the networks that are started, or all of them
#[derive(Debug, Args)]
pub(super) struct List {
    /// Include the networks that are not started
    #[arg(short, long)]
    all: bool,
}

impl List {
    /// Lists them by name.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let mut networks = session.block_on(async { Ok(session.reader().await?.network_list().await?) })?;
        let total = networks.len();
        networks.retain(|network| self.all || network.active || network.problem.is_some());
        match (networks.is_empty(), total) {
            (true, 0) => session.output().note("no network is defined; 'hostler net define FILE' makes one"),
            (true, _) => {
                session.output().note(&format!("no network is started; --all lists the {total} that are not"))
            }
            (false, _) => {}
        }
        Ok(Reply::data(json!({"networks": view::to_json(&networks)?}), vec![Block::Table(table(&networks))]))
    }
}

fn table(networks: &[NetworkSummary]) -> Table {
    let mut table = Table::new()
        .words("NAME")
        .words("STATE")
        .words("MODE")
        .words("AUTOSTART")
        .words("BRIDGE")
        .prose("ADDRESSES")
        .prose("PROBLEM");
    for network in networks {
        table.row(vec![
            Cell::new(&network.name),
            state(network.active),
            Cell::new(&network.mode),
            Cell::new(if network.autostart { "yes" } else { "no" }),
            Cell::optional(network.bridge.as_deref()),
            Cell::new(network.addresses.join(", ")),
            Cell::optional(network.problem.as_deref()).tone(Tone::Warning),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn networks_have_a_line_each() {
        let text =
            table(&[samples::network("default", true), samples::network("lab", false)]).render(None, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "NAME     STATE     MODE  AUTOSTART  BRIDGE    ADDRESSES         PROBLEM");
        assert_eq!(lines[1], "default  active    nat   no         hostler0  192.168.122.1/24  -");
        assert_eq!(lines[2], "lab      inactive  nat   yes        hostler0  192.168.122.1/24  -");
    }
}
