//! `hostler agent`: what the agent in a guest says and does.

use clap::{Args, Subcommand, ValueEnum};
use hostler_domains::AskBy;

use super::agent_exec::Exec;
use super::{Target, view};
use crate::failure::Stop;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Speak to the agent in a guest
///
/// The guest runs qemu-guest-agent, and its domain has a channel for it: of type 'unix', with the virtio target
/// 'org.qemu.guest_agent.0'.
/// What an agent says is said by a guest: nothing that it answers is more than text.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Agent {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// See whether it answers
    Ping(Target),
    /// Show what it is, and what it tells of its guest
    Info(Target),
    /// List the file systems that the guest has mounted
    #[command(visible_alias = "fsinfo")]
    Filesystems(Target),
    /// Have the guest write everything to its disks, and write no more
    #[command(visible_alias = "fsfreeze")]
    Freeze(Target),
    /// Let the guest write to its disks again
    #[command(visible_alias = "fsthaw")]
    Thaw(Target),
    Exec(Exec),
}

impl Agent {
    /// Does what was asked.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        match self.what {
            What::Ping(target) => {
                let there = session
                    .block_on(async { Ok(session.reader().await?.agent_ping(&target.reference()).await?) })?;
                let line = format!("the agent of '{}' answers ({} ms)", there.name, there.took_ms);
                confirmed(view::to_json(&there)?, line)
            }
            What::Exec(exec) => exec.run(session),
            What::Info(target) => info(&target, session),
            What::Filesystems(target) => file_systems(&target, session),
            What::Freeze(target) => {
                let frozen = session.block_on(async {
                    Ok(session.owner().await?.agent_freeze(&target.reference()).await?)
                })?;
                let line =
                    format!("'{}' stands still: {} file systems frozen", frozen.name, frozen.file_systems);
                confirmed(view::to_json(&frozen)?, line)
            }
            What::Thaw(target) => {
                let thawed = session
                    .block_on(async { Ok(session.owner().await?.agent_thaw(&target.reference()).await?) })?;
                let line = format!("'{}' goes on: {} file systems thawed", thawed.name, thawed.file_systems);
                confirmed(view::to_json(&thawed)?, line)
            }
        }
    }
}

/// How a guest is asked
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Mode {
    /// By the power button
    #[default]
    Acpi,
    /// By the agent in it
    Agent,
}

impl From<Mode> for AskBy {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Acpi => Self::Machine,
            Mode::Agent => Self::Agent,
        }
    }
}

fn confirmed(json: serde_json::Value, line: String) -> Result<Reply, Stop> {
    Ok(Reply::confirmation(json, vec![Block::Line(line)]))
}

fn info(target: &Target, session: &Session) -> Result<Reply, Stop> {
    let info =
        session.block_on(async { Ok(session.reader().await?.agent_info(&target.reference()).await?) })?;
    let mut table = Table::new().words("FACT").words("VALUE");
    table.row(vec![Cell::new("agent"), Cell::new(&info.version)]);
    info.facts.iter().for_each(|(key, value)| table.row(vec![Cell::new(key), Cell::new(value)]));
    info.commands.iter().for_each(|command| table.row(vec![Cell::new("command"), Cell::new(command)]));
    Ok(Reply::data(view::to_json(&info)?, vec![Block::Table(table)]))
}

fn file_systems(target: &Target, session: &Session) -> Result<Reply, Stop> {
    let found = session
        .block_on(async { Ok(session.reader().await?.agent_file_systems(&target.reference()).await?) })?;
    let mut table =
        Table::new().words("MOUNTPOINT").words("NAME").words("TYPE").numbers("SIZE").numbers("USED");
    let size = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), quantity::size);
    for one in &found.file_systems {
        table.row(vec![
            Cell::new(&one.mountpoint),
            Cell::new(&one.name),
            Cell::new(&one.kind),
            Cell::new(size(one.total_bytes)),
            Cell::new(size(one.used_bytes)),
        ]);
    }
    Ok(Reply::data(view::to_json(&found)?, vec![Block::Table(table)]))
}
