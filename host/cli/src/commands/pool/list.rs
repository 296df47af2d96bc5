//! `hostler pool list`: the pools of this host.

use clap::Args;
use hostler_domains::PoolSummary;
use serde_json::json;

use super::{kind, state};
use crate::commands::view;
use crate::failure::Stop;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply};
use crate::session::Session;

/// List the pools that are started, or all of them
#[derive(Debug, Args)]
pub(super) struct List {
    /// Include the pools that are not started
    #[arg(short, long)]
    all: bool,
}

impl List {
    /// Lists them by name.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let mut pools = session.block_on(async { Ok(session.reader().await?.pool_list().await?) })?;
        let total = pools.len();
        pools.retain(|pool| self.all || pool.active);
        match (pools.is_empty(), total) {
            (true, 0) => session.output().note("no pool is defined; 'hostler pool define FILE' makes one"),
            (true, _) => {
                session.output().note(&format!("no pool is started; --all lists the {total} that are not"))
            }
            (false, _) => {}
        }
        Ok(Reply::data(json!({"pools": view::to_json(&pools)?}), vec![Block::Table(table(&pools))]))
    }
}

fn table(pools: &[PoolSummary]) -> Table {
    let mut table = Table::new()
        .words("NAME")
        .words("STATE")
        .words("TYPE")
        .words("AUTOSTART")
        .words("KIND")
        .prose("TARGET");
    for pool in pools {
        table.row(vec![
            Cell::new(&pool.name),
            state(pool.active),
            Cell::new(&pool.kind),
            Cell::new(if pool.autostart { "yes" } else { "no" }),
            Cell::new(kind(pool)),
            Cell::optional(pool.target.as_ref().map(|target| target.to_string_lossy())),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn table_has_one_line_for_each_pool() {
        let mut rbd = samples::pool("ceph", false);
        (rbd.kind, rbd.target) = ("rbd".into(), None);
        let expected = "\
NAME    STATE     TYPE  AUTOSTART  KIND        TARGET
images  active    dir   no         persistent  /srv/images
ceph    inactive  rbd   yes        persistent  -
";
        assert_eq!(table(&[samples::pool("images", true), rbd]).render(None, false), expected);
    }
}
