//! `hostler tenant list`: the tenants of this host.

use clap::Args;
use hostler_domains::TenantSummary;
use serde_json::json;

use super::listed;
use crate::commands::view;
use crate::failure::Stop;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply};
use crate::session::Session;

/// List the tenants of this host
#[derive(Debug, Args)]
pub(super) struct List {}

impl List {
    /// Lists them by name.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let tenants = session.block_on(async { Ok(session.reader().await?.tenant_list().await?) })?;
        if tenants.is_empty() {
            session.output().note("there is no tenant; 'hostler tenant create NAME' makes one");
        }
        Ok(Reply::data(json!({"tenants": view::to_json(&tenants)?}), vec![Block::Table(table(&tenants))]))
    }
}

fn table(tenants: &[TenantSummary]) -> Table {
    let mut table =
        Table::new().words("NAME").words("UIDS").words("GIDS").prose("DRIVERS").prose("STORAGE ROOTS");
    for tenant in tenants {
        let roots: Vec<_> = tenant.storage_roots.iter().map(|root| root.to_string_lossy()).collect();
        table.row(vec![
            Cell::new(&tenant.name),
            Cell::optional(listed(&tenant.uids)),
            Cell::optional(listed(&tenant.gids)),
            Cell::optional(listed(&tenant.drivers)),
            Cell::optional(listed(&roots)),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn table_has_one_line_for_each_tenant() {
        let mut red = samples::tenant("red");
        (red.drivers, red.storage_roots, red.uids) = (Vec::new(), Vec::new(), Vec::new());
        let expected = "\
NAME  UIDS  GIDS  DRIVERS     STORAGE ROOTS
blue  1001  -     qemu, test  /srv/blue
red   -     -     -           -
";
        assert_eq!(table(&[samples::tenant("blue"), red]).render(None, false), expected);
    }
}
