//! `hostler autostart`: domains that are started after a boot.

use clap::Args;
use hostler_domains::{Autostarted, DomainRef};
use serde_json::json;

use super::view;
use crate::failure::Stop;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply};
use crate::session::Session;

/// Start a domain by itself after a boot of the machine
///
/// The first command after the boot that changes anything starts it; for a machine on which none is
/// given, let its service manager run 'hostler autostart --all'. What cannot be started is told by
/// 'hostler events', and holds up none of the others.
#[derive(Debug, Args)]
pub(crate) struct Autostart {
    /// Name or UUID of the domain
    #[arg(value_name = "DOMAIN", required_unless_present = "all", conflicts_with = "all")]
    domain: Option<String>,
    /// Do not start it by itself any more
    #[arg(long, conflicts_with = "all")]
    disable: bool,
    /// Start now all domains that are started by themselves and are off
    #[arg(long)]
    all: bool,
}

impl Autostart {
    /// Sets it, or starts them.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let Some(domain) = self.domain else { return all(session) };
        let summary = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.set_autostart(&DomainRef::new(domain), !self.disable).await?)
        })?;
        let done = if summary.autostart { "is started after a boot" } else { "is not started by itself" };
        let line = format!("domain '{}' {done}", summary.name);
        Ok(Reply::confirmation(view::to_json(&summary)?, vec![Block::Line(line)]))
    }
}

fn all(session: &Session) -> Result<Reply, Stop> {
    let progress = session.output().progress("starting domains");
    let done = session.block_on(async { Ok(session.owner().await?.autostart_all().await?) });
    drop(progress);
    let done = done?;
    if done.is_empty() {
        session.output().note("no domain is started by itself; 'hostler autostart DOMAIN' makes one");
    }
    Ok(Reply::data(json!({"domains": view::to_json(&done)?}), vec![Block::Table(table(&done))]))
}

fn table(done: &[Autostarted]) -> Table {
    let mut table = Table::new().words("NAME").words("STATE").prose("PROBLEM");
    for one in done {
        table.row(vec![Cell::new(&one.name), view::state(one.state), Cell::optional(one.problem.clone())]);
    }
    table
}

#[cfg(test)]
mod tests {
    use hostler_domains::RunState;

    use super::*;

    #[test]
    fn table_says_what_kept_one_from_being_started() {
        let one = |name: &str, state, problem: Option<&str>| Autostarted {
            name: name.to_owned(),
            state,
            code: problem.map(|_| "image.unreadable".to_owned()),
            problem: problem.map(str::to_owned),
        };
        let done = [one("a", RunState::Running, None), one("b", RunState::Off, Some("no image"))];
        let expected = "NAME  STATE    PROBLEM\na     running  -\nb     off      no image\n";
        assert_eq!(table(&done).render(None, false), expected);
    }
}
