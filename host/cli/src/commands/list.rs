//! `hostler list`: the domains of this host.

use clap::Args;
use hostler_domains::DomainSummary;
use serde_json::json;

use super::view;
use crate::failure::Stop;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// List the domains that run, or all of them
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Include the domains that are off
    #[arg(short, long)]
    all: bool,
}

impl List {
    /// Lists them by name.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let mut domains = session.block_on(async { Ok(session.reader().await?.list().await?) })?;
        let total = domains.len();
        domains.retain(|domain| self.all || domain.state.is_active());
        domains.sort_by(|a, b| a.name.cmp(&b.name));
        match (domains.is_empty(), total) {
            (true, 0) => session.output().note("no domain is defined; 'hostler define FILE' makes one"),
            (true, _) => {
                session.output().note(&format!("no domain runs; --all lists the {total} that are off"))
            }
            (false, _) => {}
        }
        Ok(Reply::data(json!({"domains": view::to_json(&domains)?}), vec![Block::Table(table(&domains))]))
    }
}

fn table(domains: &[DomainSummary]) -> Table {
    let mut table = Table::new()
        .words("NAME")
        .words("STATE")
        .numbers("VCPUS")
        .numbers("MEMORY")
        .numbers("PID")
        .numbers("UP")
        .words("DRIVER")
        .words("KIND")
        .prose("REASON");
    for domain in domains {
        table.row(vec![
            Cell::new(&domain.name),
            view::state(domain.state),
            Cell::new(domain.vcpus.to_string()),
            Cell::new(quantity::size(domain.memory_bytes)),
            Cell::optional(domain.pid.map(|pid| pid.to_string())),
            Cell::optional(view::uptime(domain.started_unix_ms)),
            Cell::new(&domain.driver),
            Cell::new(view::kind(domain)),
            Cell::optional(view::reason(domain)),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use hostler_domains::RunState;

    use super::*;
    use view::samples;

    #[test]
    fn table_has_one_line_for_each_domain() {
        let mut broken = samples::summary("db", RunState::Quarantined);
        broken.reason = Some("the shim is gone".into());
        broken.persistent = false;
        let mut wanted = samples::summary("web", RunState::Off);
        wanted.autostart = true;
        let domains = [wanted, broken];
        let expected = "\
NAME  STATE        VCPUS   MEMORY   PID  UP  DRIVER  KIND       REASON
web   off              2  512 MiB     -   -  qemu    autostart  -
db    quarantined      2  512 MiB  4711   -  qemu    transient  the shim is gone
";
        assert_eq!(table(&domains).render(None, false), expected);
    }
}
