//! `hostler pool`: places that volumes come from.

mod autostart;
mod create;
mod define;
mod delete;
mod list;
mod refresh;
mod show;
mod start;
mod stop;
mod undefine;
mod xml;

use clap::{Args, Subcommand};
use hostler_domains::{PoolDefined, PoolRef, PoolSummary, SkippedEntry};
use serde_json::json;

use super::view;
use crate::failure::Stop;
use crate::output::colour::Tone;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply};
use crate::session::Session;

/// Work with storage pools: directories and volume groups that volumes come from
///
/// A pool that is started can be listed, and its volumes can be made and used as disks
/// of type 'volume'. Nothing runs for a pool: every command measures for itself.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Pool {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Define(define::Define),
    Create(create::Create),
    List(list::List),
    Show(show::Show),
    Xml(xml::Xml),
    Start(start::Start),
    Stop(stop::Stop),
    Refresh(refresh::Refresh),
    Autostart(autostart::Autostart),
    Undefine(undefine::Undefine),
    Delete(delete::Delete),
}

impl Pool {
    /// Does what was asked.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        match self.what {
            What::Define(command) => command.run(session),
            What::Create(command) => command.run(session),
            What::List(command) => command.run(session),
            What::Show(command) => command.run(session),
            What::Xml(command) => command.run(session),
            What::Start(command) => command.run(session),
            What::Stop(command) => command.run(session),
            What::Refresh(command) => command.run(session),
            What::Autostart(command) => command.run(session),
            What::Undefine(command) => command.run(session),
            What::Delete(command) => command.run(session),
        }
    }
}

/// The pool that a command is about.
#[derive(Clone, Debug, Args)]
pub(super) struct PoolTarget {
    /// Name or UUID of the pool
    #[arg(value_name = "POOL")]
    pool: String,
}

impl PoolTarget {
    pub(super) fn reference(&self) -> PoolRef {
        PoolRef::new(self.pool.as_str())
    }
}

/// `active` or `inactive`, in the tone that it has.
fn state(active: bool) -> Cell {
    if active { Cell::new("active").tone(Tone::Good) } else { Cell::new("inactive").tone(Tone::Faint) }
}

fn kind(pool: &PoolSummary) -> &'static str {
    if pool.persistent { "persistent" } else { "transient" }
}

/// The reply of a command that changed what one pool is.
fn changed(pool: &PoolSummary, done: &str) -> Result<Reply, Stop> {
    let line = format!("pool '{}' {done}", pool.name);
    Ok(Reply::confirmation(json!({"pool": view::to_json(pool)?}), vec![Block::Line(line)]))
}

/// The reply of a command that stored a pool.
fn stored(defined: &PoolDefined, done: &str, session: &Session) -> Result<Reply, Stop> {
    defined.warnings.iter().for_each(|warning| session.output().warning(&warning.message));
    let line = format!("pool '{}' {done} ({})", defined.summary.name, defined.summary.uuid);
    let json = json!({
        "pool": view::to_json(&defined.summary)?,
        "created": defined.created,
        "warnings": view::to_json(&defined.warnings)?,
    });
    Ok(Reply::confirmation(json, vec![Block::Line(line)]))
}

/// Entries of a pool that are no volumes.
fn skipped(entries: &[SkippedEntry]) -> Vec<Block> {
    if entries.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new().words("ENTRY").prose("REASON");
    for entry in entries {
        table.row(vec![Cell::new(&entry.name), Cell::new(&entry.reason)]);
    }
    vec![Block::Heading("entries that are no volumes".to_owned()), Block::Table(table)]
}

#[cfg(test)]
pub(super) mod samples {
    use hostler_domains::PoolSummary;

    /// A pool of that name.
    pub(crate) fn pool(name: &str, active: bool) -> PoolSummary {
        PoolSummary {
            name: name.into(),
            uuid: "c7a5fdbd-edaf-9455-926a-d65c16db1809".parse().unwrap(),
            kind: "dir".into(),
            active,
            autostart: !active,
            persistent: true,
            target: Some("/srv/images".into()),
            problem: None,
        }
    }
}
