//! `hostler snapshot show`: everything about one snapshot.

use clap::Args;
use hostler_domains::SnapshotDetails;

use super::{SnapshotTarget, kind, state};
use crate::commands::view;
use crate::failure::Stop;
use crate::output::table::{Cell, Facts, Table};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Show everything about one snapshot
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    target: SnapshotTarget,
}

impl Show {
    /// Shows it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let details = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.snapshot_show(&self.target.domain(), &self.target.snapshot).await?)
        })?;
        let blocks = vec![
            Block::Facts(facts(&details)),
            Block::Heading("disks".to_owned()),
            Block::Table(disks(&details)),
        ];
        Ok(Reply::data(view::to_json(&details)?, blocks))
    }
}

fn facts(details: &SnapshotDetails) -> Facts {
    let summary = &details.summary;
    let mut facts = Facts::new();
    facts.add("name", &summary.name);
    facts.add("domain", &details.domain);
    facts.add("kind", kind(summary.kind));
    facts.add("state", state(summary.state));
    facts.add("taken", quantity::moment(summary.created_unix_ms));
    facts.add("current", if summary.current { "yes" } else { "no" });
    facts.add_known("taken from", summary.parent.as_deref());
    facts.add_known("description", summary.description.as_deref());
    facts.add_known("children", some(details.children.join(", ")));
    facts.add_known("memory", details.memory.as_ref().map(|file| file.display().to_string()));
    facts.add("variable store", if details.variable_store { "kept" } else { "not kept" });
    let left: Vec<_> = details.left_behind.iter().map(|image| image.display().to_string()).collect();
    facts.add_known("left behind", some(left.join(", ")));
    facts
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn disks(details: &SnapshotDetails) -> Table {
    let mut table = Table::new().words("DISK").words("FORMAT").prose("KEPT IN").prose("GOES ON IN");
    for disk in &details.disks {
        table.row(vec![
            Cell::new(&disk.target),
            Cell::new(&disk.format),
            Cell::new(disk.image.to_string_lossy()),
            Cell::optional(disk.overlay.as_ref().map(|overlay| overlay.to_string_lossy())),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::samples::snapshot;
    use super::*;
    use hostler_domains::SnapshotDiskSummary;

    #[test]
    fn facts_and_disks_are_shown() {
        let disk = SnapshotDiskSummary {
            target: "vda".into(),
            image: "/i/a".into(),
            format: "qcow2".into(),
            overlay: Some("/i/a.s".into()),
        };
        let details = SnapshotDetails {
            domain: "web".into(),
            summary: snapshot("s", Some("p")),
            disks: vec![disk],
            memory: None,
            variable_store: true,
            children: vec!["t".into()],
            left_behind: vec!["/i/x".into()],
        };
        let text = facts(&details).render(false);
        assert!(text.contains("kept\n") && text.contains("/i/x\n") && text.contains("external\n"), "{text}");
        let expected = "DISK  FORMAT  KEPT IN  GOES ON IN\nvda   qcow2   /i/a     /i/a.s\n";
        assert_eq!(disks(&details).render(None, false), expected);
    }
}
