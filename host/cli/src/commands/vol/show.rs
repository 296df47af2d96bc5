//! `hostler vol show`: everything about one volume.

use clap::Args;
use hostler_domains::VolumeDetails;

use super::{VolumeTarget, format};
use crate::commands::view;
use crate::failure::Stop;
use crate::output::colour::Tone;
use crate::output::table::{Cell, Facts, Table};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Show everything about one volume, and who uses it
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    target: VolumeTarget,
}

impl Show {
    /// Shows it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let details = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.vol_show(&self.target.pool(), &self.target.volume).await?)
        })?;
        let mut blocks = vec![Block::Facts(facts(&details))];
        if !details.used_by.is_empty() {
            blocks.extend([Block::Heading("used by".to_owned()), Block::Table(uses(&details))]);
        }
        Ok(Reply::data(view::to_json(&details)?, blocks))
    }
}

fn facts(details: &VolumeDetails) -> Facts {
    let volume = &details.summary;
    let mut facts = Facts::new();
    facts.add("name", &volume.name);
    facts.add("pool", &volume.pool);
    facts.add("type", &volume.kind);
    facts.add("path", volume.path.display().to_string());
    facts.add_known("format", format(volume));
    facts.add("capacity", quantity::size(volume.capacity));
    facts.add("allocation", quantity::size(volume.allocation));
    facts.add("physical", quantity::size(volume.physical));
    facts.add_known("stands on", volume.backing.as_deref());
    facts.add_known("format below", volume.backing_format.as_deref());
    let above = Some(details.stood_on_by.join(", ")).filter(|names| !names.is_empty());
    facts.add_known("stood on by", above);
    facts.add_known("compat", volume.compat.as_deref());
    facts.add_known("cluster size", volume.cluster_size.map(quantity::size));
    facts.add_known("encryption", volume.encryption.as_deref());
    facts.add_known("problem", volume.problem.as_deref().map(|text| Cell::new(text).tone(Tone::Warning)));
    facts
}

fn uses(details: &VolumeDetails) -> Table {
    let mut table = Table::new().words("DOMAIN").words("DISK").words("STATE").words("ACCESS");
    for one in &details.used_by {
        table.row(vec![
            Cell::new(&one.domain),
            Cell::new(&one.disk),
            Cell::new(if one.running { "running" } else { "off" }),
            Cell::new(if one.writes { "read-write" } else { "read-only" }),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use hostler_domains::VolumeUse;

    #[test]
    fn facts_and_uses_are_shown() {
        let used = VolumeUse { domain: "web".into(), disk: "vda".into(), running: true, writes: true };
        let details = VolumeDetails {
            summary: samples::volume("a", true),
            used_by: vec![used],
            stood_on_by: vec!["top".into()],
        };
        let text = facts(&details).render(false);
        assert!(text.contains("format:        qcow2\n") && text.contains("stood on by:   top\n"), "{text}");
        let expected = "DOMAIN  DISK  STATE    ACCESS\nweb     vda   running  read-write\n";
        assert_eq!(uses(&details).render(None, false), expected);
    }
}
