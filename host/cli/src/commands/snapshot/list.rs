//! `hostler snapshot list`: the snapshots of a domain.

use clap::Args;
use hostler_domains::SnapshotSummary;
use serde_json::json;

use super::{kind, state};
use crate::commands::{Target, view};
use crate::failure::Stop;
use crate::output::colour::Tone;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// A snapshot deeper than this is drawn at the depth of this one.
const DEEPEST_INDENT: usize = 20;

/// List the snapshots of a domain
///
/// The one that the domain goes on from is marked '*'.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    target: Target,
    /// Show which was taken from which
    #[arg(long)]
    tree: bool,
}

impl List {
    /// Lists them, the oldest first.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let snapshots = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.snapshot_list(&self.target.reference()).await?)
        })?;
        if snapshots.is_empty() {
            session.output().note("the domain has no snapshot; 'hostler snapshot create' takes one");
        }
        let json = json!({"snapshots": view::to_json(&snapshots)?});
        let table = if self.tree { drawn(&snapshots) } else { table(snapshots.iter().map(|one| (0, one))) };
        Ok(Reply::data(json, vec![Block::Table(table)]))
    }
}

fn table<'a>(snapshots: impl Iterator<Item = (usize, &'a SnapshotSummary)>) -> Table {
    let mut table =
        Table::new().words("NAME").words("KIND").words("STATE").words("TAKEN").prose("DESCRIPTION");
    for (depth, snapshot) in snapshots {
        let mark = if snapshot.current { " *" } else { "" };
        let indent = "  ".repeat(depth.min(DEEPEST_INDENT));
        let name = Cell::new(format!("{indent}{}{mark}", snapshot.name));
        let unfinished = snapshot.being_deleted.then_some("being deleted");
        table.row(vec![
            if snapshot.being_deleted { name.tone(Tone::Warning) } else { name },
            Cell::new(kind(snapshot.kind)),
            Cell::new(state(snapshot.state)),
            Cell::new(quantity::moment(snapshot.created_unix_ms)),
            Cell::optional(unfinished.or(snapshot.description.as_deref())),
        ]);
    }
    table
}

/// Each behind the one that it was taken from, and indented.
fn drawn(snapshots: &[SnapshotSummary]) -> Table {
    let mut rows: Vec<(usize, &SnapshotSummary)> = Vec::new();
    let mut waiting: Vec<_> = children(snapshots, None).map(|root| (0, root)).collect();
    while let Some((depth, snapshot)) = waiting.pop() {
        rows.push((depth, snapshot));
        waiting
            .extend(children(snapshots, Some(&snapshot.name)).map(|child| (depth.saturating_add(1), child)));
    }
    table(rows.into_iter())
}

/// Those that were taken from one, the newest first.
fn children<'a>(
    snapshots: &'a [SnapshotSummary],
    parent: Option<&'a str>,
) -> impl Iterator<Item = &'a SnapshotSummary> {
    snapshots.iter().rev().filter(move |one| one.parent.as_deref() == parent)
}

#[cfg(test)]
mod tests {
    use super::super::samples::snapshot;
    use super::*;

    #[test]
    fn tree_is_drawn_from_the_oldest_with_branches_in_their_order() {
        let snapshots = [
            snapshot("a", None),
            snapshot("b", Some("a")),
            snapshot("c", Some("a")),
            snapshot("d", Some("b")),
        ];
        let text = drawn(&snapshots).render(None, false);
        let names: Vec<_> =
            text.lines().skip(1).map(|line| line.split("external").next().unwrap().trim_end()).collect();
        assert_eq!(names, ["a", "  b *", "    d *", "  c *"], "{text}");
    }
}
